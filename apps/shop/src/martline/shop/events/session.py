"""A session with Kafka and PostgreSQL: while one batch is written, the next one is read."""

import logging
from collections.abc import Callable, Mapping
from threading import Event as StopSignal
from types import TracebackType
from typing import Self

import psycopg

from martline.command import Failure, PassingFailure
from martline.shop.events.background import Background
from martline.shop.events.dead_letters import some_wait
from martline.shop.events.metrics import Metrics
from martline.shop.events.offsets import begin_partition, stored_offsets
from martline.shop.events.reader import Edges, Reader
from martline.shop.events.schema import Event
from martline.shop.events.topics import Partition, Topic
from martline.shop.events.writer import Writer, Written

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.1
BUSY_SECONDS = 0.01
BATCH_BYTES = 16 * 1024 * 1024
END_SECONDS = 10
"""How long a batch that is being written may take when the session ends."""


class Session:
    """Reads and writes batches until something ends it."""

    def __init__(
        self,
        connection: psycopg.Connection,
        topics: Mapping[str, Topic],
        writer: Writer,
        metrics: Metrics,
        batch_size: int,
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._writer = writer
        self._metrics = metrics
        self._batch_size = batch_size
        self._reader: Reader | None = None
        self._writing: Background[Written] | None = None
        self._report: Callable[[Written], None] = lambda _written: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the batch that is being written, and leave Kafka's group."""
        try:
            self._end_writing()
        finally:
            if self._reader is not None:
                self._reader.close()

    def run(
        self,
        group: str,
        kinds: Mapping[str, type[Event]],
        stop: StopSignal,
        goal: Mapping[Partition, int] | None,
        report: Callable[[Written], None],
    ) -> None:
        """Read and write until the signal to stop, or until ``goal`` is stored, by this or another consumer.

        ``report`` is called for each stored batch.
        """
        self._report = report
        if goal is not None and self._has_reached(goal):
            return
        log.info("joining the group %s", group)
        self._reader = Reader(group, kinds, self._start_at, self._finish)
        while not stop.is_set():
            self._go_round(self._reader)
            if goal is not None and self._is_idle(self._reader) and self._has_reached(goal):
                return

    def _go_round(self, reader: Reader) -> None:
        writing = self._writing is not None and not self._writing.wait(0)
        reader.fill(BUSY_SECONDS if writing or reader.batch.spans else IDLE_SECONDS)
        self._metrics.beat("storing" if writing else "idle")
        full = reader.batch.messages >= self._batch_size or reader.batch.size >= BATCH_BYTES
        if self._writing is not None and (full or self._writing.wait(0)):
            self._finish()
        if self._writing is None and (reader.batch.spans or self._writer.is_due):
            batch = reader.take()
            self._writing = Background(lambda: self._writer.write(batch))
            self._metrics.show_lag(reader.lag())

    def _finish(self) -> None:
        """Wait until the batch that is being written is stored, and report it."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        written = writing.result()
        if self._reader is not None:
            self._reader.tell_stored(written.batch.spans)
        self._metrics.show(written)
        self._report(written)

    def _end_writing(self) -> None:
        writing = self._writing
        if writing is None:
            return
        if not writing.wait(END_SECONDS):
            self._connection.cancel_safe(timeout=END_SECONDS / 2)
            if not writing.wait(END_SECONDS / 2):
                raise Failure("PostgreSQL does not answer: the batch that was being written is rolled back")
        try:
            self._finish()
        except (psycopg.Error, PassingFailure) as error:
            log.warning("the last batch is rolled back: %s", str(error).splitlines()[0])

    def _is_idle(self, reader: Reader) -> bool:
        return self._writing is None and not reader.batch.spans

    def _has_reached(self, goal: Mapping[Partition, int]) -> bool:
        stored = stored_offsets(self._connection)
        waits = some_wait(self._connection)
        self._connection.commit()
        return not waits and all(
            partition in stored and stored[partition][1] >= end for partition, end in goal.items()
        )

    def _start_at(self, partitions: list[Partition], edges: Edges) -> dict[Partition, int]:
        """Continue where the last consumer stopped; refuse to skip messages that Kafka has lost."""
        starts = {}
        for partition in partitions:
            name, number = partition
            first, _ = edges(partition)
            start = begin_partition(self._connection, partition, self._topics[name], first)
            # Once more, because other consumers may have stored more in between.
            first, end = edges(partition)
            if not first <= start <= end:
                raise Failure(
                    f"Topic {name}, partition {number}: the next event to store is number {start}, but Kafka has"
                    f" {first} to {end}; nothing was skipped: to continue with the existing events, run"
                    f" shop-consume --start-over {name}"
                )
            starts[partition] = start
        return starts
