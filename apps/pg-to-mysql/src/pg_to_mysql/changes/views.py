"""A table as a message of the stream sees it, which may be older than the table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pg_to_mysql.following.evolution import Stopped
from pg_to_mysql.postgres.pgoutput import RelationColumn
from pg_to_mysql.tables.table import Column, Table
from pg_to_mysql.tables.types import type_length
from pg_to_mysql.tables.widening import holds


def places(table: Table, relation: Sequence[RelationColumn]) -> tuple[int | None, ...] | Stopped:
    """Where the values of a message belong in an evolved table: a column's index, or None if it was dropped.

    The message may be older than the table. A column that it lacks is younger than the message's rows, and
    has the value :attr:`Column.missing` in them. A message has its columns in the order of their attnums but
    does not tell these; they are found by name, type and order. Where that fits in more than one way, it is
    not followed.
    """
    live = {column.attnum: i for i, column in enumerate(table.columns)}
    known = {column.attnum: column for column in (*table.columns, *table.dropped)}
    # Those that were added and dropped again, unseen, since the table was copied
    passing = set(range(table.settled_attnum + 1, table.last_attnum + 1)) - known.keys()
    candidates = sorted(known.keys() | passing)

    def possible(entry: RelationColumn, attnum: int, *, renamed: bool) -> bool:
        column = known.get(attnum)
        if column is None:
            return True
        # The catalogue shows no name that a column had between two looks: before it was first seen, or dropped.
        unseen = bool(column.former_names) or attnum > table.settled_attnum or attnum not in live
        # Neither does it show a wider type that a column had before it was dropped.
        fits = _was(entry, column) or (attnum not in live and _became(entry, column))
        return fits and (entry.name in column.names or (renamed and unseen))

    for renamed in (False, True):  # the second time, a column may have had names that nobody saw
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
    """A table as a message sees it: without the columns that are younger, in the order of the message."""

    table: Table
    kept: tuple[int, ...]
    """Which of the message's columns are the view's."""
    key: tuple[int, ...]
    """Which of the message's columns make the key."""
    width: int
    """How many columns the message has."""


def seen_by(table: Table, relation: Sequence[RelationColumn]) -> View | Stopped:
    """What of the table a message's rows have; MySQL's defaults are the values that they lack."""
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
    """For each entry, the candidates that it may be if all entries are candidates in ascending order.

    A live candidate is left out only after the last entry: it is there from when it was added, so the ones
    before any other candidate were there too.
    """
    entries, candidates = len(fits), len(live)
    # reached[i][j]: the first i entries can be among the first j candidates; rest[i][j]: the others, the others
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
