"""The columns of a table at the time of a message, which may be older than the table's definition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pg_to_mysql.following.evolution import Stopped
from pg_to_mysql.postgres.pgoutput import RelationColumn
from pg_to_mysql.tables.table import Column, Table
from pg_to_mysql.tables.types import type_length
from pg_to_mysql.tables.widening import holds


def places(table: Table, relation: Sequence[RelationColumn]) -> tuple[int | None, ...] | Stopped:
    """The index of the table's column for each column of a message; None if the column was dropped.

    The message may be older than the table's definition. A column that the message lacks was added later, and its
    value in the message's rows is :attr:`Column.missing`. A message lists its columns in the order of their
    attnums, but without the attnums. So the columns are found by name, type and order. If there is more than one
    way to match them, the table is stopped.
    """
    live = {column.attnum: i for i, column in enumerate(table.columns)}
    known = {column.attnum: column for column in (*table.columns, *table.dropped)}
    # Columns that may have been added and dropped between two looks at the catalogue.
    passing = set(range(table.settled_attnum + 1, table.last_attnum + 1)) - known.keys()
    candidates = sorted(known.keys() | passing)

    def possible(entry: RelationColumn, attnum: int, *, renamed: bool) -> bool:
        column = known.get(attnum)
        if column is None:
            return True
        # A column may have had other names between two looks at the catalogue: before the first look at it, or
        # before it was dropped.
        unseen = bool(column.former_names) or attnum > table.settled_attnum or attnum not in live
        # Before it was dropped, it may also have had a wider type.
        fits = _was(entry, column) or (attnum not in live and _became(entry, column))
        return fits and (entry.name in column.names or (renamed and unseen))

    for renamed in (False, True):  # the second time, columns may have had other names
        ways = _ways(
            [[possible(entry, attnum, renamed=renamed) for attnum in candidates] for entry in relation],
            [attnum in live for attnum in candidates],
        )
        if all(ways):
            break
    result: list[int | None] = []
    for entry, way in zip(relation, ways, strict=True):
        found = {live.get(candidates[i]) for i in way}
        if not found:
            return Stopped("its columns have changed in a way that can't be followed")
        if len(found) > 1:
            return Stopped(
                f"a column was dropped and one added, and the changes don't tell which of the two {entry.name} is"
            )
        result.append(found.pop())
    return tuple(result)


@dataclass(frozen=True)
class View:
    """A table with the columns that a message has, in the message's order."""

    table: Table
    kept: tuple[int, ...]
    """The message's columns that the view contains."""
    key: tuple[int, ...]
    """The message's columns that form the key."""
    width: int
    """The number of the message's columns."""


def seen_by(table: Table, relation: Sequence[RelationColumn]) -> View | Stopped:
    """The part of the table that a message's rows contain. MySQL's defaults supply the other values."""
    found = places(table, relation)
    if isinstance(found, Stopped):
        return found
    kept = [(i, place) for i, place in enumerate(found) if place is not None]
    of_place = {place: n for n, (_, place) in enumerate(kept)}
    if not of_place.keys() >= set(table.key):
        return Stopped("its key has changed")
    seen = replace(
        table,
        columns=tuple(table.columns[place] for _, place in kept),
        key=tuple(of_place[place] for place in table.key),
        indexes=(),
    )
    return View(seen, tuple(i for i, _ in kept), tuple(kept[n][0] for n in seen.key), len(found))


def _ways(fits: Sequence[Sequence[bool]], live: Sequence[bool]) -> list[set[int]]:
    """For each entry, the candidates that it may be, if the entries are different candidates in ascending order.

    A live candidate can be missing only after the last entry: it was never dropped, so if a later candidate
    existed, this one existed too.
    """
    entries, candidates = len(fits), len(live)
    # reached[i][j]: the first i entries fit among the first j candidates.
    # rest[i][j]: the other entries fit among the other candidates.
    reached = [[False] * (candidates + 1) for _ in range(entries + 1)]
    rest = [[False] * (candidates + 1) for _ in range(entries + 1)]
    for i in range(entries + 1):
        for j in range(candidates + 1):
            reached[i][j] = (
                (i == 0 and j == 0)
                or (i > 0 and j > 0 and fits[i - 1][j - 1] and reached[i - 1][j - 1])
                or (j > 0 and not live[j - 1] and reached[i][j - 1])
            )
    for i in range(entries, -1, -1):
        for j in range(candidates, -1, -1):
            rest[i][j] = (
                i == entries
                or (j < candidates and fits[i][j] and rest[i + 1][j + 1])
                or (j < candidates and not live[j] and rest[i][j + 1])
            )
    return [
        {j for j in range(candidates) if reached[i][j] and fits[i][j] and rest[i + 1][j + 1]}
        for i in range(entries)
    ]


_WIDENED = {
    21: "int2", 23: "int4", 20: "int8", 25: "text", 1043: "varchar", 1700: "numeric", 1562: "varbit",
    1083: "time", 1266: "timetz", 1114: "timestamp", 1184: "timestamptz", 1186: "interval",
}  # fmt: skip
"""The object ids of the types that may have been narrower or wider, as in PostgreSQL's pg_type.dat."""


def _was(entry: RelationColumn, column: Column) -> bool:
    """Whether the column has the type of the message's column, or had it before it was widened."""
    if (column.type_oid, column.modifier) == (entry.type_oid, entry.modifier):
        return True
    return entry.type_oid in _WIDENED and holds(column, _typed_as(entry, column))


def _became(entry: RelationColumn, column: Column) -> bool:
    """Whether the message's column may be this one after it was widened."""
    return entry.type_oid in _WIDENED and holds(_typed_as(entry, column), column)


def _typed_as(entry: RelationColumn, column: Column) -> Column:
    name = _WIDENED[entry.type_oid]
    length, scale = type_length(name, entry.modifier)
    return replace(
        column, type_oid=entry.type_oid, modifier=entry.modifier, type_name=name, length=length, scale=scale
    )
