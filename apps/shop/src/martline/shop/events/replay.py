"""Tries dead letters again. Those that are stored leave the list, and the others get the new reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from martline.shop.events import dead_letters
from martline.shop.events.batch import Batch
from martline.shop.events.dead_letters import DeadLetter
from martline.shop.events.schema import MAX_EVENT_BYTES, Event, too_long
from martline.shop.events.store import store_rows

AT_ONCE = 200
"""The maximum number of letters in one transaction."""


@dataclass
class Replayed:
    """What happened to letters."""

    stored: int = 0
    repeated: int = 0
    failed: list[tuple[DeadLetter, str]] = field(default_factory=list)
    """The letters that failed again, with the reasons."""

    def add(self, other: "Replayed") -> None:
        """Add the counts and failures of ``other``."""
        self.stored += other.stored
        self.repeated += other.repeated
        self.failed += other.failed

    @property
    def tried(self) -> int:
        """How many letters were tried."""
        return self.stored + self.repeated + len(self.failed)


def replay(
    connection: psycopg.Connection, kinds: Mapping[str, type[Event]], most: int | None, *, dry_run: bool
) -> Iterator[Replayed]:
    """Try all dead letters again, oldest first, some in each transaction. A ``dry_run`` changes nothing."""
    last, left = 0, most
    while left is None or left > 0:
        with connection.transaction(force_rollback=dry_run):
            letters = dead_letters.lock_letters(connection, last, AT_ONCE if left is None else min(left, AT_ONCE))
            if not letters:
                return
            outcome = try_again(connection, letters, kinds)
        last = letters[-1].id
        left = None if left is None else left - len(letters)
        yield outcome


def try_again(
    connection: psycopg.Connection, letters: Sequence[DeadLetter], kinds: Mapping[str, type[Event]]
) -> Replayed:
    """Store the events of letters, in the caller's transaction."""
    batch, outcome = Batch(), Replayed()
    by_message: dict[int, DeadLetter] = {}
    for letter in letters:
        if letter.topic not in kinds:
            outcome.failed.append(
                (letter, f"{letter.topic} is not a topic of events: set KAFKA_TOPIC_PREFIX to its prefix")
            )
            continue
        if (letter.value_bytes or 0) > MAX_EVENT_BYTES:
            outcome.failed.append((letter, too_long(letter.value_bytes or 0)))
            continue
        message = dead_letters.read_message(connection, letter)
        by_message[id(message)] = letter
        batch.add(kinds[letter.topic], message, message.value)
    stored = store_rows(connection, batch.rows)
    for rejected in [*batch.rejected, *stored.rejected]:
        outcome.failed.append((by_message.pop(id(rejected.message)), rejected.reason))
    for letter, reason in outcome.failed:
        dead_letters.note_failure(connection, letter, reason)
    dead_letters.remove_letters(connection, [letter.id for letter in by_message.values()])
    outcome.stored, outcome.repeated = stored.stored, stored.repeated
    return outcome
