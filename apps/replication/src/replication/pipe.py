"""What LOAD DATA LOCAL INFILE reads, written while it reads."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

BLOCK_BYTES = 64 << 10
"""Written at once. More is not faster, and is memory."""
PIPE_BYTES = 1 << 20
"""What the kernel keeps between writer and reader, where it lets us choose: each rarely waits for the other."""

Write = Callable[[BinaryIO], None]


@contextmanager
def readable(write: Write) -> Iterator[str]:
    """A path from which what ``write`` writes can be read while it writes."""
    reading, writing = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=BLOCK_BYTES) as stream:
                write(stream)
        except BrokenPipeError:
            pass  # the reader has failed, and says why
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=run, daemon=True)
    writer.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        writer.join()
        if errors:
            raise errors[0]
