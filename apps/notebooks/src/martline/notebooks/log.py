"""Where Spark's log goes: a notebook would show it among its results."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def log_file() -> Path:
    """The file with the log of this notebook's Spark."""
    folders = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    return Path(folders.split(",")[0], f"notebook-{os.getpid()}.log")


@contextmanager
def errors_into(file: Path) -> Iterator[None]:
    """Make programs that start in this block log to the file, so the notebook does not show their log.

    Everybody may be able to write to the folder. So only the file's owner can read it, and a link in its place is
    not followed.
    """
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    kept = os.dup(2)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
