"""How a snapshot is cut: tables into ranges of pages, and these into tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pg_to_mysql.tables.table import Table

RANGE_BYTES = 16 << 20
"""Of PostgreSQL's pages. It is one transaction in MySQL: large enough to hide the cost of a commit, small enough
that the pipes end together and that MySQL's binary log holds it in memory or page cache."""
MOST_RANGES = 2000
RANGE_COST = 1 << 20
"""What a range costs beside its bytes, in bytes: so few small tables share a task."""


@dataclass(frozen=True)
class Range:
    """The rows of some pages of a table; ``low`` is the first page, ``high`` the one after the last."""

    table: Table
    staging: str
    """Where the rows go."""
    number: int
    """Among the table's ranges."""
    schema: str
    relation: str
    """The table, or the partition that has the pages."""
    low: int
    high: int | None
    size: int
    """Bytes in PostgreSQL, large values that are stored apart included."""

    def from_clause(self) -> sql.Composed:
        """The range's rows, for a SELECT."""
        pages = [sql.SQL("ctid >= {}::tid").format(f"({self.low},0)")] if self.low else []
        if self.high is not None:
            pages.append(sql.SQL("ctid < {}::tid").format(f"({self.high},0)"))
        # Without a condition where there is none, as PostgreSQL reads a whole table ahead.
        where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(pages) if pages else sql.SQL("")
        # ONLY: what inherits from the table is a table of its own.
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
    range_bytes = max(RANGE_BYTES, sum(sizes.values()) // MOST_RANGES)
    numbers = dict.fromkeys(by_oid, 0)
    ranges = []
    for oid, schema, relation, pages, size in sorted(relations, key=lambda row: -sizes[row[0]]):
        table, staging = by_oid[oid]
        parts = max(1, min(pages, -(-size // range_bytes)))
        bounds = [pages * i // parts for i in range(parts)]
        # The last has no end: whatever the snapshot sees is in it.
        for low, high in zip(bounds, [*bounds[1:], None], strict=True):
            ranges.append(Range(table, staging, numbers[oid], schema, relation, low, high, size // parts))
            numbers[oid] += 1
    return ranges


def tasks(ranges: Sequence[Range]) -> list[Task]:
    """The ranges in tasks of about the same cost, in the order of the ranges."""
    made: list[Task] = []
    task: list[Range] = []
    cost = 0
    for part in ranges:
        task.append(part)
        cost += part.size + RANGE_COST
        if cost >= RANGE_BYTES:
            made.append(tuple(task))
            task, cost = [], 0
    return [*made, tuple(task)] if task else made
