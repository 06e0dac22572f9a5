"""PostgreSQL snapshots that several connections share, and locks that keep tables unaltered meanwhile."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pg_to_mysql.errors import Failure, Kind, PassingFailure
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.postgres.waiting import told
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)
# Someone who alters a table waits for the first reader of a snapshot, and the next readers would queue behind.
IMPATIENT = {"lock_timeout": "5s"}
BEING_ALTERED = "A table is being altered while it is read: run `replicate` again"
EXPORTER_GONE = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.InvalidParameterValue,  # up to PostgreSQL 16
    psycopg.errors.ObjectNotInPrerequisiteState,  # the connection is just ending
)
"""PostgreSQL's messages about a snapshot whose exporting connection has ended."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Raise :class:`PassingFailure` if someone alters, renames or drops a table while this block reads it."""
    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable) as error:
        raise PassingFailure(BEING_ALTERED) from error


@contextmanager
def locked(source: Source, schema: str, tables: Sequence[Table]) -> Iterator[None]:
    """Keep the tables from being dropped, altered or rewritten; rows may change.

    Rows must keep their places while several connections read ranges of places.
    """
    names = sql.SQL(", ").join(
        # A table that inherits from this one is a separate table, but partitions are part of the table.
        sql.SQL("ONLY {}" if table.partitions is None else "{}").format(sql.Identifier(schema, table.name))
        for table in tables
    )
    with source.connect(IMPATIENT) as holder:
        holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        yield


@dataclass(frozen=True)
class Exported:
    """A snapshot, and the temporary slot that exported it. The slot has the changes that follow the snapshot."""

    reader: psycopg.Connection
    """A connection that sees the source at one moment."""
    lsn: int
    """That moment: commits before it are visible, and later commits are not."""
    connection: psycopg.Connection
    slot: str


@contextmanager
def snapshot(source: Source, stopped: threading.Event | None = None) -> Iterator[Exported]:
    """Export a snapshot of the source.

    A temporary slot exports the snapshot. It waits for the transactions that run at this moment, or until
    ``stopped`` is set. See *CREATE_REPLICATION_SLOT* in PostgreSQL's documentation of the streaming replication
    protocol.
    """
    with source.connect(replication="database", autocommit=True) as exporter:
        slot = f"snapshot_{exporter.info.backend_pid}"
        statement = f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"
        try:
            with told(exporter, "a snapshot", stopped):
                [(_, consistent, name, _)] = exporter.execute(statement.encode()).fetchall()
        except psycopg.Error as error:
            raise Failure(f"PostgreSQL can't export a snapshot: {str(error).splitlines()[0]}") from error
        high, low = consistent.split("/")
        with source.connect(IMPATIENT) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            import_snapshot(reader, name)
            yield Exported(reader, (int(high, 16) << 32) + int(low, 16), exporter, slot)


def import_snapshot(reader: psycopg.Connection, name: str) -> None:
    """Let the transaction that ``reader`` is about to begin use the exported snapshot.

    :raises PassingFailure: the connection that exported it has ended.
    """
    try:
        reader.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(name))
    except EXPORTER_GONE as error:
        sentence = "The connection that exported PostgreSQL's snapshot has ended"
        raise PassingFailure(sentence, Kind.CONNECTION) from error
