"""The images that the project builds. An image's tag is the hash of the files that go into it.

So an image that has not changed is not built or loaded again, and its pods are not restarted.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from martline.cluster import programs
from martline.command import Failure
from martline.command.terminal import console

BASE = Path("images/base/Dockerfile")
BASE_TARGETS = ("uv", "python", "java")
# What a Dockerfile takes from the checkout: bind mounts, and copies that are not from another stage.
SOURCES = (r"--mount=source=([^,\s]+)", r"^COPY (?!--from)(.+) \S+$")
IGNORED = ("__pycache__", ".egg-info")


@dataclass(frozen=True)
class Image:
    """One image of the project, built by ``images/NAME/Dockerfile``."""

    checkout: Path
    name: str

    @cached_property
    def tag(self) -> str:
        """The hash of everything that goes into the image."""
        dockerfile = Path("images", self.name, "Dockerfile")
        return _hash(self.checkout, [BASE, dockerfile])

    @property
    def reference(self) -> str:
        """The image's name and tag."""
        return f"martline/{self.name}:{self.tag}"

    def build(self) -> None:
        """Build the image if it does not exist."""
        if not exists(self.reference):
            base = _hash(self.checkout, [BASE])
            for target in BASE_TARGETS:
                if not exists(reference := f"martline/base-{target}:{base}"):
                    _build(self.checkout, BASE, reference, ["--target", target])
            arguments = [f"--build-arg={target.upper()}=martline/base-{target}:{base}" for target in BASE_TARGETS]
            _build(self.checkout, Path("images", self.name, "Dockerfile"), self.reference, arguments)


def images(checkout: Path) -> list[Image]:
    """The project's images."""
    folders = sorted(file.parent.name for file in (checkout / "images").glob("*/Dockerfile"))
    return [Image(checkout, name) for name in folders if name != BASE.parent.name]


def exists(reference: str) -> bool:
    """Whether Docker has the image."""
    try:
        programs.read("docker", "image", "inspect", reference)
    except Failure:
        return False
    return True


def size(reference: str) -> int:
    """The image's size in bytes, unpacked."""
    return int(programs.read("docker", "image", "inspect", "--format", "{{.Size}}", reference))


def _build(checkout: Path, dockerfile: Path, reference: str, options: list[str]) -> None:
    started = time.monotonic()
    console.print(f"Building {reference}")
    version = [f"--label=org.opencontainers.image.version={reference.split(':')[1]}"]
    command = ["docker", "build", "--file", str(checkout / dockerfile), "--tag", reference]
    programs.show(
        *command,
        *options,
        *version,
        "--progress=plain",
        str(checkout),
        environment={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    console.print(f"  [green]✓[/] {reference} [dim]{time.monotonic() - started:.1f} s[/]")


def _hash(checkout: Path, dockerfiles: list[Path]) -> str:
    digest = hashlib.sha256()
    for dockerfile in dockerfiles:
        for file in sorted({checkout / dockerfile, *_sources(checkout, dockerfile)}):
            mode = "x" if os.access(file, os.X_OK) else "-"
            content = file.read_bytes()
            digest.update(f"{file.relative_to(checkout)} {mode} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _sources(checkout: Path, dockerfile: Path) -> Iterator[Path]:
    text = (checkout / dockerfile).read_text()
    for form in SOURCES:
        for names in re.findall(form, text, re.MULTILINE):
            for name in names.split():
                yield from _files(checkout, name)


def _files(checkout: Path, name: str) -> Iterator[Path]:
    for path in checkout.glob(name):
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.is_file() and not any(part.endswith(IGNORED) for part in file.parts):
                yield file
