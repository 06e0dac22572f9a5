"""The progress of long work, for a caller that shows it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Report = Callable[[int, str], None]
"""Called with how much is done so far, and a note about it."""
Progress = Callable[[str, str, int | None], AbstractContextManager[Report]]
"""Shows one piece of work: its description, its unit (``B`` for bytes), and its total if that is known."""


@contextmanager
def unseen(doing: str, unit: str, total: int | None) -> Iterator[Report]:
    """Show nothing."""
    yield lambda done, note: None
