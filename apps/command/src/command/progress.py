"""Progress of long work: a bar when a person is watching, nothing in a file."""

from typing import Any

from tqdm import tqdm


def progress(total: int | None, unit: str, description: str) -> "tqdm[Any]":
    """A bar on standard error; call ``update(n)`` and use it as a context manager."""
    return tqdm(total=total, unit=f" {unit}", desc=description, disable=None, dynamic_ncols=True, leave=False)
