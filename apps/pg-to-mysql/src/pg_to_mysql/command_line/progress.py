"""Progress of long work: a bar in a terminal, nothing in a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pg_to_mysql.progress import Report, unseen

if TYPE_CHECKING:
    from tqdm import tqdm


def progress(total: int | None, unit: str, description: str) -> "tqdm[Any]":
    """A bar on standard error; call ``update(n)`` and use it as a context manager."""
    # Imported here, because nobody watches most runs.
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", desc=description, disable=None, dynamic_ncols=True, leave=False)


@contextmanager
def bar(doing: str, unit: str, total: int | None) -> Iterator[Report]:
    """A bar for the work of a replica."""
    if not sys.stderr.isatty():
        with unseen(doing, unit, total) as report:
            yield report
        return
    with progress(total, unit, doing) as shown:
        shown.unit_scale = unit == "B"
        shown.unit_divisor = 1024

        def report(done: int, note: str) -> None:
            shown.set_postfix_str(note, refresh=False)
            shown.update(done - shown.n)

        yield report
