"""PostgreSQL, the side that is read: the publication, the slot, the snapshots."""

import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from command import Failure, PassingFailure, WrongSettings, postgres
from replication import members
from replication.catalogue import SENDS_GENERATED, Table
from replication.waiting import TELL_SECONDS, told

log = logging.getLogger(__name__)

SLOT_WAIT_SECONDS = 60
# Whoever alters a table waits for the first of a snapshot's readers, and the others would wait for him.
IMPATIENT = {"lock_timeout": "5s"}
BEING_ALTERED = "A table is being altered while it is read: run `replicate` again"


def connect(**options: Any) -> psycopg.Connection:
    """Connect with the settings under which values have the text that :mod:`replication.types` expects."""
    return postgres.connect(**options)


def slot_name(connection: psycopg.Connection, chosen: str | None) -> str:
    """The name of slot and publication: the one chosen, or one made of the database's name."""
    return choose_slot_name(connection.info.dbname, chosen)


def choose_slot_name(database: str, chosen: str | None) -> str:
    """The same, for a database of this name."""
    if chosen is None:
        return ("replication_" + re.sub("[^a-z0-9_]", "_", database.lower()))[:63]
    if not re.fullmatch("[a-z0-9_]{1,63}", chosen):
        raise WrongSettings(f"--slot is {chosen!r}: up to 63 lower-case letters, digits and _ are allowed")
    return chosen


def publish(
    connection: psycopg.Connection,
    publication: str,
    schema: str,
    tables: Sequence[Table],
    attempts: int = members.ATTEMPTS,
) -> None:
    """Make the publication, or add the tables that are not in it yet.

    Whoever holds a lock on one of them is waited for in so many ``attempts``.
    """
    try:
        _publish(connection, publication, schema, tables, attempts)
    except psycopg.errors.InsufficientPrivilege as error:
        raise Failure(
            f"PostgreSQL's user {connection.info.user} may not change the publication {publication}"
            f" ({str(error).splitlines()[0]}): run the SQL of `replication-roles postgresql` as the tables' owner"
        ) from error


def _publish(
    connection: psycopg.Connection, publication: str, schema: str, tables: Sequence[Table], attempts: int
) -> None:
    name = sql.Identifier(publication)
    if not connection.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", [publication]).fetchone():
        options = "publish_via_partition_root = true"
        if connection.info.server_version >= SENDS_GENERATED:
            options += ", publish_generated_columns = stored"
        connection.execute(sql.SQL("CREATE PUBLICATION {} WITH ({})").format(name, sql.SQL(options)))
    published = {
        table
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_publication_tables WHERE pubname = %s AND schemaname = %s",
            [publication, schema],
        ).fetchall()
    }
    missing = [table.name for table in tables if table.name not in published]
    if missing:
        members.add(connection, publication, schema, missing, attempts)


@dataclass(frozen=True)
class Slot:
    """A replication slot: how far its changes are confirmed, and whether the next are still there."""

    confirmed: int
    lost: bool


def read_slot(connection: psycopg.Connection, name: str) -> Slot | None:
    """The slot, or None where there is none."""
    row = connection.execute(
        "SELECT confirmed_flush_lsn - '0/0'::pg_lsn, coalesce(wal_status = 'lost', false),"
        " coalesce(database = current_database() AND plugin = 'pgoutput', false)"
        " FROM pg_replication_slots WHERE slot_name = %s",
        [name],
    ).fetchone()
    if row is None:
        return None
    confirmed, lost, ours = row
    if not ours:
        raise Failure(f"The slot {name} is another database's or plugin's: choose another name with --slot")
    return Slot(int(confirmed), lost)


def create_slot(connection: psycopg.Connection, name: str) -> int:
    """Make the slot; return the LSN from which it has every change."""
    statement = "SELECT lsn - '0/0'::pg_lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')"
    try:
        with told(connection, f"the making of the slot {name}"):
            [(lsn,)] = connection.execute(statement, [name]).fetchall()
    except psycopg.Error as error:
        raise Failure(
            f"PostgreSQL makes no replication slot ({str(error).splitlines()[0]}): it needs wal_level=logical,"
            " a free slot (max_replication_slots), and a user with REPLICATION"
        ) from error
    return int(lsn)


def copy_slot(connection: psycopg.Connection, name: str) -> tuple[str, int]:
    """Make a copy of the slot that ends with the connection; return its name and the LSN where it is."""
    copy = f"reading_{connection.info.backend_pid}"
    try:
        [(lsn,)] = connection.execute(
            "SELECT lsn - '0/0'::pg_lsn FROM pg_copy_logical_replication_slot(%s, %s, true)", [name, copy]
        ).fetchall()
    except psycopg.Error as error:
        raise Failure(
            f"PostgreSQL makes no copy of the replication slot {name} ({str(error).splitlines()[0]}):"
            " it needs one more free slot (max_replication_slots)"
        ) from error
    return copy, int(lsn)


def drop_slot(connection: psycopg.Connection, name: str) -> None:
    """Drop the slot."""
    connection.execute("SELECT pg_drop_replication_slot(%s)", [name])


def advance_slot(connection: psycopg.Connection, name: str, lsn: int) -> None:
    """Tell the slot that the changes up to ``lsn`` are not needed again."""
    connection.execute(
        "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots"
        " WHERE slot_name = %s AND confirmed_flush_lsn < %s::pg_lsn",
        [format_lsn(lsn), name, format_lsn(lsn)],
    )


def wait_until_free(connection: psycopg.Connection, name: str) -> None:
    """Wait until the server has noticed that a reader of the slot was killed."""
    started = time.monotonic()
    told_of = None
    query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s AND active"
    while readers := connection.execute(query, [name]).fetchall():
        waited = time.monotonic() - started
        if waited > TELL_SECONDS and readers != told_of:
            told_of = readers
            log.warning("waiting for process %s of PostgreSQL, which reads the slot %s", readers[0][0], name)
        if waited > SLOT_WAIT_SECONDS:
            raise PassingFailure(f"Process {readers[0][0]} of PostgreSQL reads the slot {name}: stop its client")
        time.sleep(0.1)


def current_lsn(connection: psycopg.Connection) -> int:
    """How far PostgreSQL's log is safely written."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def inserted_lsn(connection: psycopg.Connection) -> int:
    """How far PostgreSQL's log is written, also what is not safe yet."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def format_lsn(lsn: int) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Fail in a sentence where someone alters, renames or drops a table just as it is looked at."""
    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable) as error:
        raise PassingFailure(BEING_ALTERED) from error


@contextmanager
def locked(schema: str, tables: Sequence[Table]) -> Iterator[None]:
    """Keep the tables from being dropped, altered or written anew; rows may change.

    Rows must keep their places while several connections read them by their places.
    """
    names = sql.SQL(", ").join(
        # What inherits from a table is a table of its own, but partitions are the table.
        sql.SQL("ONLY {}" if table.partitions is None else "{}").format(sql.Identifier(schema, table.name))
        for table in tables
    )
    with postgres.connect(IMPATIENT) as holder:
        holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        yield


@dataclass(frozen=True)
class Exported:
    """A snapshot, and the temporary slot that exported it: it has the changes that are not in the snapshot."""

    reader: psycopg.Connection
    """Sees the source at one moment."""
    lsn: int
    """That moment: what committed before it is seen, what committed after it is not."""
    connection: psycopg.Connection
    slot: str


@contextmanager
def snapshot(stopped: threading.Event | None = None) -> Iterator[Exported]:
    """The source at one moment.

    A temporary slot exports the snapshot. It waits for the transactions that run at this moment, or until
    ``stopped`` is set. See *CREATE_REPLICATION_SLOT* in PostgreSQL's documentation of the streaming replication
    protocol.
    """
    with connect(replication="database", autocommit=True) as exporter:
        slot = f"snapshot_{exporter.info.backend_pid}"
        statement = f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"
        try:
            with told(exporter, "a snapshot", stopped):
                [(_, consistent, name, _)] = exporter.execute(statement.encode()).fetchall()
        except psycopg.Error as error:
            raise Failure(f"PostgreSQL exports no snapshot: {str(error).splitlines()[0]}") from error
        high, low = consistent.split("/")
        with postgres.connect(IMPATIENT) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            reader.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(name))
            yield Exported(reader, (int(high, 16) << 32) + int(low, 16), exporter, slot)
