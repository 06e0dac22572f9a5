"""Programs that are not Python packages: they are pinned, downloaded once, verified, and kept in a cache.

``artifacts.json`` pins each Maven artifact by its path in the repository, its SHA-256 and its size in bytes.
"""

import hashlib
import json
import os
import platform
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import httpx
from filelock import FileLock
from platformdirs import user_cache_path
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from martline.command import Failure
from martline.command.terminal import console

PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True)
class Artifact:
    """One file of a Maven repository."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Programs:
    """The paths of the downloaded programs."""

    mariadb: Path
    """The folder with MariaDB's ``bin`` and ``share``."""
    kafka: list[Path]
    """The class path of Kafka and ZooKeeper."""


def cache_folder() -> Path:
    """The folder for downloads: ``MARTLINE_CACHE``, or ``martline`` in the user's cache folder."""
    folder = Path(os.environ.get("MARTLINE_CACHE") or user_cache_path("martline")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError as error:
        raise Failure(
            f"The cache folder {folder} can't be written ({error.strerror}): "
            "set HOME, XDG_CACHE_HOME or MARTLINE_CACHE to a folder of yours"
        ) from error
    return folder


def fetch_programs(cache: Path | None = None) -> Programs:
    """Download and verify missing files, and unpack MariaDB; ``cache`` is another path of the cache folder."""
    pinned = {
        name: [Artifact(**artifact) for artifact in artifacts]
        for name, artifacts in json.loads(
            resources.files("martline.embedded").joinpath("artifacts.json").read_text()
        ).items()
    }
    machine = f"mariadb-{platform.system().lower()}-{platform.machine()}"
    if machine not in pinned:
        known = ", ".join(name.removeprefix("mariadb-") for name in pinned if name.startswith("mariadb-"))
        raise Failure(f"There is no MariaDB to download for {machine.removeprefix('mariadb-')}: use {known}")
    cache = cache or cache_folder()
    with FileLock(cache / ".lock"):
        download([*pinned[machine], *pinned["kafka"]], cache)
        mariadb = _unpack(cache / pinned[machine][0].path, cache / "mariadb" / pinned[machine][0].sha256[:12])
    return Programs(mariadb=mariadb, kafka=[cache / artifact.path for artifact in pinned["kafka"]])


def download(artifacts: list[Artifact], cache: Path) -> None:
    """Download and verify the files that the cache lacks, several at a time."""
    # A file gets its name only after it was verified, so its presence is enough.
    missing = [artifact for artifact in artifacts if not (cache / artifact.path).exists()]
    if not missing:
        return
    repository = os.environ.get("MARTLINE_MAVEN_REPOSITORY") or _maven_central()
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with (
        Progress("Downloading the servers", *columns, console=console, disable=not console.is_terminal) as bar,
        _client(repository) as client,
        ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool,
    ):
        task = bar.add_task("", total=sum(artifact.bytes for artifact in missing))
        downloads = [pool.submit(_fetch, artifact, cache, client, bar, task) for artifact in missing]
        try:
            for download in downloads:
                download.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _client(repository: str) -> httpx.Client:
    try:
        return httpx.Client(base_url=repository.rstrip("/") + "/", follow_redirects=True, timeout=60)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        cause = str(error).splitlines()[0]
        raise Failure(
            f"The proxy in the environment can't be used to download the servers ({cause}): "
            "set HTTPS_PROXY, ALL_PROXY and NO_PROXY to what an http:// proxy needs, or unset them"
        ) from error


def _maven_central() -> str:
    with warnings.catch_warnings(action="ignore"):  # importing it warns if XDG_RUNTIME_DIR is not set
        from jgo.constants import MAVEN_CENTRAL_URL
    return MAVEN_CENTRAL_URL


def _fetch(artifact: Artifact, cache: Path, client: httpx.Client, bar: Progress, task: TaskID) -> None:
    target = cache / artifact.path
    partial = target.with_name(f"{target.name}.partial")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with client.stream("GET", artifact.path) as response, partial.open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                digest.update(chunk)
                file.write(chunk)
                bar.advance(task, len(chunk))
    except httpx.HTTPError as error:
        raise Failure(
            f"{target.name} is not in the cache {cache} and can't be downloaded "
            f"({error or type(error).__name__}): the first start needs the network"
        ) from error
    except OSError as error:
        raise Failure(
            f"{target.name} can't be written to the cache {cache}: {error.strerror}; free some space"
        ) from error
    if digest.hexdigest() != artifact.sha256:
        partial.unlink()
        raise Failure(
            f"{target.name} has the SHA-256 {digest.hexdigest()} instead of {artifact.sha256}: "
            "the download was damaged or tampered with, and was removed; try again"
        )
    partial.rename(target)


def _unpack(jar: Path, folder: Path) -> Path:
    """Unpack MariaDB's binaries. The folder gets its name only when it is complete."""
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        with zipfile.ZipFile(jar) as archive:
            archive.extractall(partial)
        for program in partial.glob("**/bin/*"):
            program.chmod(0o755)
        partial.rename(folder)
    return next(folder.glob("**/bin/mariadbd")).parent.parent
