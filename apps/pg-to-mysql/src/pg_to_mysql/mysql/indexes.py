"""Secondary indexes in MySQL: which ones it can have, and which ones a change of columns must rebuild."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import pymysql

from pg_to_mysql.mysql.definitions import add_indexes, index_part, index_prefix
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.refusal import is_refusal
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.tables.table import Index, Table
from pg_to_mysql.tables.types import MySQLType

log = logging.getLogger(__name__)

INDEXES = """
SELECT index_name, column_name, sub_part FROM information_schema.statistics
WHERE table_schema = DATABASE() AND {} AND index_type IN ('BTREE', 'HASH')
    AND index_name <> 'PRIMARY'
ORDER BY index_name, seq_in_index
"""


@dataclass(frozen=True)
class _Part:
    """A column of an index, and how many of its first characters or bytes are indexed; None if all are."""

    column: str | None
    """None if it is an expression."""
    prefix: int | None


def create_indexes(target: Target, name: str, table: Table) -> None:
    """Add the secondary indexes of ``table`` to the table called ``name``, except those that MySQL refuses."""
    for left_out in table.left_out:
        log.warning("%s is copied without %s", table.name, left_out)
    if not table.indexes:
        return
    try:
        target.execute(add_indexes(name, table))
    except pymysql.MySQLError as error:
        if not is_refusal(error):
            raise
        # All others in one statement, because MySQL reads all rows for each statement.
        possible = replace(table, indexes=tuple(_possible(target, name, table)))
        if possible.indexes:
            target.execute(add_indexes(name, possible))


def _possible(target: Target, name: str, table: Table) -> Iterator[Index]:
    """The indexes that MySQL accepts; each is tried, after those before it, on an empty table like this one."""
    trial = f"{name}_indexes"
    target.execute(f"CREATE TABLE {quote(trial)} LIKE {quote(name)}")
    for index in table.indexes:
        try:
            target.execute(add_indexes(trial, replace(table, indexes=(index,))))
        except pymysql.MySQLError as error:
            if not is_refusal(error):
                raise
            log.warning(
                "%s is copied without the index %s, which MySQL refuses (%s)",
                table.name,
                index.name,
                error.args[-1],
            )
        else:
            yield index
    target.drop_tables([trial])


def renewed_indexes(target: Target, name: str, before: Table, after: Table) -> list[str]:
    """Clauses that rebuild the indexes of the table called ``name`` that a change of its columns would break.

    They are part of the ALTER TABLE that changes the columns from ``before`` to ``after``.
    """
    old_kinds = {column.attnum: kind.name for column, kind in zip(before.columns, before.types, strict=True)}
    attnums = {column.name.casefold(): column.attnum for column in before.columns}
    columns = {
        column.attnum: (column.name, kind) for column, kind in zip(after.columns, after.types, strict=True)
    }
    actions = []
    for index, parts in _read(target, name):
        places = [attnums.get((part.column or "").casefold(), 0) for part in parts]
        if 0 in places:
            continue  # a user's own index
        if not all(place in columns for place in places):
            actions.append(
                f"DROP INDEX {quote(index)}"
            )  # PostgreSQL also drops the index when it drops one of the columns
            continue
        changed = any(old_kinds[place] != columns[place][1].name for place in places)
        prefixes = [
            _prefix(part.prefix, columns[place][1], len(parts)) for part, place in zip(parts, places, strict=True)
        ]
        if changed and prefixes != [part.prefix for part in parts]:
            definition = ", ".join(
                index_part(columns[place][0], prefix) for place, prefix in zip(places, prefixes, strict=True)
            )
            actions += [f"DROP INDEX {quote(index)}", f"ADD INDEX {quote(index)} ({definition})"]
    return actions


def _read(target: Target, name: str) -> list[tuple[str, list[_Part]]]:
    """The secondary indexes of the table in MySQL, whoever created them: name and columns."""
    rows = target.execute(INDEXES.format(target.named), [name])
    indexes = []
    for index, group in groupby(rows, key=lambda row: str(row[0])):
        parts = [_Part(column, prefix) for _, column, prefix in group]
        indexes.append((index, parts))
    return indexes


def _prefix(now: int | None, kind: MySQLType, columns: int) -> int | None:
    """How much of a column of this type to index, given how much of it is indexed now."""
    longest = index_prefix(kind, columns)
    return longest if now is None or longest is None else min(now, longest)
