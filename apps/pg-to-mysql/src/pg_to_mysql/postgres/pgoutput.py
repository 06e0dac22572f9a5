"""The messages of PostgreSQL's ``pgoutput`` plugin, protocol version 1, read many at a time.

The format is in PostgreSQL's documentation, *Logical Replication Message Formats*. A message is a byte for
its kind and what follows it; numbers are big-endian. Many messages stand one after the other in one buffer,
and their fields are found by NumPy in all of them at once, so that Python does nothing for each row.
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
"""Kinds of a value. An unchanged one is large, an update left it as it was, and the message lacks it."""

SPARE = b"\0NULL\0\0\0"
"""Ends a buffer: eight bytes can be read wherever a message starts, and NULL values become the word."""

POSTGRES_EPOCH = 946_684_800
"""The year 2000, from which PostgreSQL counts microseconds, in seconds since 1970."""


class RelationColumn(NamedTuple):
    """A column as a message describes it."""

    name: str
    type_oid: int
    modifier: int


@dataclass(frozen=True)
class Relation:
    """A table, as it is for the changes that follow: the names, types and type modifiers of its columns."""

    oid: int
    schema: str
    name: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True)
class Values:
    """Where the text of each value is in the buffer; all arrays are of the shape (columns, rows)."""

    kinds: Bytes
    starts: Positions
    ends: Positions

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """All three."""
        return self.kinds, self.starts, self.ends

    def columns(self, kept: Sequence[int]) -> "Values":
        """Some of the columns."""
        return Values(*(array[list(kept)] for array in self.arrays))

    def of(self, rows: Positions | Mask) -> "Values":
        """A copy of some of the rows."""
        return Values(self.kinds[:, rows], self.starts[:, rows], self.ends[:, rows])

    def put(self, rows: Positions, others: "Values") -> None:
        """Put other rows into the places of these."""
        for target, origin in zip(self.arrays, others.arrays, strict=True):
            target[:, rows] = origin


class Messages:
    """Messages that start at ``starts`` in one buffer, which ends with :data:`SPARE`."""

    def __init__(self, data: bytes, starts: Positions) -> None:
        self.data = data
        self.starts = starts
        self.bytes: Bytes = np.frombuffer(data, np.uint8)
        self.kinds: Bytes = self.bytes[starts]

    def number(self, size: int, positions: Positions) -> Positions:
        """The numbers of ``size`` bytes that stand at the positions."""
        numbers: NDArray[Any] = np.ndarray(len(self.data) - size + 1, f">u{size}", self.data, strides=(1,))
        return numbers[positions].astype(np.int64)

    def texts(self, starts: Positions, ends: Positions) -> list[bytes]:
        """What stands between the positions."""
        data = self.data
        return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def rows(self, positions: Positions, columns: int) -> tuple[Values, Positions]:
        """Read the rows (``TupleData``) at the positions, and return the positions after them."""
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
        """Read the relation message that stands there."""
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
        """The oids of the tables that the truncate message that stands there empties."""
        (count,) = _OID.unpack_from(self.data, start + 1)
        return Struct(f"!{count}I").unpack_from(self.data, start + 6)


_OID = Struct("!I")
_COUNT = Struct("!H")
_COLUMN = Struct("!Ii")
