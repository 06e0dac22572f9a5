"""How a snapshot is divided: tables into ranges of pages, and ranges into tasks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pg_to_mysql.tables.table import Table

THREADS = max(4, len(os.sched_getaffinity(0)) + 1)
"""The number of threads that copy on this machine: more than cores, because some threads wait for a disk."""
RANGE_BYTES = 16 << 20
"""The most bytes of PostgreSQL's pages in a range, unless there would be too many ranges. A range is one
transaction in MySQL: large enough to hide the cost of a commit, small enough that the threads end together and
that MySQL's binary log holds it in memory or page cache."""
MOST_RANGES = 2000
RANGE_COST = 1 << 20
"""The fixed cost of a range takes as long as copying this many bytes. So tables are not cut into smaller ranges,
and this is added to the size of each small table that shares a task with others."""


@dataclass(frozen=True)
class Range:
    """The rows in some pages of a table; ``low`` is the first page, ``high`` the page after the last."""

    table: Table
    staging: str
    """The staging table that the rows go into."""
    number: int
    """The number of the range in its table."""
    schema: str
    relation: str
    """The table or partition that has the pages."""
    low: int
    high: int | None
    size: int
    """Bytes in PostgreSQL, including large values that are stored separately."""

    def from_clause(self) -> sql.Composed:
        """The FROM clause that selects the range's rows."""
        pages = [sql.SQL("ctid >= {}::tid").format(f"({self.low},0)")] if self.low else []
        if self.high is not None:
            pages.append(sql.SQL("ctid < {}::tid").format(f"({self.high},0)"))
        # No condition if the range is the whole table, because PostgreSQL then reads ahead.
        where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(pages) if pages else sql.SQL("")
        # ONLY, because a table that inherits from this one is a separate table.
        return sql.SQL("FROM ONLY {}").format(sql.Identifier(self.schema, self.relation)) + where


Task = tuple[Range, ...]

RELATIONS = """
SELECT root.oid, nspname, relname, pg_relation_size(class.oid) / current_setting('block_size')::int,
    pg_table_size(class.oid)
FROM unnest(%s::oid[]) root (oid)
CROSS JOIN LATERAL (
    SELECT relid FROM pg_partition_tree(root.oid) WHERE isleaf
    UNION SELECT root.oid FROM pg_class WHERE pg_class.oid = root.oid AND relkind = 'r'
) leaf
JOIN pg_class class ON class.oid = leaf.relid AND class.relkind = 'r'
JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
ORDER BY class.oid
"""


def cut(reader: psycopg.Connection, tables: Sequence[Table], stagings: Sequence[str]) -> list[Range]:
    """The ranges of the tables, the largest table first; an empty table has one range, if it has any."""
    by_oid = {table.oid: (table, staging) for table, staging in zip(tables, stagings, strict=True)}
    relations = reader.execute(RELATIONS, [list(by_oid)]).fetchall()
    sizes: dict[int, int] = {}
    for oid, *_, size in relations:
        sizes[oid] = sizes.get(oid, 0) + size
    total = sum(sizes.values())
    range_bytes = max(_even_share(total), total // MOST_RANGES, RANGE_COST)
    numbers = dict.fromkeys(by_oid, 0)
    ranges = []
    for oid, schema, relation, pages, size in sorted(relations, key=lambda row: -sizes[row[0]]):
        table, staging = by_oid[oid]
        parts = max(1, min(pages, -(-size // range_bytes)))
        bounds = [pages * i // parts for i in range(parts)]
        # The last range has no end, so it contains everything else that the snapshot sees.
        for low, high in zip(bounds, [*bounds[1:], None], strict=True):
            ranges.append(Range(table, staging, numbers[oid], schema, relation, low, high, size // parts))
            numbers[oid] += 1
    return ranges


def tasks(ranges: Sequence[Range]) -> list[Task]:
    """Group the ranges into tasks of about the same cost, keeping their order."""
    share = _even_share(sum(part.size + RANGE_COST for part in ranges))
    made: list[Task] = []
    task: list[Range] = []
    cost = 0
    for part in ranges:
        task.append(part)
        cost += part.size + RANGE_COST
        if cost >= share:
            made.append(tuple(task))
            task, cost = [], 0
    return [*made, tuple(task)] if task else made


def _even_share(total: int) -> int:
    """The largest share up to :data:`RANGE_BYTES` with which all threads get the same number of shares."""
    rounds = max(1, -(-total // (THREADS * RANGE_BYTES)))
    return -(-total // (THREADS * rounds))
