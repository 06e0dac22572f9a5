"""Replication slots, which keep the changes that have not been read yet."""

import logging
import re
import time
from dataclasses import dataclass

import psycopg

from pg_to_mysql.errors import Failure, PassingFailure, Setting, WrongSettings
from pg_to_mysql.postgres.waiting import TELL_SECONDS, told
from pg_to_mysql.postgres.wal import format_lsn

log = logging.getLogger(__name__)

SLOT_WAIT_SECONDS = 60


def slot_name(connection: psycopg.Connection, chosen: str | None) -> str:
    """The name of slot and publication: the chosen name, or a name made from the database's name."""
    return choose_slot_name(connection.info.dbname, chosen)


def choose_slot_name(database: str, chosen: str | None) -> str:
    """The same, for a database with this name."""
    if chosen is None:
        return ("replication_" + re.sub("[^a-z0-9_]", "_", database.lower()))[:63]
    if not re.fullmatch("[a-z0-9_]{1,63}", chosen):
        raise WrongSettings(
            f"slot is {chosen!r}: use up to 63 lower-case letters, digits and _",
            settings={Setting.SLOT: None},
        )
    return chosen


@dataclass(frozen=True)
class Slot:
    """A replication slot: up to where its changes are confirmed, and whether the next ones still exist."""

    confirmed: int
    lost: bool


class NotOurs(Failure):
    """A slot of that name exists, but for another database or plugin."""


def read_slot(connection: psycopg.Connection, name: str) -> Slot | None:
    """The slot, or None if there is none."""
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
        raise NotOurs(
            f"The slot {name} belongs to another database or plugin: choose another name for the slot",
            settings={Setting.SLOT: None},
        )
    return Slot(int(confirmed), lost)


def create_slot(connection: psycopg.Connection, name: str) -> int:
    """Create the slot; return the LSN from which it has every change."""
    statement = "SELECT lsn - '0/0'::pg_lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')"
    try:
        with told(connection, f"the making of the slot {name}"):
            [(lsn,)] = connection.execute(statement, [name]).fetchall()
    except psycopg.Error as error:
        raise Failure(
            f"PostgreSQL can't create a replication slot ({str(error).splitlines()[0]}): it needs"
            " wal_level=logical, a free slot (max_replication_slots), and a user with REPLICATION"
        ) from error
    return int(lsn)


def copy_slot(connection: psycopg.Connection, name: str) -> tuple[str, int]:
    """Copy the slot for as long as the connection lasts; return the copy's name and its LSN."""
    copy = f"reading_{connection.info.backend_pid}"
    try:
        [(lsn,)] = connection.execute(
            "SELECT lsn - '0/0'::pg_lsn FROM pg_copy_logical_replication_slot(%s, %s, true)", [name, copy]
        ).fetchall()
    except psycopg.Error as error:
        raise Failure(
            f"PostgreSQL can't copy the replication slot {name} ({str(error).splitlines()[0]}):"
            " it needs one more free slot (max_replication_slots)"
        ) from error
    return copy, int(lsn)


def drop_slot(connection: psycopg.Connection, name: str) -> None:
    """Drop the slot."""
    connection.execute("SELECT pg_drop_replication_slot(%s)", [name])


def advance_slot(connection: psycopg.Connection, name: str, lsn: int) -> None:
    """Tell the slot that the changes before ``lsn`` are no longer needed."""
    connection.execute(
        "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots"
        " WHERE slot_name = %s AND confirmed_flush_lsn < %s::pg_lsn",
        [format_lsn(lsn), name, format_lsn(lsn)],
    )


def wait_until_free(connection: psycopg.Connection, name: str) -> None:
    """Wait until nobody reads the slot: the server notices late that a reader was killed."""
    started = time.monotonic()
    told_of = None
    query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s AND active"
    while readers := connection.execute(query, [name]).fetchall():
        waited = time.monotonic() - started
        if waited > TELL_SECONDS and readers != told_of:
            told_of = readers
            log.warning("waiting for PostgreSQL's process %s, which reads the slot %s", readers[0][0], name)
        if waited > SLOT_WAIT_SECONDS:
            raise PassingFailure(f"PostgreSQL's process {readers[0][0]} reads the slot {name}: stop its client")
        time.sleep(0.1)
