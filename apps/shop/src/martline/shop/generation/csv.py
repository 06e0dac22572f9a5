"""Rows as CSV, for PostgreSQL's COPY and for files."""

import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

PIECE = 2**16
"""How many rows are made at once."""
_ROWS = WriteOptions(include_header=False)


def as_csv(rows: pa.RecordBatch) -> bytes:
    """The rows without a header. Strings are quoted, null is empty, moments are like ``2026-01-02 03:04:05``."""
    sink = pa.BufferOutputStream()
    write_csv(rows, sink, _ROWS)
    return bytes(sink.getvalue())


def pieces(count: int, size: int = PIECE) -> list[tuple[int, int]]:
    """The ranges of ``count`` rows that are made at once: the first row, and the row after the last one."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
