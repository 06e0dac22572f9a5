"""What PostgreSQL says: its log's position, the replication slots, and the events' bookkeeping as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from martline.command import Failure
from pg_to_mysql.postgres.connection import Source

SECONDS = 5
"""For a connection, and for an answer."""
SESSION = {"statement_timeout": f"{SECONDS}s", "lock_timeout": "1s", "default_transaction_read_only": "on"}

Partition = tuple[str, int]
"""A topic's name and the partition's number."""


@dataclass(frozen=True)
class Slot:
    """A replication slot."""

    kept_bytes: int | None
    """PostgreSQL's log that is kept for it; None where it has lost it."""
    is_lost: bool


@dataclass(frozen=True)
class Stored:
    """How far a partition is stored."""

    topic_id: str | None
    """Kafka's own id of the topic; None where an earlier version has stored it."""
    next_offset: int


@dataclass(frozen=True)
class DeadLetters:
    """The messages of a topic that are put aside."""

    topic: str
    letters: int
    """Those that could not be stored."""
    waiting: int
    """Those that wait for their user."""
    oldest: datetime
    """When the first of both was put aside."""


@dataclass(frozen=True)
class PostgresState:
    """What it says at one moment."""

    position: int
    """Where the log ends that is safely written."""
    slots: Mapping[str, Slot]
    stored: Mapping[Partition, Stored]
    dead_letters: Sequence[DeadLetters]


class PostgresReader:
    """Asks as the role that ``dashboard-role --postgres`` makes, or another that may as much."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: psycopg.Connection | None = None

    def read(self) -> PostgresState:
        """What it says now."""
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
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_POSITION = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
        - '0/0'::pg_lsn
"""
"""Where the log ends; of a standby, what it has replayed."""
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
