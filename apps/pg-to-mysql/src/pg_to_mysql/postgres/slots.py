"""Replication slots: they keep the changes that are not read yet."""

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
    """The name of slot and publication: the one chosen, or one made of the database's name."""
    return choose_slot_name(connection.info.dbname, chosen)


def choose_slot_name(database: str, chosen: str | None) -> str:
    """The same, for a database of this name."""
    if chosen is None:
        return ("replication_" + re.sub("[^a-z0-9_]", "_", database.lower()))[:63]
    if not re.fullmatch("[a-z0-9_]{1,63}", chosen):
        raise WrongSettings(
            f"slot is {chosen!r}: up to 63 lower-case letters, digits and _ are allowed",
            settings={Setting.SLOT: None},
        )
    return chosen


@dataclass(frozen=True)
class Slot:
    """A replication slot: how far its changes are confirmed, and whether the next are still there."""

    confirmed: int
    lost: bool


class NotOurs(Failure):
    """There is a slot of that name, but not for this."""


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
        raise NotOurs(
            f"The slot {name} is another database's or plugin's: choose another slot's name",
            settings={Setting.SLOT: None},
        )
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
