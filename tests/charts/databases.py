"""The charts' databases as containers that run the rendered start script on a Docker volume."""

import base64
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.charts.rendering import Object, named, pods, rendered

START_SECONDS = 120
SMALL = {"postgres": {"shared_buffers": "16MB"}, "mysql": {"innodb_redo_log_capacity": "16M"}}
SCRATCH = "size=512m,mode=1777"


def docker(*arguments: str, given: str | None = None) -> str:
    run = subprocess.run(["docker", *arguments], input=given, capture_output=True, text=True)
    if run.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)[:200]}: {run.stderr}")
    return run.stdout


def require_image(image: str) -> None:
    """Skip the test if no container can be started from the image."""
    try:
        docker("image", "inspect", image)
    except FileNotFoundError:
        pytest.skip(f"{image} needs Docker, which is not installed")
    except AssertionError as error:
        pytest.skip(f"{image} is not on this machine: `docker pull {image}` gets it ({error})")


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    code: int
    log: str


class Volume:
    """A volume that outlives the containers of the database that the chart starts on it."""

    def __init__(self, chart: str, folder: Path, size: str = "1g") -> None:
        self.chart = chart
        self.folder = folder
        self.name = f"martline-test-{uuid.uuid4().hex[:12]}"
        self.objects: list[Object] = []
        self.render()
        (self._pod,) = pods([named(self.objects, "StatefulSet", chart)])
        (self._server,) = self._pod.containers
        self.image = self._server["image"]
        require_image(self.image)
        # In memory, so that nothing waits for a disk. The volume lasts as long as a container uses it.
        kind = "--opt=type=tmpfs", "--opt=device=tmpfs", f"--opt=o=size={size},mode=0777"
        docker("volume", "create", *kind, self.name)
        mount = "--volume", f"{self.name}:/volume", "--workdir", "/volume"
        docker("run", "--detach", "--name", self.name, *mount, "--entrypoint", "sleep", self.image, "infinity")

    def render(self, settings: Mapping[str, Any] | None = None) -> None:
        """Render the chart with more settings, for later starts. The passwords stay the same."""
        objects = rendered(self.chart, {"config": {**SMALL[self.chart], **(settings or {})}})
        secrets = {item["metadata"]["name"]: item for item in self.objects if item["kind"] == "Secret"}
        self.objects = [secrets.get(item["metadata"]["name"], item) for item in objects]
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "secrets").mkdir(exist_ok=True)
        for name, text in named(self.objects, "ConfigMap", self.chart)["data"].items():
            (self.folder / "config" / name).write_text(text)
        self._write_secrets()

    def _write_secrets(self) -> None:
        (pod,) = pods([named(self.objects, "StatefulSet", self.chart)])
        (projected,) = (v["projected"] for v in pod.spec["volumes"] if v["name"] == "secrets")
        for source in projected["sources"]:
            for item in source["secret"]["items"]:
                file = self.folder / "secrets" / item["path"]
                file.parent.mkdir(exist_ok=True)
                file.write_text(self.secret(source["secret"]["name"], item["key"]))

    def secret(self, name: str, key: str) -> str:
        return base64.b64decode(named(self.objects, "Secret", name)["data"][key]).decode()

    def shell(self, script: str) -> str:
        """Run a script as root in the volume's folder."""
        return docker("exec", "--user", "0:0", self.name, "bash", "-euc", script)

    def take(self, other: "Volume") -> None:
        """Copy another volume's files, and the passwords of its data."""
        self.objects = other.objects
        self._write_secrets()
        both = "--volume", f"{other.name}:/from:ro", "--volume", f"{self.name}:/to"
        docker("run", "--rm", "--entrypoint", "cp", *both, self.image, "--archive", "/from/.", "/to")

    def files(self) -> str:
        """Every file of the volume, with its size and checksum."""
        return self.shell("find . -type f -print0 | sort -z | xargs -0 -r sha256sum")

    def start(self) -> "Container":
        """Start the server as its pod does: with its user, its mounts, and otherwise a read-only file system."""
        command = [*self._server["command"]]
        variables = [f"--env={e['name']}={e['value']}" for e in self._server.get("env", [])]
        user = self._pod.spec["securityContext"]["runAsUser"]
        rights = f"--user={user}:{user}", "--read-only", "--cap-drop=ALL"
        name = docker(
            *("run", "--detach", *rights, *variables, *self._mounts()),
            *(f"--entrypoint={command[0]}", self.image, *command[1:]),
        ).strip()
        return Container(name)

    def _mounts(self) -> Iterator[str]:
        places = {"config": self.folder / "config", "secrets": self.folder / "secrets"}
        for mount in self._server["volumeMounts"]:
            path, below = mount["mountPath"], mount.get("subPath", "")
            if mount["name"] == "data":
                assert not below, "Docker mounts a volume as a whole"
                yield f"--volume={self.name}:{path}"
            elif mount["name"] in places:
                yield f"--volume={places[mount['name']] / below}:{path}:ro"
            else:
                yield f"--tmpfs={path}:{SCRATCH}"

    @contextmanager
    def serving(self) -> "Iterator[Container]":
        """The server, once it passes its readiness probe."""
        container = self.start()
        try:
            container.wait_until_it_serves(self.probe())
            yield container
        finally:
            container.remove()

    def run_to_its_end(self) -> Ended:
        container = self.start()
        try:
            return container.ended()
        finally:
            container.remove()

    def probe(self) -> list[str]:
        """The command that succeeds once the server is ready."""
        return list(self._server["readinessProbe"]["exec"]["command"])

    def remove(self) -> None:
        docker("rm", "--force", self.name)
        docker("volume", "rm", "--force", self.name)


class Container:
    """A database's server that was started on a volume."""

    def __init__(self, name: str) -> None:
        self.name = name

    def execute(self, *command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        line = "docker", "exec", "--interactive", self.name, *command
        return subprocess.run(line, input=given, capture_output=True, text=True)

    def log(self) -> str:
        run = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True)
        return run.stdout + run.stderr

    def runs(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.name).strip() == "true"

    def wait_until_it_serves(self, probe: list[str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.execute(*probe).returncode != 0:
            assert self.runs(), self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def ended(self) -> Ended:
        code = subprocess.run(
            ["docker", "wait", self.name], capture_output=True, text=True, timeout=START_SECONDS, check=True
        ).stdout
        return Ended(int(code), self.log())

    def kill(self) -> None:
        docker("kill", "--signal=KILL", self.name)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name)


@contextmanager
def volume(chart: str, folder: Path, size: str = "1g") -> Iterator[Volume]:
    made = Volume(chart, folder, size)
    try:
        yield made
    finally:
        made.remove()
