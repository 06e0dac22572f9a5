"""Reads many messages of PostgreSQL's ``pgoutput`` plugin, protocol version 1, at once.

The format is described in PostgreSQL's documentation, *Logical Replication Message Formats*. The first byte of a
message is its kind; numbers are big-endian. One buffer contains many messages, and NumPy finds a field in all of
them at once, so Python does nothing for single rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

BEGIN, COMMIT, RELATION, INSERT, UPDATE, DELETE, TRUNCATE = (ord(kind) for kind in "BCRIUDT")
NEW_ROW = ord("N")
TEXT, NULL, UNCHANGED = (ord(kind) for kind in "tnu")
"""Kinds of a value. A message lacks an unchanged one: a large value that an update left as it was."""

SPARE = b"\0NULL\0\0\0"
"""The end of a buffer. So eight bytes can be read at the start of each message, and NULL values have a word to
point to."""

POSTGRES_EPOCH = 946_684_800
"""The start of the year 2000 in seconds since 1970. PostgreSQL counts microseconds from it."""


class RelationColumn(NamedTuple):
    """A column as a message describes it."""

    name: str
    type_oid: int
    modifier: int


@dataclass(frozen=True)
class Relation:
    """The description of a table that holds for the changes after it."""

    oid: int
    schema: str
    name: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True)
class Values:
    """The positions of values in the buffer. All arrays have the shape (columns, rows)."""

    kinds: Bytes
    starts: Positions
    ends: Positions

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """The three arrays."""
        return self.kinds, self.starts, self.ends

    def columns(self, kept: Sequence[int]) -> "Values":
        """A copy of some columns."""
        return Values(*(array[list(kept)] for array in self.arrays))

    def of(self, rows: Positions | Mask) -> "Values":
        """A copy of some rows."""
        return Values(self.kinds[:, rows], self.starts[:, rows], self.ends[:, rows])

    def put(self, rows: Positions, others: "Values") -> None:
        """Replace these rows with others."""
        for target, origin in zip(self.arrays, others.arrays, strict=True):
            target[:, rows] = origin


class Messages:
    """Messages at the positions ``starts`` of a buffer that ends with :data:`SPARE`."""

    def __init__(self, data: bytes, starts: Positions) -> None:
        self.data = data
        self.starts = starts
        self.bytes: Bytes = np.frombuffer(data, np.uint8)
        self.kinds: Bytes = self.bytes[starts]

    def number(self, size: int, positions: Positions) -> Positions:
        """The numbers of ``size`` bytes at these positions."""
        numbers: NDArray[Any] = np.ndarray(len(self.data) - size + 1, f">u{size}", self.data, strides=(1,))
        return numbers[positions].astype(np.int64)

    def texts(self, starts: Positions, ends: Positions) -> list[bytes]:
        """The bytes between these positions."""
        data = self.data
        return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def rows(self, positions: Positions, columns: int) -> tuple[Values, Positions]:
        """Read the rows (``TupleData``) at these positions; also return the positions after them."""
        shape = (columns, len(positions))
        values = Values(np.empty(shape, np.uint8), np.empty(shape, np.int64), np.empty(shape, np.int64))
        positions = positions + 2  # the number of columns
        for column in range(columns):
            kinds = self.bytes[positions]
            present = kinds == TEXT
            lengths = np.where(present, self.number(4, positions + 1), 0)
            starts = positions + np.where(present, 5, 1)
            positions = starts + lengths
            values.kinds[column], values.starts[column], values.ends[column] = kinds, starts, positions
        return values, positions

    def relation(self, start: int) -> Relation:
        """Read the relation message at this position."""
        (oid,) = _OID.unpack_from(self.data, start + 1)
        schema_end = self.data.index(b"\0", start + 5)
        name_end = self.data.index(b"\0", schema_end + 1)
        (count,) = _COUNT.unpack_from(self.data, name_end + 2)
        position = name_end + 4
        columns = []
        for _ in range(count):
            end = self.data.index(b"\0", position + 1)
            type_oid, modifier = _COLUMN.unpack_from(self.data, end + 1)
            columns.append(RelationColumn(self.data[position + 1 : end].decode(), type_oid, modifier))
            position = end + 9
        # pg_catalog is sent as an empty name
        schema = self.data[start + 5 : schema_end].decode() or "pg_catalog"
        return Relation(oid, schema, self.data[schema_end + 1 : name_end].decode(), tuple(columns))

    def truncated(self, start: int) -> Sequence[int]:
        """The oids of the tables in the truncate message at this position."""
        (count,) = _OID.unpack_from(self.data, start + 1)
        return Struct(f"!{count}I").unpack_from(self.data, start + 6)


_OID = Struct("!I")
_COUNT = Struct("!H")
_COLUMN = Struct("!Ii")
