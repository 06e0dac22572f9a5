"""The event consumer: each event takes effect exactly once, whatever dies.

A batch's rows, the ids of its events, its dead letters and the next offsets are written in one PostgreSQL
transaction, and the consumer starts from the offsets in PostgreSQL. If anything fails, the session with both
servers ends, and the next session starts from the stored offsets.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event as StopSignal

import psycopg

from martline.command import Failure
from martline.shop.events.metrics import Metrics
from martline.shop.events.offsets import (
    begin_partition,
    forget_topics,
    group_id,
    require_same_topics,
    stored_offsets,
)
from martline.shop.events.session import Session
from martline.shop.events.settings import group_name
from martline.shop.events.topics import Partition, Topic, Topics
from martline.shop.events.writer import Writer, Written
from martline.shop.source import connect, require_tables
from pg_to_mysql.passing import cause_of

log = logging.getLogger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
AWAY_SECONDS = 60
"""How many seconds a run with ``--until-caught-up`` waits for a server that is down."""


@dataclass(frozen=True)
class Options:
    """How to consume."""

    until_caught_up: bool = False
    start_over: tuple[str, ...] = ()
    """Topics to read from their beginning, whatever was stored from them."""
    batch_size: int = 10_000
    """Maximum number of events in a transaction."""
    patience: float = 10
    """Seconds that a review may wait for its user."""


@dataclass
class Counts:
    """What happened to the messages."""

    read: int = 0
    stored: int = 0
    repeated: int = 0
    dead_letters: int = 0


class Consumer:
    """Stores events until it is stopped, or until it has caught up."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self._options = options
        self._metrics = metrics
        self._counts = Counts()
        self._topics = Topics()
        self._to_start_over = set(options.start_over)
        if unknown := self._to_start_over - set(self._topics.kinds):
            known = ", ".join(self._topics.kinds)
            raise Failure(f"{', '.join(sorted(unknown))} is not a topic of events: use one of {known}")
        self._goal: Mapping[Partition, int] | None = None
        self._went_on = time.monotonic()

    def run(self, stop: StopSignal) -> Counts:
        """Consume; wait for servers that are down."""
        pause = SHORTEST_PAUSE
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._run_session(stop)
                break
            except Exception as error:
                pause = SHORTEST_PAUSE if self._went_on > began else min(pause * 2, LONGEST_PAUSE)
                self._bear(error, pause)
            self._metrics.beat("waiting")
            stop.wait(pause)
        return self._counts

    def _run_session(self, stop: StopSignal) -> None:
        with connect() as connection:
            require_tables(connection)
            connection.commit()
            self._start_over(connection)
            there = self._topics.require({topic for topic, _ in stored_offsets(connection)})
            require_same_topics(connection, there)
            self._begin_partitions(connection, there)
            if self._options.until_caught_up and self._goal is None:
                self._goal = self._topics.ends(there)
            writer = Writer(connection, self._topics, there, self._options.patience)
            group = group_name(group_id(connection))
            with Session(connection, there, writer, self._metrics, self._options.batch_size) as session:
                session.run(group, self._topics.kinds, stop, self._goal, self._count)

    def _bear(self, error: Exception, pause: float) -> None:
        """Log the error and the pause, or raise the error if waiting will not help."""
        cause = cause_of(error)
        away = time.monotonic() - self._went_on
        if cause is None or (self._options.until_caught_up and away > AWAY_SECONDS):
            raise error
        self._metrics.interruptions.inc()
        log.warning("%s; trying again in %.1f s", cause.sentence, pause)

    def _start_over(self, connection: psycopg.Connection) -> None:
        if self._to_start_over:
            count = forget_topics(connection, self._to_start_over)
            log.info("starting over with %s: forgot %d offsets", ", ".join(sorted(self._to_start_over)), count)
            self._to_start_over = set()

    def _begin_partitions(self, connection: psycopg.Connection, there: Mapping[str, Topic]) -> None:
        """Store where new partitions begin, so that it is noticed if Kafka removes messages from now on."""
        stored = stored_offsets(connection)
        new = [place for topic in there.values() for place in topic.places if place not in stored]
        for partition, first in self._topics.firsts(new).items():
            begin_partition(connection, partition, there[partition[0]], first)

    def _count(self, written: Written) -> None:
        self._went_on = time.monotonic()
        self._counts.read += written.batch.messages
        self._counts.stored += written.stored
        self._counts.repeated += written.repeated
        self._counts.dead_letters += written.dead_letters
