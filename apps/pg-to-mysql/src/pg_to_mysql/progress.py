"""How far long work is, told to whoever wants to show it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Report = Callable[[int, str], None]
"""Takes how much is done by now, and a note about it."""
Progress = Callable[[str, str, int | None], AbstractContextManager[Report]]
"""Shows one piece of work: what is done, its unit (``B`` for bytes), and how much it is if that is known."""


@contextmanager
def unseen(doing: str, unit: str, total: int | None) -> Iterator[Report]:
    """Show nothing."""
    yield lambda done, note: None
