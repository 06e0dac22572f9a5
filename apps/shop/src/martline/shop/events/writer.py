"""Writes a batch to PostgreSQL: its rows, dead letters and offsets in one transaction."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from martline.shop.events import dead_letters
from martline.shop.events.batch import Batch
from martline.shop.events.dead_letters import DeadLetter, Rejected
from martline.shop.events.offsets import StoredByAnother, advance
from martline.shop.events.replay import Replayed, try_again
from martline.shop.events.store import store_rows
from martline.shop.events.topics import Topic, Topics

log = logging.getLogger(__name__)

SECONDS_BETWEEN_ROUNDS = 0.5
SECONDS_BETWEEN_LOOKS = 5
LETTERS_AT_ONCE = 1000
LINES_AT_ONCE = 20
"""Maximum number of log lines for the dead letters of one batch."""


@dataclass
class Written:
    """What happened to a batch, and to reviews that waited."""

    batch: Batch = field(default_factory=Batch)
    stored: int = 0
    repeated: int = 0
    dead_letters: int = 0


class Writer:
    """Writes batches, one at a time."""

    def __init__(
        self, connection: psycopg.Connection, topics: Topics, there: Mapping[str, Topic], patience: float
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._there = there
        self._patience = patience
        self._next_round = 0.0
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS

    @property
    def is_due(self) -> bool:
        """Whether there may be work to do other than a batch."""
        return time.monotonic() >= self._next_round

    def write(self, batch: Batch) -> Written:
        """Write a batch, which may be empty, and try the reviews that wait."""
        written = Written(batch)
        if batch.spans:
            self._write(batch, written)
        if self.is_due:
            self._try_waiting(written)
            self._next_round = time.monotonic() + SECONDS_BETWEEN_ROUNDS
        if time.monotonic() >= self._next_look:
            self._require_same(self._there)
            self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        return written

    def _write(self, batch: Batch, written: Written) -> None:
        topics = {topic: self._there[topic] for topic, _ in batch.spans}
        identities = {name: topic.identity for name, topic in topics.items()}
        with self._connection.transaction():
            advance(self._connection, batch.spans, topics)
            outcome = store_rows(self._connection, batch.rows)
            rejected = batch.rejected + outcome.rejected
            dead_letters.put_aside(self._connection, rejected, identities, self._patience)
            # A topic that was created again after these messages were read is noticed here.
            self._require_same(topics)
        written.stored, written.repeated = outcome.stored, outcome.repeated
        written.dead_letters = sum(letter.waits_for_user is None for letter in rejected)
        _log_rejected(rejected, self._patience)

    def _require_same(self, topics: Mapping[str, Topic]) -> None:
        there = self._topics.look()
        for name, topic in topics.items():
            if name not in there or there[name].identity != topic.identity:
                raise StoredByAnother(f"The topic {name} is gone or was created again: checking again")

    def _try_waiting(self, written: Written) -> None:
        if not dead_letters.some_wait(self._connection):
            self._connection.commit()
            return
        with self._connection.transaction():
            came = dead_letters.lock_those_whose_user_came(self._connection, LETTERS_AT_ONCE)
            outcome = try_again(self._connection, came, self._topics.kinds) if came else Replayed()
            late = dead_letters.end_waiting(self._connection)
        written.stored += outcome.stored
        written.repeated += outcome.repeated
        written.dead_letters += len(outcome.failed) + len(late)
        _log_letters(
            [*((letter, reason) for letter, reason in outcome.failed), *((one, one.reason) for one in late)]
        )


def _log_rejected(rejected: list[Rejected], patience: float) -> None:
    for one in rejected[:LINES_AT_ONCE]:
        if one.waits_for_user is None:
            log.warning("dead letter: %s: %s", one.message.place, one.reason)
        else:
            log.info("waits for %g s: %s: %s", patience, one.message.place, one.reason)
    _log_more(len(rejected))


def _log_letters(letters: list[tuple[DeadLetter, str]]) -> None:
    for letter, reason in letters[:LINES_AT_ONCE]:
        log.warning("dead letter: %s %d/%d: %s", letter.topic, letter.partition, letter.offset, reason)
    _log_more(len(letters))


def _log_more(count: int) -> None:
    if count > LINES_AT_ONCE:
        log.warning("and %d more: shop-dead-letters list shows them", count - LINES_AT_ONCE)
