"""Rows as CSV: what PostgreSQL's COPY reads, and what files hold."""

import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

PIECE = 2**16
"""Rows that are made at once."""
_ROWS = WriteOptions(include_header=False)


def as_csv(rows: pa.RecordBatch) -> bytes:
    """The rows without a header: strings in quotes, null as nothing, moments as ``2026-01-02 03:04:05``."""
    sink = pa.BufferOutputStream()
    write_csv(rows, sink, _ROWS)
    return bytes(sink.getvalue())


def pieces(count: int, size: int = PIECE) -> list[tuple[int, int]]:
    """The ranges that ``count`` rows are made in."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
