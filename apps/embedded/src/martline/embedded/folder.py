"""The layout of the state folder, and paths to it that every program can read."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from martline.command import Failure
from martline.command.terminal import console

PLAIN = re.compile(r"/[A-Za-z0-9_./+-]{0,150}")
"""Paths that are safe in lists with commas or colons, in settings of any format, and in any locale."""
SECONDS_WITHOUT_A_WORD = 2


@dataclass(frozen=True)
class Folder:
    """A state folder."""

    folder: Path

    @property
    def logs(self) -> Path:
        """One log file for each server."""
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        """The servers' settings, which each start writes again."""
        return self.folder / "run"

    @property
    def runtime(self) -> Path:
        """A folder with a short path, for Unix sockets (whose paths may have 107 bytes at most) and links.

        It is not in TMPDIR if possible, because the next command may have another TMPDIR.
        """
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        temporary = Path("/tmp")  # noqa: S108 - the folder in it is its owner's alone
        usable = temporary.is_dir() and os.access(temporary, os.W_OK)
        return (temporary if usable else Path(tempfile.gettempdir())) / f"martline-{os.getuid()}-{digest}"

    def data(self, server: str) -> Path:
        """The folder that holds a server's data."""
        return self.folder / "data" / server

    def make(self) -> None:
        """Create the folder if necessary, accessible only to its owner."""
        _require_usable_name(self.folder)
        try:
            for name in ("logs", "data", "run"):
                (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            # It shows `martline clean` that the folder belongs to a platform, even after a failed start.
            (self.folder / "lock").touch(mode=0o600)
        except OSError as error:
            raise Failure(
                f"The state folder {self.folder} can't be made: {error.strerror}; set MARTLINE_HOME to another"
            ) from error

    def make_runtime(self) -> None:
        """Create the folder for sockets and links; refuse one that belongs to somebody else."""
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        if self.runtime.is_symlink() or self.runtime.stat().st_uid != os.getuid():
            raise Failure(f"{self.runtime} belongs to somebody else: ask them or an administrator to remove it")
        self.runtime.chmod(0o700)

    def plain(self, path: Path) -> Path:
        """The path, or a path through a link, without characters that have a meaning in settings."""
        if PLAIN.fullmatch(str(path)):
            return path
        if path != self.folder and path.is_relative_to(self.folder):
            return self.plain(self.folder) / path.relative_to(self.folder)
        self.make_runtime()
        link = self.runtime / f"path-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
        if not (link.is_symlink() and link.readlink() == path):
            # Replaced atomically, because another command may be using the link.
            partial = link.with_name(f"{link.name}.{os.getpid()}")
            partial.unlink(missing_ok=True)
            partial.symlink_to(path)
            partial.replace(link)
        return link

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from starting, stopping or removing this platform."""
        lock = FileLock(self.folder / "lock", mode=0o600)
        try:
            try:
                lock.acquire(timeout=SECONDS_WITHOUT_A_WORD)
            except Timeout:
                console.print(f"Waiting for another command that is at work on {self.folder}", markup=False)
                lock.acquire()
        except OSError as error:
            raise Failure(f"{self.folder / 'lock'} can't be locked: {error.strerror}; remove it") from error
        try:
            yield
        finally:
            lock.release()


def state_folder(checkout: Path) -> Path:
    """``MARTLINE_HOME``, or ``.martline`` in the checkout."""
    return Path(os.environ.get("MARTLINE_HOME") or checkout / ".martline").resolve()


def _require_usable_name(folder: Path) -> None:
    name = str(folder)
    if re.search("[\x00-\x1f\x7f\ud800-\udfff]", name):  # surrogates stand for what is not UTF-8
        shown = name.encode("ascii", "backslashreplace").decode()
        raise Failure(
            f"The state folder {shown} has a control character in its name, or is not UTF-8: set MARTLINE_HOME"
        )
