"""The status of a replica: the slot, how far MySQL lags behind, and what was copied when."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg

from pg_to_mysql.errors import Setting
from pg_to_mysql.identity.identity import refuse_standby
from pg_to_mysql.mysql.state import KnownTable
from pg_to_mysql.operation.open_replica import OpenReplica
from pg_to_mysql.passing import in_sentences
from pg_to_mysql.postgres import slots, wal
from pg_to_mysql.postgres.connection import Source

log = logging.getLogger(__name__)
WARN_OVER = 5 << 30
NEARLY_LOST = 0.2
"""Warn if less than this share of ``max_slot_wal_keep_size`` is left."""


@dataclass(frozen=True)
class RetainedLog:
    """The log that PostgreSQL keeps for a slot."""

    state: str
    """``wal_status`` of ``pg_replication_slots``: `reserved`, `extended`, `unreserved` or `lost`."""
    size: int
    """In bytes; 0 if the slot is lost."""
    left: int | None
    """Bytes until the slot is lost; None if ``max_slot_wal_keep_size`` sets no limit."""


def read_retained_log(connection: psycopg.Connection, slot: str) -> RetainedLog | None:
    """The log kept for the slot, or None if there is no slot."""
    row = connection.execute(
        "SELECT coalesce(wal_status, 'lost'), coalesce(pg_current_wal_lsn() - restart_lsn, 0), safe_wal_size"
        " FROM pg_replication_slots WHERE slot_name = %s",
        [slot],
    ).fetchone()
    return RetainedLog(row[0], int(row[1]), row[2]) if row else None


def guard_disk(
    connection: psycopg.Connection, slot: str, *, warn_over: int, drop_over: int | None
) -> RetainedLog | None:
    """Warn if a slot fills PostgreSQL's disk, or drop it over a limit; return the log kept afterwards."""
    retained = read_retained_log(connection, slot)
    if retained is None:
        return None
    if drop_over is not None and retained.size > drop_over:
        slots.wait_until_free(connection, slot)
        slots.drop_slot(connection, slot)
        log.warning(
            "dropped the slot %s, for which PostgreSQL kept %s of its log (the limit is %s):"
            " the next `replicate` copies the tables again",
            slot,
            format_size(retained.size),
            format_size(drop_over),
        )
        return None
    if retained.size > warn_over:
        log.warning(
            "PostgreSQL keeps %s of its log for the slot %s: run `replicate`, or drop the slot before the disk is"
            " full",
            format_size(retained.size),
            slot,
            extra={"settings": {Setting.DROP_SLOT_OVER: None}},
        )
    elif retained.left is not None and retained.left < NEARLY_LOST * (retained.left + retained.size):
        log.warning(
            "PostgreSQL will lose the slot %s after %s more of its log (max_slot_wal_keep_size): run `replicate`",
            slot,
            format_size(max(0, retained.left)),
        )
    return retained


@in_sentences
def guard_disk_of(source: Source, chosen_slot: str | None, *, warn_over: int, drop_over: int | None) -> None:
    """Do the same over a separate connection, so that MySQL need not be running."""
    with source.connect(autocommit=True) as connection:
        refuse_standby(connection)
        slot = slots.slot_name(connection, chosen_slot)
        guard_disk(connection, slot, warn_over=warn_over, drop_over=drop_over)


@dataclass(frozen=True)
class TableStatus:
    """The status of a table."""

    state: Literal["copying", "copied", "stopped"]
    reason: str | None
    """Why it is stopped."""
    rows_copied: int | None
    copied_at: datetime | None
    """In UTC."""


@dataclass(frozen=True)
class Status:
    """The status of a replica."""

    slot: str
    other_source: str | None
    """A sentence that says why the source is not that of the copies; None if it is."""
    slot_state: Literal["missing", "lost", "ready"]
    retained_wal_bytes: int
    """Bytes of its log that PostgreSQL keeps for the slot."""
    safe_wal_bytes: int | None
    """Bytes of log until the slot is lost; None if there is no limit."""
    applied_lsn: str | None
    lag_bytes: int | None
    lag_seconds: float | None
    tables: dict[str, TableStatus]


def read_status(replica: OpenReplica) -> Status:
    """Read the slot's state, the lag in bytes and seconds, and each table's state."""
    retained = read_retained_log(replica.connection, replica.slot)
    applied = replica.state.applied_lsn()
    other_source = replica.other_source()
    lag_bytes = None if applied is None or other_source else max(0, wal.current_lsn(replica.connection) - applied)
    seconds = replica.state.seconds_since_equal()
    return Status(
        slot=replica.slot,
        other_source=other_source,
        slot_state=_slot_state(replica, other_source),
        retained_wal_bytes=retained.size if retained else 0,
        safe_wal_bytes=retained.left if retained else None,
        applied_lsn=None if applied is None else wal.format_lsn(applied),
        lag_bytes=lag_bytes,
        # Everything committed before then has arrived; about later commits nothing is known.
        lag_seconds=0.0 if lag_bytes == 0 else seconds,
        tables={known.name: _table_status(known) for known in replica.state.known_tables()},
    )


def _slot_state(replica: OpenReplica, other_source: str | None) -> Literal["missing", "lost", "ready"]:
    try:
        slot = slots.read_slot(replica.connection, replica.slot)
    except slots.NotOurs:
        if other_source is None:
            raise
        return "missing"  # the slot of this name belongs to another database
    return "missing" if slot is None else "lost" if slot.lost else "ready"


def _table_status(known: KnownTable) -> TableStatus:
    state: Literal["copying", "copied", "stopped"] = (
        "stopped" if known.stopped else "copying" if known.snapshot_lsn is None else "copied"
    )
    return TableStatus(state, known.stopped, known.rows_copied, known.copied_at)


UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def format_size(size: int) -> str:
    """The size in the largest unit that fits."""
    unit = next((unit for unit, factor in reversed(UNITS.items()) if abs(size) >= factor), "")
    return f"{size / UNITS[unit]:.1f} {unit}iB" if unit else f"{size} B"
