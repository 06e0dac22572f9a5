"""Looks at processes that may end at any moment."""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def command_lines(processes: Iterable[psutil.Process]) -> dict[psutil.Process, str]:
    """The command line of each of these processes that has not ended, its words joined by blanks."""
    found = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # or a zombie, which psutil counts among these
            found[process] = " ".join(process.cmdline())
    return {process: line for process, line in found.items() if line}
