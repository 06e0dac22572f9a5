"""Removes a state folder, but only if it contains nothing but what a platform writes."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from martline.command import Failure
from martline.embedded.folder import Folder

OWN = {
    "": r"airflow|dashboard-pgpass|data|java|lock|logs|pgpass|ports\.json|run|secrets\.json",
    "data": r"postgres|mariadb|zookeeper|kafka|marts",
    "java": r"bin",
    "logs": r"[a-z-]+\.log(\.\d+)?|airflow-tasks",
    "run": r"(kafka|zookeeper|log4j)\.properties|(kafka|zookeeper)\.jaas|mariadb-init\.sql|postgres-admin|session"
    r"|jupyter|spark|supervisord\.conf",
}
"""Patterns of the names that a platform writes into its folder and into the folders in it."""
UNFINISHED = r"(%s)(\.partial)?"
CRASHES = r"hs_err_pid\d+\.log|replay_pid\d+\.log|java_pid\d+\.hprof|core(\.\d+)?"
"""Files that Java and the system write when a server has crashed."""
SIGNS = ("lock", "secrets.json", "ports.json")
CLUSTERS_MARK = re.compile(r"cluster-.+-unfinished")
"""A file of the cluster in the same folder of a checkout; it stays."""


def require_state_folder(folder: Folder) -> None:
    """Raise :class:`Failure` with the name of a foreign file in the folder, if there is one."""
    path = folder.folder
    refused = f"{path} is not touched: "
    for needed in (Path.cwd(), Path.home()):
        if needed.resolve().is_relative_to(path):
            raise Failure(f"{refused}{needed} is in it, or is it; set MARTLINE_HOME to a state folder")
    if not path.is_dir():
        raise Failure(f"{refused}it is not a folder; set MARTLINE_HOME to a state folder")
    try:
        foreign = next(_foreign(path), None)
        signs = [name for name in SIGNS if (path / name).exists()]
    except OSError as error:
        raise Failure(f"{refused}{error.filename} can't be read ({error.strerror}); check who owns it") from error
    if foreign:
        raise Failure(f"{refused}{foreign} in it is not the platform's; move it away, or set MARTLINE_HOME")
    if not signs and any(path.iterdir()):
        raise Failure(f"{refused}it has none of {', '.join(SIGNS)}; set MARTLINE_HOME to a state folder")


def _foreign(path: Path) -> Iterator[Path]:
    for name, own in OWN.items():
        folder = path / name
        if name and not folder.is_dir():
            continue
        for entry in folder.iterdir():
            known = re.fullmatch(UNFINISHED % own, entry.name) or (
                not name and (CLUSTERS_MARK.fullmatch(entry.name) or re.fullmatch(CRASHES, entry.name))
            )
            # A link leads elsewhere, to files that may belong to anybody.
            if not known or entry.is_symlink():
                yield entry


def size(folder: Folder) -> int:
    """How many bytes the folder uses on its disk."""
    total = 0
    for parent, _, files in os.walk(folder.folder):
        for name in files:
            try:
                total += (Path(parent) / name).lstat().st_blocks * 512
            except OSError:
                continue  # a server that still runs has removed it
    return total


def remove(folder: Folder) -> None:
    """Remove the folder. If interrupted, it leaves no partial database that a start would take for a whole."""
    try:
        for data in (folder.folder / "data").glob("*"):
            if not data.name.endswith(".partial"):
                partial = data.with_name(f"{data.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                data.rename(partial)
        entries = [entry for entry in folder.folder.iterdir() if not CLUSTERS_MARK.fullmatch(entry.name)]
        # The files that mark a state folder go last, so that an interrupted removal can be resumed.
        for entry in sorted(entries, key=lambda entry: entry.name in SIGNS):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not any(folder.folder.iterdir()) and not folder.folder.is_mount():
            folder.folder.rmdir()
    except OSError as error:
        raise Failure(f"{error.filename} can't be removed: {error.strerror}; check who owns it") from error
    shutil.rmtree(folder.runtime, ignore_errors=True)
