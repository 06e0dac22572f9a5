"""The snapshot: tables that are new in MySQL are copied, and swapped in when they are complete."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

import psycopg
from psycopg import sql

from command import Failure, progress
from replication import source
from replication.catalogue import Table
from replication.schema import is_same, quote
from replication.target import Copied, Target

log = logging.getLogger(__name__)

STAGING = "_replication_staging"
OLD = "_replication_old"


def tables_to_copy(
    target: Target, slot: str, tables: Mapping[str, Table], wanted: Sequence[str], copied: Mapping[str, Copied]
) -> list[Table]:
    """Those of the wanted tables that MySQL lacks, and the copied ones whose columns have changed."""
    in_target = target.table_names()
    todo = []
    for name, table in tables.items():
        known = copied.get(name)
        if known is None:
            if name not in wanted:
                continue
            if name in in_target:
                raise Failure(
                    f"MySQL has a table {name} that did not come from the slot {slot}: rename or drop it,"
                    " or leave it out with --exclude"
                )
        elif known.snapshot_lsn is not None and known.table and is_same(known.table, table):
            continue
        elif known.snapshot_lsn is not None:
            log.info("%s has other columns than when it was copied: copying it again", name)
        todo.append(table)
    return todo


def copy_tables(target: Target, slot: str, schema: str, tables: Sequence[Table]) -> dict[str, int]:
    """Copy the tables as they are at one moment; return the rows of each."""
    rows: dict[str, int] = {}
    if not tables:
        return rows
    with source.snapshot() as (reader, lsn):
        for table in tables:
            rows[table.name] = _copy(reader, lsn, target, slot, schema, table)
            log.info("copied %s: %s rows", table.name, f"{rows[table.name]:,}")
    return rows


def _copy(reader: psycopg.Connection, lsn: int, target: Target, slot: str, schema: str, table: Table) -> int:
    with target.transaction():
        # Before anything else: should this end half-way, the next run knows the table as its own.
        target.execute(
            "REPLACE INTO _replication_tables (slot, name, layout) VALUES (%s, %s, %s)",
            [slot, table.name, table.to_json()],
        )
    target.drop_table(STAGING)
    target.create_table(STAGING, table)
    counts: list[int] = []
    with target.transaction():
        loaded = target.load(
            STAGING,
            table,
            [(column.name, i) for i, column in enumerate(table.columns)],
            lambda stream: counts.append(_write_rows(reader, schema, table, stream)),
        )
    if counts != [loaded]:
        raise Failure(f"MySQL took {loaded} of the {counts[0]} rows of {table.name}: see its error log")
    _swap_in(target, table.name)
    with target.transaction():
        target.execute(
            "UPDATE _replication_tables SET snapshot_lsn = %s, rows_copied = %s, copied_at = UTC_TIMESTAMP(6)"
            " WHERE slot = %s AND name = %s",
            [lsn, loaded, slot, table.name],
        )
    return loaded


def _write_rows(reader: psycopg.Connection, schema: str, table: Table, stream: BinaryIO) -> int:
    columns = [
        sql.SQL(kind.copied).format(sql.Identifier(column.name))
        for column, kind in zip(table.columns, table.types, strict=True)
    ]
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, NULL 'NULL', ENCODING 'UTF8')").format(
        sql.SQL(", ").join(columns), sql.Identifier(schema, table.name)
    )
    with (
        progress(None, "B", table.name) as bar,
        reader.cursor() as cursor,
    ):
        with cursor.copy(query) as rows:
            for block in rows:
                stream.write(block)
                bar.update(len(block))
        return cursor.rowcount


def _swap_in(target: Target, name: str) -> None:
    target.drop_table(OLD)
    if name in target.table_names():
        target.execute(f"RENAME TABLE {quote(name)} TO {OLD}, {STAGING} TO {quote(name)}")
        target.drop_table(OLD)
    else:
        target.execute(f"RENAME TABLE {STAGING} TO {quote(name)}")


def drop_tables(target: Target, slot: str, names: Iterable[str]) -> None:
    """Drop the copies of tables that PostgreSQL does not have any more."""
    for name in names:
        log.info("%s is not in PostgreSQL any more: dropping its copy", name)
        target.drop_table(name)
        with target.transaction():
            target.execute("DELETE FROM _replication_tables WHERE slot = %s AND name = %s", [slot, name])
