"""Divides a table into ranges of its key with about as many rows as a block, or into lists of keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import Failure

BLOCK_ROWS = 50_000
"""The rows of a block, some megabytes of text. Larger blocks are not faster, and need more memory."""
BLOCKS_AT_ONCE = 8
"""The number of blocks in one of Spark's tasks. Each task needs its own connection."""
LISTED_AT_ONCE = 5_000
"""The number of keys in a statement. With some tens of thousands of keys, MySQL would read the whole table."""


@dataclass(frozen=True)
class Range:
    """The rows whose key is from ``low`` to ``high``, both included."""

    low: int
    high: int

    def condition(self, key: str) -> str:
        """The condition on the column ``key``, in SQL."""
        return f"`{key}` BETWEEN {self.low} AND {self.high}"

    @property
    def keys(self) -> int:
        """The largest possible number of rows."""
        return self.high - self.low + 1

    def halves(self) -> tuple["Range", "Range"]:
        """The two halves of a range with more than one key."""
        middle = (self.low + self.high) // 2
        return Range(self.low, middle), Range(middle + 1, self.high)


@dataclass(frozen=True)
class Listed:
    """The existing rows with these keys."""

    listed: tuple[int, ...]

    def condition(self, key: str) -> str:
        """The condition on the column ``key``, in SQL."""
        return f"`{key}` IN ({', '.join(map(str, self.listed))})"

    @property
    def keys(self) -> int:
        """The largest possible number of rows."""
        return len(self.listed)

    def halves(self) -> tuple["Listed", "Listed"]:
        """The two halves of a list with more than one key."""
        middle = len(self.listed) // 2
        return Listed(self.listed[:middle]), Listed(self.listed[middle:])


Task = tuple[Range | Listed, ...]


def key_of(connection: "Connection[Any]", table: str) -> str:
    """The first column of the table's primary key.

    :raises Failure: it is no integer.
    """
    query = (
        "SELECT column_name AS name, data_type AS kind FROM information_schema.columns"
        " JOIN information_schema.statistics USING (table_schema, table_name, column_name)"
        " WHERE table_schema = DATABASE() AND table_name = %s AND index_name = 'PRIMARY' AND seq_in_index = 1"
    )
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(query, [table])
        row = cursor.fetchone()
    if row is None or not str(row["kind"]).lower().endswith("int"):
        raise Failure(f"The table {table} has no integer key by which it can be read in ranges")
    return str(row["name"])


def tasks(connection: "Connection[Any]", table: str, key: str, at_least: int) -> list[Task]:
    """The tasks that read the table, ``at_least`` this many if it is large enough."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN(`{key}`), MAX(`{key}`) FROM `{table}`")  # noqa: S608
        [(low, high)] = cursor.fetchall()
        ranges = [] if low is None else list(_cut(cursor, table, key, Range(low, high)))
    size = max(1, min(BLOCKS_AT_ONCE, len(ranges) // at_least))
    return [tuple(ranges[start : start + size]) for start in range(0, len(ranges), size)]


def _cut(cursor: Any, table: str, key: str, whole: Range) -> Iterator[Range]:
    """Halve the range until each part has few rows, because keys need not be evenly distributed.

    The numbers of rows are the server's estimates, for which it looks at two leaves of the index.
    """
    todo = [whole]
    while todo:
        part = todo.pop()
        if part.keys == 1 or _estimate(cursor, table, key, part) <= BLOCK_ROWS:
            yield part
        else:
            todo += reversed(part.halves())


def listed(keys: Sequence[int], at_least: int) -> list[Task]:
    """The tasks that read the rows with these keys, ``at_least`` this many if there are enough keys."""
    size = max(1, min(LISTED_AT_ONCE, -(-len(keys) // at_least)))
    return [(Listed(tuple(keys[start : start + size])),) for start in range(0, len(keys), size)]


def _estimate(cursor: Any, table: str, key: str, part: Range) -> int:
    cursor.execute(
        f"EXPLAIN FORMAT=TRADITIONAL SELECT COUNT(*) FROM `{table}` FORCE INDEX (PRIMARY)"  # noqa: S608
        f" WHERE {part.condition(key)}"
    )
    names = [column[0] for column in cursor.description]
    [row] = cursor.fetchall()
    return int(row[names.index("rows")] or 0)
