"""The event consumer: each event has its effect exactly once.

A batch's rows, the ids of its events and the offsets after it are written in one PostgreSQL transaction, and
the consumer starts from the offsets in PostgreSQL. Killed anywhere, it reads the batch again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event as StopSignal

import psycopg
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from psycopg import sql
from pydantic import ValidationError

from martline.command import Failure, progress
from martline.shop.broker import connect_producer, deliver, ensure_topics, reach
from martline.shop.events import EVENTS, Event, bootstrap_servers, dead_letter_topic, topic_name
from martline.shop.source import Lock

log = logging.getLogger(__name__)

POLL_MILLISECONDS = 500
# What the data itself is to blame for; any other error ends the consumer and loses nothing.
UNSTORABLE = (psycopg.IntegrityError, psycopg.DataError)


@dataclass
class Counts:
    """What became of the messages."""

    read: int = 0
    stored: int = 0
    repeated: int = 0
    dead_letters: int = 0


@dataclass(frozen=True)
class Refused:
    """A message that can't be read or stored."""

    record: ConsumerRecord
    reason: str


class Consumer:
    """Stores events until it is stopped, or until it has caught up."""

    def __init__(self, connection: psycopg.Connection, batch_size: int) -> None:
        self._connection = connection
        self._events = {topic_name(event): event for event in EVENTS}
        self._take_lock()
        ensure_topics()
        self._producer: KafkaProducer = connect_producer()
        self._kafka: KafkaConsumer = reach(
            lambda: KafkaConsumer(
                bootstrap_servers=bootstrap_servers(),
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_poll_records=batch_size,
            )
        )
        self._counts = Counts()

    def run(self, stop: StopSignal, until_caught_up: bool) -> Counts:
        """Consume; every batch that was begun is finished."""
        partitions = [
            TopicPartition(topic, partition)
            for topic in self._events
            for partition in sorted(self._kafka.partitions_for_topic(topic) or ())
        ]
        self._kafka.assign(partitions)
        ends = self._kafka.end_offsets(partitions)
        self._seek(partitions, ends)
        total = sum(ends[partition] - self._kafka.position(partition) for partition in partitions)
        with progress(total if until_caught_up else None, "events", "storing") as bar:
            while not stop.is_set():
                if until_caught_up and all(self._kafka.position(part) >= ends[part] for part in partitions):
                    break
                for partition, records in self._kafka.poll(timeout_ms=POLL_MILLISECONDS).items():
                    self._store_batch(partition, records)
                    bar.update(len(records))
        return self._counts

    def close(self) -> None:
        """Leave Kafka."""
        self._kafka.close()
        self._producer.close()

    def _take_lock(self) -> None:
        taken = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [Lock.CONSUME]).fetchone()
        self._connection.commit()
        if taken != (True,):
            raise Failure("Another shop-consume works on this database: stop it first, or let it go on")

    def _seek(self, partitions: Sequence[TopicPartition], ends: dict[TopicPartition, int]) -> None:
        """Go to where the last consumer stopped; refuse to pass over what Kafka has lost."""
        rows = self._connection.execute(
            "SELECT topic, partition, next_offset FROM shop.consumer_offsets"
        ).fetchall()
        self._connection.commit()
        stored = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
        beginnings = self._kafka.beginning_offsets(partitions)
        for partition in partitions:
            offset = stored.get(partition, beginnings[partition])
            if not beginnings[partition] <= offset <= ends[partition]:
                raise Failure(
                    f"Topic {partition.topic}, partition {partition.partition}: the next event to store is"
                    f" number {offset}, but Kafka has {beginnings[partition]} to {ends[partition]}; if the"
                    " others are lost,"
                    " delete the partition's row in shop.consumer_offsets"
                )
            self._kafka.seek(partition, offset)

    def _store_batch(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        readable, refused = self._read(partition.topic, records)
        with self._connection.transaction():
            repeated, unstorable = self._store(self._events[partition.topic], readable)
            refused += unstorable
            # Before the commit: a dead letter may then come twice, but is never lost.
            self._send_dead_letters(refused)
            self._connection.execute(
                "INSERT INTO shop.consumer_offsets VALUES (%s, %s, %s)"
                " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                [partition.topic, partition.partition, records[-1].offset + 1],
            )
        self._counts.read += len(records)
        self._counts.repeated += repeated
        self._counts.dead_letters += len(refused)
        self._counts.stored += len(records) - repeated - len(refused)

    def _read(
        self, topic: str, records: Sequence[ConsumerRecord]
    ) -> tuple[list[tuple[ConsumerRecord, Event]], list[Refused]]:
        readable, refused = [], []
        for record in records:
            try:
                readable.append((record, self._events[topic].model_validate_json(record.value or b"")))
            except ValidationError as error:
                refused.append(Refused(record, _reason(error)))
        return readable, refused

    def _store(
        self, kind: type[Event], events: Sequence[tuple[ConsumerRecord, Event]]
    ) -> tuple[int, list[Refused]]:
        """Store the events together; if one of them can't be, each alone. Return the repeated and the refused."""
        try:
            with self._connection.transaction():
                return len(events) - self._insert(kind, [event for _, event in events]), []
        except UNSTORABLE:
            log.info("a batch of %d events holds one that can't be stored: storing them one by one", len(events))
        repeated, refused = 0, []
        for record, event in events:
            try:
                with self._connection.transaction():
                    repeated += 1 - self._insert(kind, [event])
            except UNSTORABLE as error:
                refused.append(Refused(record, str(error).splitlines()[0]))
        return repeated, refused

    def _insert(self, kind: type[Event], events: Sequence[Event]) -> int:
        """Insert the rows of the events that have not been stored before, and return their number."""
        incoming = sql.Identifier(f"incoming_{kind.table}")
        columns = sql.SQL(", ").join(map(sql.Identifier, kind.columns))
        table = sql.Identifier(kind.table)
        self._connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS"
                " SELECT NULL::uuid AS event_id, {} FROM {} WITH NO DATA"
            ).format(incoming, columns, table)
        )
        self._connection.execute(sql.SQL("TRUNCATE {}").format(incoming))
        with (
            self._connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} (event_id, {}) FROM STDIN").format(incoming, columns)) as copy,
        ):
            for event in events:
                copy.write_row((event.event_id, *event.row()))
        return self._connection.execute(
            sql.SQL(
                "WITH new AS ("
                " INSERT INTO shop.consumed_events SELECT DISTINCT event_id FROM {incoming}"
                " ON CONFLICT DO NOTHING RETURNING event_id)"
                " INSERT INTO {table} ({columns})"
                " SELECT DISTINCT ON (event_id) {columns} FROM {incoming} JOIN new USING (event_id)"
            ).format(incoming=incoming, table=table, columns=columns)
        ).rowcount

    def _send_dead_letters(self, refused: Sequence[Refused]) -> None:
        sent = []
        for letter in refused:
            record = letter.record
            log.warning("%s %d/%d: %s", record.topic, record.partition, record.offset, letter.reason)
            headers = {
                "reason": letter.reason,
                "topic": record.topic,
                "partition": str(record.partition),
                "offset": str(record.offset),
            }
            sent.append(
                self._producer.send(
                    dead_letter_topic(record.topic),
                    value=record.value,
                    key=record.key,
                    headers=[(name, value.encode()) for name, value in headers.items()],
                )
            )
        deliver(self._producer, sent)


def _reason(error: ValidationError) -> str:
    """The first thing that is wrong, without the value itself."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
