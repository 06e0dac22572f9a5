"""Messages that could not be stored, kept in PostgreSQL with the reason and all their bytes.

They are written in the same transaction as the offsets after them, so each exists exactly once, whatever dies,
and no limit of the broker applies. A review whose user does not exist yet is one of them too, with a deadline:
until then the consumers try it again by themselves.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from martline.shop.events.message import Message

PIECE_BYTES = 1024 * 1024
COLUMNS = sql.SQL(
    'dead_letter_id, topic, partition, "offset", timestamp_ms, value_bytes, headers, reason, tries, put_aside_at,'
    " tried_at, waits_until"
)


@dataclass(frozen=True)
class Rejected:
    """A message, and why it can't be stored."""

    message: Message
    reason: str
    waits_for_user: int | None = None
    """The user whom the event waits for, if nothing else is wrong with it."""


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter without its bytes."""

    id: int
    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    value_bytes: int | None
    headers: int
    reason: str
    tries: int
    put_aside_at: datetime
    tried_at: datetime
    waits_until: datetime | None

    def as_result(self) -> dict[str, Any]:
        """The letter as JSON, for people and programs."""
        return {
            "id": self.id,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "time": _moment(self.timestamp_ms),
            "bytes": self.value_bytes,
            "reason": self.reason,
            "tries": self.tries,
            "put_aside_at": _iso(self.put_aside_at),
            "tried_at": _iso(self.tried_at),
            **({"waits_until": _iso(self.waits_until)} if self.waits_until else {}),
        }


def put_aside(
    connection: psycopg.Connection, rejected: Sequence[Rejected], identities: dict[str, str], patience: float
) -> None:
    """Store messages, in the caller's transaction. Those that wait do so for ``patience`` seconds at most."""
    for one in rejected:
        message = one.message
        row = connection.execute(
            'INSERT INTO shop.dead_letters AS letter (topic, topic_id, partition, "offset", timestamp_ms,'
            " value_bytes, headers, reason, waits_for_user, waits_until)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::bigint,"
            " CASE WHEN %s::bigint IS NOT NULL THEN now() + make_interval(secs => %s) END)"
            # This happens when the topic is read again from its beginning.
            ' ON CONFLICT (topic_id, partition, "offset") DO UPDATE SET reason = excluded.reason,'
            " tries = letter.tries + 1, tried_at = now(), waits_for_user = excluded.waits_for_user,"
            " waits_until = excluded.waits_until RETURNING dead_letter_id, tries = 1",
            [
                *(message.topic, identities[message.topic], message.partition, message.offset),
                *(message.timestamp_ms, None if message.value is None else len(message.value)),
                *(len(message.headers), one.reason),
                *(one.waits_for_user, one.waits_for_user, patience),
            ],
        )
        [(letter, is_new)] = row
        if is_new:
            _write_parts(connection, letter, message.parts())


def _write_parts(connection: psycopg.Connection, letter: int, parts: dict[str, bytes]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY shop.dead_letter_pieces FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "text", "int4", "bytea"])
        for name, part in parts.items():
            view = memoryview(part)
            for piece in range(max(1, -(-len(part) // PIECE_BYTES))):
                copy.write_row((letter, name, piece, view[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES]))


def list_letters(
    connection: psycopg.Connection, most: int | None = None, ids: Collection[int] | None = None
) -> list[DeadLetter]:
    """The dead letters, oldest first, including those that wait."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM shop.dead_letters WHERE %s::bigint[] IS NULL OR dead_letter_id = ANY(%s)"
            " ORDER BY dead_letter_id LIMIT %s"
        ).format(COLUMNS),
        [None if ids is None else list(ids), [] if ids is None else list(ids), most],
    ).fetchall()
    return [DeadLetter(*row) for row in rows]


def count_letters(connection: psycopg.Connection) -> int:
    """How many dead letters there are."""
    row = connection.execute("SELECT count(*) FROM shop.dead_letters").fetchone()
    return int(row[0]) if row else 0


def lock_letters(connection: psycopg.Connection, after: int, most: int) -> list[DeadLetter]:
    """Some letters with ids above ``after``, locked for the caller's transaction; skips locked ones."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM shop.dead_letters WHERE dead_letter_id > %s"
            " ORDER BY dead_letter_id LIMIT %s FOR UPDATE SKIP LOCKED"
        ).format(COLUMNS),
        [after, most],
    ).fetchall()
    return [DeadLetter(*row) for row in rows]


def lock_those_whose_user_came(connection: psycopg.Connection, most: int) -> list[DeadLetter]:
    """Some letters that wait for a user who exists now, locked for the caller's transaction."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM shop.dead_letters WHERE waits_until IS NOT NULL"
            " AND EXISTS (SELECT FROM public.users WHERE user_id = waits_for_user)"
            " ORDER BY dead_letter_id LIMIT %s FOR UPDATE SKIP LOCKED"
        ).format(COLUMNS),
        [most],
    ).fetchall()
    return [DeadLetter(*row) for row in rows]


def end_waiting(connection: psycopg.Connection) -> list[DeadLetter]:
    """End the wait of letters whose deadline has passed, and return them."""
    rows = connection.execute(
        sql.SQL(
            "UPDATE shop.dead_letters SET waits_until = NULL WHERE waits_until <= now()"
            " AND NOT EXISTS (SELECT FROM public.users WHERE user_id = waits_for_user)"
            " RETURNING {}"
        ).format(COLUMNS),
    ).fetchall()
    return [DeadLetter(*row) for row in rows]


def some_wait(connection: psycopg.Connection) -> bool:
    """Whether any letter still waits for its user."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM shop.dead_letters WHERE waits_until IS NOT NULL)"
    ).fetchone()
    return row == (True,)


def read_message(connection: psycopg.Connection, letter: DeadLetter) -> Message:
    """The message as it was in Kafka."""
    parts: dict[str, bytearray] = {}
    for name, piece in _pieces(connection, letter.id):
        parts.setdefault(name, bytearray()).extend(piece)

    def part(name: str) -> bytes | None:
        return bytes(parts.pop(name)) if name in parts else None

    return Message(
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        timestamp_ms=letter.timestamp_ms,
        key=part("key"),
        value=part("value"),
        headers=[
            ((part(f"header {number} name") or b"").decode(), part(f"header {number} value"))
            for number in range(letter.headers)
        ],
    )


def _pieces(connection: psycopg.Connection, letter: int) -> Iterator[tuple[str, bytes]]:
    """Read a few pieces at a time, so that the server needs little memory."""
    with connection.cursor(name="dead_letter_pieces", binary=True) as cursor:
        cursor.itersize = 8
        cursor.execute(
            "SELECT part, bytes FROM shop.dead_letter_pieces WHERE dead_letter_id = %s ORDER BY part, piece",
            [letter],
        )
        yield from cursor


def note_failure(connection: psycopg.Connection, letter: DeadLetter, reason: str) -> None:
    """Record that the letter was tried again, and why it failed."""
    connection.execute(
        "UPDATE shop.dead_letters SET reason = %s, tries = tries + 1, tried_at = now(), waits_until = NULL"
        " WHERE dead_letter_id = %s",
        [reason, letter.id],
    )


def remove_letters(connection: psycopg.Connection, letters: Collection[int]) -> None:
    """Delete these letters, with their bytes."""
    connection.execute("DELETE FROM shop.dead_letters WHERE dead_letter_id = ANY(%s)", [list(letters)])


def remove_older(connection: psycopg.Connection, days: float) -> int:
    """Delete the letters that are older than this, and return how many there were."""
    return connection.execute(
        "DELETE FROM shop.dead_letters WHERE put_aside_at < now() - make_interval(secs => %s)"
        " AND waits_until IS NULL",
        [days * 86400],
    ).rowcount


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(milliseconds: int | None) -> str | int | None:
    """The time in ISO format; a number outside the calendar stays a number."""
    if milliseconds is None:
        return None
    try:
        return (
            datetime.fromtimestamp(milliseconds / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
    except (OverflowError, ValueError, OSError):
        return milliseconds
