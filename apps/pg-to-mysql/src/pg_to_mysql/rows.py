"""Where rows are written to on their way from one server to the other."""

from collections.abc import Callable
from typing import Protocol

BLOCK_BYTES = 64 << 10
"""Sent at once. More is not faster, and is memory."""


class Stream(Protocol):
    """Where rows are written to."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take the data, which may change afterwards."""


Write = Callable[[Stream], None]
