"""Reads the partitions that Kafka's group assigns to this consumer, from the offsets in PostgreSQL."""

import logging
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from martline.command import Failure
from martline.shop.events.batch import Batch
from martline.shop.events.offsets import Span, StoredByAnother
from martline.shop.events.schema import Event, one_line
from martline.shop.events.settings import MAX_MESSAGE_BYTES, bootstrap_servers, client_settings
from martline.shop.events.topics import PASSING, SECONDS, Partition, unreachable

log = logging.getLogger(__name__)

Edges = Callable[[Partition], tuple[int, int]]
"""The first offset of a partition in Kafka, and the offset after the last one."""
AT_ONCE = 500
"""Messages in one call. More take longer, because they no longer fit the processor's caches."""
SECONDS_BETWEEN_COMPLAINTS = 5
LOOK_AGAIN = {
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.OFFSET_OUT_OF_RANGE,
}
UNREADABLE = {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG, KafkaError._INVALID_TYPE}
SETTINGS: dict[str, str | int | float | bool] = {
    # The offsets are in PostgreSQL. They are committed to Kafka's group too, once a second and at the end.
    "enable.auto.offset.store": False,
    "enable.auto.commit": True,
    "auto.commit.interval.ms": 1000,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    # Reports the end of a partition even behind offsets without a message: transaction markers, aborted messages.
    "enable.partition.eof": True,
    # Gives a consumer the same partition numbers of each topic, and so a user's registration and reviews.
    "partition.assignment.strategy": "range",
    # The brokers' minimum, after which another consumer takes over the partitions of a killed one.
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 1500,
    "topic.metadata.refresh.interval.ms": 5000,
    "fetch.wait.max.ms": 100,
    "receive.message.max.bytes": MAX_MESSAGE_BYTES,
    # This limits the memory for what is read ahead.
    "queued.max.messages.kbytes": 16 * 1024,
    "queued.min.messages": 20_000,
    # Otherwise the client, once it has read that much ahead, waits a whole second before it asks for more.
    "fetch.queue.backoff.ms": 5,
}


class Reader:
    """Fills one batch after the other.

    ``start_at`` says from which offset to read partitions, and may ask for their edges; ``settle`` is called
    before the assignment changes, to finish what is being stored.
    """

    def __init__(
        self,
        group: str,
        kinds: Mapping[str, type[Event]],
        start_at: Callable[[list[Partition], Edges], dict[Partition, int]],
        settle: Callable[[], None],
    ) -> None:
        self.batch = Batch()
        self._kinds = kinds
        self._start_at = start_at
        self._settle = settle
        self._positions: dict[Partition, int] = {}
        self._assignments = 0
        self._failure: BaseException | None = None
        self._complained = 0.0
        self._consumer = Consumer(
            {**client_settings(), **SETTINGS, "group.id": group, "error_cb": self._complain}
        )
        self._consumer.subscribe(
            list(kinds), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def fill(self, wait: float) -> None:
        """Add available messages to :attr:`batch`; wait at most this many seconds for the first one."""
        before = self._assignments
        try:
            messages = self._consumer.consume(1, wait)
            if messages:
                messages += self._consumer.consume(AT_ONCE - 1, 0)
        except KafkaException as error:
            raise unreachable(error) from error
        if self._failure is not None:
            raise self._failure
        if self._assignments != before:
            # Some messages may belong to the previous assignment, so all are read again.
            self._assign(self._positions)
            return
        for message in messages:
            self._take(message)

    def take(self) -> Batch:
        """The batch so far; the next one begins where it ends."""
        batch, self.batch = self.batch, Batch()
        return batch

    def tell_stored(self, spans: Mapping[Partition, Span]) -> None:
        """Set the offsets of Kafka's group, for tools that show the lag."""
        for partition, span in spans.items():
            if partition in self._positions:
                try:
                    self._consumer.store_offsets(offsets=[TopicPartition(*partition, span.next)])
                except KafkaException as error:
                    log.debug("can't set the offsets of Kafka's group: %s", error)

    def lag(self) -> dict[Partition, int]:
        """How many messages are not in a batch yet, by the ends that the brokers last reported."""
        return {
            partition: max(0, self._end(partition) - next) for partition, next in list(self._positions.items())
        }

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _edges(self, partition: Partition) -> tuple[int, int]:
        first, end = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=SECONDS)
        return first, end

    def _end(self, partition: Partition) -> int:
        edges = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return edges[1] if edges else 0

    def _take(self, message: KafkaMessage) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._refuse(error, f"{message.topic()} {message.partition()}/{message.offset()}")
            return
        topic, number, offset = message.topic(), message.partition(), message.offset()
        if topic is None or number is None or offset is None:
            raise Failure(
                "Kafka's client returned a message without its place: report this as a bug of confluent-kafka"
            )
        partition = topic, number
        position = self._positions.get(partition)
        if position is None or offset < position:
            return
        upto = offset if error is not None else offset + 1
        self._positions[partition] = upto
        span = self.batch.spans.get(partition)
        if span is not None:
            span.next = upto
        elif upto > position:
            span = self.batch.spans[partition] = Span(position, upto)
        if error is None:
            self.batch.add(self._kinds[topic], message, message.value())
            if span is not None:
                span.newest = message

    def _refuse(self, error: KafkaError, place: str) -> None:
        if error.code() in LOOK_AGAIN:
            raise StoredByAnother(f"{place} can't be read ({one_line(error.str())}): trying again")
        if error.code() in UNREADABLE:
            raise Failure(
                f"{place} can't be unpacked ({one_line(error.str())}), and is not skipped: check whether the"
                " broker's disk is damaged, or remove the message with kafka-delete-records and start over with"
                " the topic"
            )
        if error.code() in PASSING or error.retriable():
            self._complain(error)
            return
        raise unreachable(KafkaException(error))

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._assignments += 1
            self._settle()  # so that nothing else uses the connection to PostgreSQL meanwhile
            self._positions = self._start_at([(part.topic, part.partition) for part in partitions], self._edges)
            self._assign(self._positions)
            held = ", ".join(f"{topic} {number}" for topic, number in sorted(self._positions))
            log.info("reading %s", held or "nothing: other consumers have all partitions")
        except KafkaException as error:
            self._failure = unreachable(error)
        except Exception as error:  # librdkafka loses errors that its callbacks raise
            self._failure = error

    def _assign(self, positions: Mapping[Partition, int]) -> None:
        self.batch = Batch()
        self._consumer.assign([TopicPartition(*partition, start) for partition, start in positions.items()])

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        try:
            self._settle()
        except Exception as error:  # as above
            self._failure = error
        self._assignments += 1
        self._positions = {}
        self.batch = Batch()

    def _complain(self, error: KafkaError) -> None:
        if time.monotonic() - self._complained > SECONDS_BETWEEN_COMPLAINTS:
            self._complained = time.monotonic()
            log.warning("Kafka at %s: %s; waiting for it", bootstrap_servers(), one_line(error.str()))
