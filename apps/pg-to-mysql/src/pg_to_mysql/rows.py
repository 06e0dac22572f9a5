"""A destination for rows on their way from one server to the other."""

from collections.abc import Callable
from typing import Protocol

BLOCK_BYTES = 64 << 10
"""Bytes sent at once. More bytes are not faster, and need more memory."""


class Stream(Protocol):
    """A destination for rows."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take the data. The caller may change the buffer afterwards."""


Write = Callable[[Stream], None]
