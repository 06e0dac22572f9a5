"""How a table is cut: into ranges of its key, of about as many rows as make a block, or into lists of keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import Failure

BLOCK_ROWS = 50_000
"""Some megabytes of text: more is not faster, and is memory."""
BLOCKS_AT_ONCE = 8
"""In a task of Spark's, which needs a connection of its own."""
LISTED_AT_ONCE = 5_000
"""Keys in a statement: MySQL gives up to look for each of some tens of thousands, and reads the whole table."""


@dataclass(frozen=True)
class Range:
    """The rows whose key is from ``low`` to ``high``, both included."""

    low: int
    high: int

    def condition(self, key: str) -> str:
        """On the column ``key``, in SQL."""
        return f"`{key}` BETWEEN {self.low} AND {self.high}"

    @property
    def keys(self) -> int:
        """How many there are at most."""
        return self.high - self.low + 1

    def halves(self) -> tuple["Range", "Range"]:
        """Of a range of more than one key."""
        middle = (self.low + self.high) // 2
        return Range(self.low, middle), Range(middle + 1, self.high)


@dataclass(frozen=True)
class Listed:
    """The rows with these keys, of those that are there."""

    listed: tuple[int, ...]

    def condition(self, key: str) -> str:
        """On the column ``key``, in SQL."""
        return f"`{key}` IN ({', '.join(map(str, self.listed))})"

    @property
    def keys(self) -> int:
        """How many there are at most."""
        return len(self.listed)

    def halves(self) -> tuple["Listed", "Listed"]:
        """Of a list of more than one key."""
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
    """The table in tasks, ``at_least`` so many of them if it is large enough."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN(`{key}`), MAX(`{key}`) FROM `{table}`")  # noqa: S608
        [(low, high)] = cursor.fetchall()
        ranges = [] if low is None else list(_cut(cursor, table, key, Range(low, high)))
    size = max(1, min(BLOCKS_AT_ONCE, len(ranges) // at_least))
    return [tuple(ranges[start : start + size]) for start in range(0, len(ranges), size)]


def _cut(cursor: Any, table: str, key: str, whole: Range) -> Iterator[Range]:
    """By halves, until a range has few rows: keys may lie anywhere.

    The server's own estimate is asked, which looks at two leaves of the index.
    """
    todo = [whole]
    while todo:
        part = todo.pop()
        if part.keys == 1 or _estimate(cursor, table, key, part) <= BLOCK_ROWS:
            yield part
        else:
            todo += reversed(part.halves())


def listed(keys: Sequence[int], at_least: int) -> list[Task]:
    """The rows of these keys in tasks, ``at_least`` so many of them if there are enough keys."""
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
