"""Where Spark's log goes: a notebook would show it among its results."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def log_file() -> Path:
    """The file with the log of this notebook's Spark."""
    folder = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    return Path(folder, f"notebook-{os.getpid()}.log")


@contextmanager
def errors_into(file: Path) -> Iterator[None]:
    """Make programs that start in this block log to the file, so the notebook does not show their log."""
    kept = os.dup(2)
    with file.open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
