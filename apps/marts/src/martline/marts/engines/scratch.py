"""A folder for temporary files of one run."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from martline.command import Failure


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that only this user can read and that goes at the end. Those of killed runs are removed too.

    Each run holds a lock on its folder until it has removed it, so what can be locked is of no run any more.
    """
    base = Path(tempfile.gettempdir(), f"build-marts-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise Failure(f"{base} is of another user: remove it, or set TMPDIR to a folder of your own")
    with ExitStack() as stack:
        with _lock(base):
            for left in base.iterdir():
                # Its run still uses it, or has just removed it.
                with suppress(BlockingIOError, FileNotFoundError), _lock(left, fcntl.LOCK_NB):
                    shutil.rmtree(left)
            folder = Path(tempfile.mkdtemp(dir=base))
            stack.enter_context(_lock(folder))
            stack.callback(shutil.rmtree, folder)
        yield folder


@contextmanager
def _lock(folder: Path, how: int = 0) -> Iterator[None]:
    """Hold the folder's lock."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(descriptor)
