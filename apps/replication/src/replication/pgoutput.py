"""The messages of PostgreSQL's ``pgoutput`` plugin, protocol version 1.

The format is in PostgreSQL's documentation, *Logical Replication Message Formats*.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final


class Unchanged(Enum):
    """In the place of a large value that an update left as it was, and that the message therefore lacks."""

    VALUE = 0


UNCHANGED: Final = Unchanged.VALUE

Value = bytes | None | Unchanged
"""The text of a value, None for NULL."""
Row = list[Value]


@dataclass(frozen=True)
class Begin:
    """A transaction begins; ``commit_lsn`` is where its commit record starts."""

    commit_lsn: int


@dataclass(frozen=True)
class Commit:
    """The transaction is complete; ``end_lsn`` is where its commit record ends."""

    end_lsn: int


@dataclass(frozen=True)
class Relation:
    """A table, as it is for the changes that follow: the names and types of its columns."""

    oid: int
    schema: str
    name: str
    columns: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Insert:
    relation: int
    row: Row


@dataclass(frozen=True, slots=True)
class Update:
    """``old`` is the row's key before, among columns that are None, or None where the key stayed."""

    relation: int
    old: Row | None
    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
    """``old`` is the row's key, among columns that are None."""

    relation: int
    old: Row


@dataclass(frozen=True)
class Truncate:
    relations: tuple[int, ...]


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate

_BEGIN = Struct("!Q")
_COMMIT = Struct("!xQQ")
_RELATION_COLUMN = Struct("!ii")
_TRUNCATE = Struct("!iB")
_INT16 = Struct("!H")
_INT32 = Struct("!I")


def parse(messages: Iterable[bytes]) -> Iterator[Message]:
    """Read the messages; those of no use here (types, origins) are left out."""
    for data in messages:
        kind = data[0]
        if kind == 0x49:  # I
            row, _ = _row(data, 6)
            yield Insert(_oid(data), row)
        elif kind == 0x55:  # U
            yield _update(data)
        elif kind == 0x44:  # D
            row, _ = _row(data, 6)
            yield Delete(_oid(data), row)
        elif kind == 0x42:  # B
            yield Begin(_BEGIN.unpack_from(data, 1)[0])
        elif kind == 0x43:  # C
            yield Commit(_COMMIT.unpack_from(data, 1)[1])
        elif kind == 0x52:  # R
            yield _relation(data)
        elif kind == 0x54:  # T
            count, _ = _TRUNCATE.unpack_from(data, 1)
            yield Truncate(Struct(f"!{count}I").unpack_from(data, 6))


def _oid(data: bytes) -> int:
    oid: int = _INT32.unpack_from(data, 1)[0]
    return oid


def _row(data: bytes, position: int) -> tuple[Row, int]:
    (count,) = _INT16.unpack_from(data, position)
    position += 2
    row: Row = []
    for _ in range(count):
        kind = data[position]
        position += 1
        if kind == 0x74:  # t: text
            (length,) = _INT32.unpack_from(data, position)
            position += 4
            row.append(data[position : position + length])
            position += length
        else:  # n: NULL, u: unchanged
            row.append(None if kind == 0x6E else UNCHANGED)
    return row, position


def _update(data: bytes) -> Update:
    if data[5] == 0x4E:  # N: the new row alone
        row, _ = _row(data, 6)
        return Update(_oid(data), None, row)
    old, position = _row(data, 6)
    row, _ = _row(data, position + 1)
    return Update(_oid(data), old, row)


def _relation(data: bytes) -> Relation:
    schema, name, rest = data[5:].split(b"\0", 2)
    (count,) = _INT16.unpack_from(rest, 1)
    position = 3
    columns = []
    for _ in range(count):
        end = rest.index(0, position + 1)
        type_oid, _modifier = _RELATION_COLUMN.unpack_from(rest, end + 1)
        columns.append((rest[position + 1 : end].decode(), type_oid))
        position = end + 9
    # pg_catalog is sent as an empty name
    return Relation(_oid(data), schema.decode() or "pg_catalog", name.decode(), tuple(columns))
