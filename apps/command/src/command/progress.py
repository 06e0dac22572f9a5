"""Progress of long work: a bar when a person is watching, nothing in a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """How far the work is."""

    def update(self, more: int) -> None:
        """So much more is done."""

    def update_to(self, done: int, note: str | None = None) -> None:
        """So much is done in all; the note stands beside it."""


class _Nobody:
    """Nobody is watching."""

    def update(self, more: int) -> None:
        pass

    def update_to(self, done: int, note: str | None = None) -> None:
        pass


@contextmanager
def progress(total: int | None, unit: str, description: str) -> Iterator[Bar]:
    """A bar on standard error while the block runs; a ``unit`` of B is counted in KiB, MiB and so on."""
    if not sys.stderr.isatty():
        yield _Nobody()
        return
    # Imported where it is used: most runs have nobody who watches, and little to do.
    from command.bar import TerminalBar

    with TerminalBar(total, unit, description) as bar:
        yield bar
