"""The tables in MySQL: made from PostgreSQL's catalogue, and following its changes.

A table in MySQL goes straight to what PostgreSQL's catalogue says now (:func:`evolve`), even though the changes
that are still to be read may have been made before; :func:`places` then says where the values of such an
older message belong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from replication.catalogue import Column, Index, Table, type_length
from replication.types import WIDEST_DECIMAL, MySQLType, Unfit

LONGEST_COMMENT = {"column": 1024, "table": 2048}
"""In characters, as MySQL has it."""
INDEX_BYTES = 3072
"""InnoDB's limit of an index, its columns together."""
BYTES_OF_A_CHARACTER = 4


def quote(name: str) -> str:
    """A name as MySQL's SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """A text as MySQL's SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


# --- making a table ---


def create_table(name: str, table: Table, collation: str) -> str:
    """The statement that makes ``table`` under ``name``, without its secondary indexes."""
    key = ", ".join(quote(table.columns[i].name) for i in table.key)
    definitions = [
        column_definition(column, kind) for column, kind in zip(table.columns, table.types, strict=True)
    ]
    return (
        f"CREATE TABLE {quote(name)} ({', '.join(definitions)}, PRIMARY KEY ({key}))"
        f" ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {collation}{_comment('table', table.comment)}"
    )


def add_indexes(name: str, table: Table) -> str:
    """The statement that adds the secondary indexes, of which there are some, to the table called ``name``."""
    return f"ALTER TABLE {quote(name)} " + ", ".join(f"ADD {_index(table, index)}" for index in table.indexes)


def column_definition(column: Column, kind: MySQLType) -> str:
    """The column as MySQL's SQL defines it."""
    nullable = not column.not_null or (column.unfit is Unfit.NULL and kind.fit)
    null = "" if nullable else " NOT NULL"
    return f"{quote(column.name)} {kind.name}{null}{_comment('column', column.comment)}"


def _comment(of: str, comment: str | None) -> str:
    if not comment:
        return ""
    # MySQL has the comments of columns in a character set without the rarer characters.
    plain = "".join(character if ord(character) <= 0xFFFF else "?" for character in comment)
    return f" COMMENT {text_literal(plain[: LONGEST_COMMENT[of]])}"


def _index(table: Table, index: Index) -> str:
    parts = []
    for i in index.columns:
        prefix = index_prefix(table.types[i], len(index.columns))
        parts.append(index_part(table.columns[i].name, prefix))
    name = f"{index.name}_" if index.name.casefold() == "primary" else index.name.rstrip()
    # Never unique: see replication.unique.
    return f"INDEX {quote(name)} ({', '.join(parts)})"


def index_part(column: str, prefix: int | None) -> str:
    """A column of an index as MySQL's SQL has it."""
    return quote(column) + (f"({prefix})" if prefix else "")


def index_prefix(kind: MySQLType, columns: int) -> int | None:
    """How much of a value an index of so many columns can hold, in characters or bytes; None if all of it."""
    share = INDEX_BYTES // columns
    if kind.name == "LONGBLOB" or (kind.name.startswith("VARBINARY") and columns > 1):
        length = kind.name.removeprefix("VARBINARY").strip("()")
        return share if length == "LONGBLOB" or int(length) > share else None
    if kind.name == "LONGTEXT" or kind.row_bytes > share:
        return share // BYTES_OF_A_CHARACTER
    return None


# --- following PostgreSQL ---


RelationColumn = tuple[str, int, int]
"""A column as a message of the stream describes it: its name, type and type modifier."""


@dataclass(frozen=True)
class Stopped:
    """The table can't be followed, and why."""

    reason: str


@dataclass(frozen=True)
class CopyAgain:
    """What has become of the table's rows is not in the changes, and why: it is to be copied again."""

    reason: str


@dataclass(frozen=True)
class Evolved:
    """What the table in MySQL becomes, and the one statement that makes it so; None if nothing need be done."""

    table: Table
    statement: str | None


def evolve(stored: Table, live: Table | None) -> Evolved | Stopped | CopyAgain:
    """Bring a table, as MySQL has it, to what PostgreSQL's catalogue says now.

    Its name stays: see :func:`rename`. The statement fails or succeeds as a whole, in MySQL and in MariaDB.
    """
    if live is None:
        return Stopped("PostgreSQL does not have it any more, or it has no key")
    if live.oid != stored.oid:
        return Stopped("it is another table of the same name")
    if [live.columns[i].attnum for i in live.key] != [stored.columns[i].attnum for i in stored.key]:
        return Stopped("its key has changed")
    now = {column.attnum: column for column in live.columns}
    # Partitions that PostgreSQL has written anew make the table be copied again.
    rewritten = live.partitions is None and live.storage != stored.storage
    actions = []
    kept, dropped = [], list(stored.dropped)
    for column in stored.columns:
        new = now.get(column.attnum)
        if new is None:
            actions.append(f"DROP COLUMN {quote(column.name)}")
            dropped.append(column)
            continue
        if reason := _hindrance(column, new, rewritten):
            return CopyAgain(reason) if column.name != new.name and _holds(new, column) else Stopped(reason)
        not_null = column.not_null and new.not_null
        former = column.former_names
        if new.name != column.name:
            former = tuple(dict.fromkeys([*former, column.name]))
        kept.append(replace(new, not_null=not_null, former_names=former, unfit=column.unfit))
    added = [column for column in live.columns if column.attnum > stored.last_attnum]
    for column in added:
        if column.missing is None and rewritten:
            reason = (
                f"PostgreSQL has written all rows anew since the column {column.name} was added, and it does"
                " not tell which values they have there"
            )
            return Stopped(reason) if column.has_default else CopyAgain(reason)
    unknown = now.keys() - {column.attnum for column in kept} - {column.attnum for column in added}
    if unknown:
        return Stopped(f"the column {now[min(unknown)].name} was not replicated until now")
    # The rows of changes made before a column was NOT NULL may still come.
    columns = (*kept, *(replace(column, not_null=False) for column in added))
    table = replace(
        live,
        name=stored.name,
        columns=columns,
        dropped=tuple(dropped),
        indexes=(),
        comment=stored.comment,
        settled_attnum=stored.settled_attnum,
        settled_lsn=stored.settled_lsn,
    )
    before = {column.attnum: (column, kind) for column, kind in zip(stored.columns, stored.types, strict=True)}
    for column, kind in zip(table.columns, table.types, strict=True):
        if column.attnum not in before:
            default = "" if column.missing is None else f" DEFAULT {_default(column.missing, kind)}"
            actions.append(f"ADD COLUMN {column_definition(column, kind)}{default}")
            continue
        old, old_kind = before[column.attnum]
        if kind.name != old_kind.name or old.not_null != column.not_null:
            old_name = quote(old.name)
            actions.append(f"CHANGE COLUMN {old_name} {column_definition(column, kind)}")
        elif old.name != column.name:
            actions.append(f"RENAME COLUMN {quote(old.name)} TO {quote(column.name)}")
    statement = f"ALTER TABLE {quote(stored.name)} {', '.join(actions)}" if actions else None
    return Evolved(table, statement)


def _default(missing: str, kind: MySQLType) -> str:
    """The value as MySQL's default; an expression, since LONGTEXT takes nothing else."""
    text = missing.encode()
    decoded = kind.decode(text) if kind.decode else text
    if decoded is None:
        return "NULL"
    return f"({kind.loaded.format(text_literal(decoded.decode()))})"


def _hindrance(old: Column, new: Column, rewritten: bool) -> str | None:
    """Why the column can't be followed; None if it can."""
    if not _holds(new, old):
        return f"the type of its column {new.name} has changed to one that can't hold all values it had"
    materialised = old.missing is not None and new.missing is None
    if rewritten and old.version != new.version and not materialised and _same_type(old, new):
        return f"PostgreSQL may have computed the column {new.name} anew"
    return None


def _same_type(a: Column, b: Column) -> bool:
    return (a.type_oid, a.modifier) == (b.type_oid, b.modifier)


_INTEGERS = ("int2", "int4", "int8")
_TEXTS = ("varchar", "text")
_TIMES = ("time", "timetz", "timestamp", "timestamptz", "interval")


def _holds(wide: Column, narrow: Column) -> bool:
    """Whether a value of one column has the same text in the other."""
    if _same_type(wide, narrow):
        return True
    if wide.type_name in _INTEGERS and narrow.type_name in _INTEGERS:
        return _INTEGERS.index(wide.type_name) >= _INTEGERS.index(narrow.type_name)
    if wide.type_name in _TEXTS and narrow.type_name in _TEXTS:
        return _at_least(wide.length, narrow.length)
    if wide.type_name != narrow.type_name:
        return False
    if wide.type_name == "numeric":
        return _holds_numeric(wide, narrow)
    if wide.type_name == "varbit":
        return _at_least(wide.length, narrow.length)
    if wide.type_name in _TIMES:
        return _at_least(_or_none(wide.modifier), _or_none(narrow.modifier))
    return False


def _holds_numeric(wide: Column, narrow: Column) -> bool:
    if wide.scale == narrow.scale:
        return _at_least(wide.length, narrow.length) and (wide.length is not None or narrow.length is None)
    if Unfit.TEXT in (wide.unfit, narrow.unfit):
        return False  # 1.5 and 1.50 are two texts
    most_digits, most_decimals = WIDEST_DECIMAL
    digits, decimals = (
        (most_digits, most_decimals) if wide.length is None or wide.scale is None else (wide.length, wide.scale)
    )
    if narrow.length is None or narrow.scale is None or digits > most_digits or decimals > most_decimals:
        return False
    return narrow.length - narrow.scale <= digits - decimals and narrow.scale <= decimals


def _or_none(modifier: int) -> int | None:
    return None if modifier < 0 else modifier


def _at_least(wide: int | None, narrow: int | None) -> bool:
    return wide is None or (narrow is not None and wide >= narrow)


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
        return (entry[0] in column.names or (renamed and unseen)) and _compatible(column, entry)

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
                f"a column was dropped and one added, and the changes don't tell which of the two {entry[0]} is"
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
"""The object ids of the types that may have been narrower, as in PostgreSQL's pg_type.dat."""


def _compatible(column: Column, entry: RelationColumn) -> bool:
    """Whether the column has, or had before it was widened, the type of the message's column."""
    _, type_oid, modifier = entry
    if (column.type_oid, column.modifier) == (type_oid, modifier):
        return True
    name = _WIDENED.get(type_oid)
    if name is None:
        return False
    length, scale = type_length(name, modifier)
    narrow = replace(column, type_oid=type_oid, modifier=modifier, type_name=name, length=length, scale=scale)
    return _holds(column, narrow)


def settle(table: Table) -> Table:
    """Forget how the table was, once no message can come that is older than it is now."""
    return replace(
        table,
        columns=tuple(replace(column, former_names=()) for column in table.columns),
        dropped=(),
        settled_attnum=table.last_attnum,
    )
