"""Reads PostgreSQL's log position, its replication slots, and numbers of the events' bookkeeping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from martline.command import Failure
from pg_to_mysql.postgres.connection import Source

SECONDS = 5
"""The time that a connection or an answer may take."""
SESSION = {"statement_timeout": f"{SECONDS}s", "lock_timeout": "1s", "default_transaction_read_only": "on"}

Partition = tuple[str, int]
"""A topic's name and the partition's number."""


@dataclass(frozen=True)
class Slot:
    """A replication slot."""

    kept_bytes: int | None
    """The bytes of PostgreSQL's log that are kept for the slot; None if the slot has lost its log."""
    is_lost: bool


@dataclass(frozen=True)
class Stored:
    """The stored part of a partition."""

    topic_id: str | None
    """The topic's id in Kafka; None if an earlier version of the program stored the offset."""
    next_offset: int


@dataclass(frozen=True)
class DeadLetters:
    """The messages of a topic that were set aside."""

    topic: str
    letters: int
    """The number of messages that could not be stored."""
    waiting: int
    """The number of messages that wait for their user."""
    oldest: datetime
    """The time when the first of all these messages was set aside."""


@dataclass(frozen=True)
class PostgresState:
    """PostgreSQL's state at one moment."""

    position: int
    """The end of the part of the log that is flushed to disk."""
    slots: Mapping[str, Slot]
    stored: Mapping[Partition, Stored]
    dead_letters: Sequence[DeadLetters]


class PostgresReader:
    """Asks PostgreSQL as the role that ``dashboard-role --postgres`` makes, or as one with the same rights."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: psycopg.Connection | None = None

    def read(self) -> PostgresState:
        """PostgreSQL's present state."""
        if self._connection is None:
            self._connection = self._source.connect(SESSION, connect_timeout=SECONDS)
        connection = self._connection
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                [(position,)] = connection.execute(_POSITION).fetchall()
                [(has_events,)] = connection.execute(_HAS_EVENTS).fetchall()
                return PostgresState(
                    int(position),
                    {name: _slot(position, *rest) for name, *rest in connection.execute(_SLOTS)},
                    _stored(connection) if has_events else {},
                    [DeadLetters(*row) for row in connection.execute(_LETTERS)] if has_events else (),
                )
        except psycopg.errors.InsufficientPrivilege as error:
            raise Failure(
                f"PostgreSQL refuses ({error.diag.message_primary}): run `shop-init` again, and the SQL of"
                " `dashboard-role --postgres` as the database's owner"
            ) from error
        except psycopg.Error as error:
            cause = error.diag.message_primary or str(error).strip().partition("\n")[0]
            raise Failure(f"PostgreSQL does not answer: {cause}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_POSITION = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
        - '0/0'::pg_lsn
"""
"""The end of the log; on a standby, the end of what it has replayed."""
_HAS_EVENTS = """
    SELECT to_regclass('shop.consumer_offsets') IS NOT NULL AND to_regclass('shop.dead_letters') IS NOT NULL
"""
_SLOTS = """
    SELECT slot_name, restart_lsn - '0/0'::pg_lsn, coalesce(wal_status = 'lost', false) FROM pg_replication_slots
    WHERE database = current_database() AND slot_type = 'logical' ORDER BY slot_name LIMIT 100
"""
_STORED = "SELECT topic, partition, topic_id, next_offset FROM shop.consumer_offsets LIMIT 10000"
_LETTERS = """
    SELECT topic, count(*) FILTER (WHERE waits_until IS NULL), count(waits_until), min(put_aside_at)
    FROM shop.dead_letters GROUP BY topic ORDER BY topic LIMIT 100
"""


def _slot(position: Decimal, kept_from: Decimal | None, is_lost: bool) -> Slot:
    return Slot(None if kept_from is None else max(0, int(position - kept_from)), is_lost)


def _stored(connection: "psycopg.Connection[tuple[Any, ...]]") -> dict[Partition, Stored]:
    return {(topic, number): Stored(*rest) for topic, number, *rest in connection.execute(_STORED)}
