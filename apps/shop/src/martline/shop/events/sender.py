"""Messages on their way to Kafka: each is acknowledged by all replicas, or counted as unsent."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Event as StopSignal

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from martline.command import Failure
from martline.shop.events.schema import one_line
from martline.shop.events.settings import client_settings
from martline.shop.events.topics import unreachable

log = logging.getLogger(__name__)

TICKS_PER_SECOND = 10_000
"""The resolution of latencies."""
STOP_SECONDS = 5
"""How long queued messages may take after the signal to stop."""
UNKNOWN = {
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""A broker that has just started reports this for every topic, and then the client gives up queued messages."""
SETTINGS: dict[str, str | int | float | bool] = {
    "acks": "all",
    # A message that is sent again after a lost answer is stored once, and the order is kept.
    "enable.idempotence": True,
    # The maximum. Until then, the client does not believe a broker that says it does not know a topic.
    "topic.metadata.propagation.max.ms": 3_600_000,
    "linger.ms": 5,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 128 * 1024,
}


class Sender:
    """Sends messages, and counts what happens to them."""

    def __init__(self, delivery_timeout: float, stop: StopSignal) -> None:
        settings = {**client_settings(), **SETTINGS, "message.timeout.ms": int(delivery_timeout * 1000)}
        self._producer = Producer({**settings, "on_delivery": self._delivered, "error_cb": self._complain})
        self._delivery_timeout = delivery_timeout
        self._stop = stop
        self.acknowledged = 0
        self.reason = ""
        """Why the last unsent message was not sent."""
        self._acknowledged_at = time.monotonic()
        self._again: deque[tuple[str, bytes, bytes]] = deque()
        self._latencies: dict[int, int] = {}
        self._quiet_until = 0.0

    def send(self, topic: str, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue messages, each a key and a value; wait while the queue is full."""
        produce = self._producer.produce
        for key, value in messages:
            try:
                produce(topic, value, key)
            except (BufferError, KafkaException) as error:
                self._insist(error, topic, key, value)

    def serve(self) -> None:
        """Process acknowledgements, and send refused messages again."""
        self._learn(self._producer.poll)
        self._send_again()

    def finish(self) -> None:
        """Wait until each message is acknowledged or given up; after a stop, at most :data:`STOP_SECONDS`."""
        last_look = math.inf
        while (len(self._producer) or self._again) and time.monotonic() < last_look:
            if self._stop.is_set():
                last_look = min(last_look, time.monotonic() + STOP_SECONDS)
            self._send_again()
            self._learn(self._producer.flush, 1)

    def _learn(self, from_kafka: Callable[[float], int], seconds: float = 0) -> None:
        before = self.acknowledged
        from_kafka(seconds)
        if self.acknowledged > before:
            self._acknowledged_at = time.monotonic()

    def _send_again(self) -> None:
        while self._again:
            topic, key, value = self._again.popleft()
            self.send(topic, [(key, value)])

    def _insist(self, error: Exception, topic: str, key: bytes, value: bytes) -> None:
        """Queue a message that was refused at first, or raise :class:`Failure`."""
        while True:
            if isinstance(error, KafkaException) and (error.args[0].code() not in UNKNOWN or self._is_late):
                raise unreachable(error) from error
            if self._stop.is_set():
                raise Failure("it was stopped")
            self._learn(self._producer.poll, 0.05)
            try:
                self._producer.produce(topic, value, key)
                return
            except (BufferError, KafkaException) as again:
                error = again

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._acknowledged_at > self._delivery_timeout

    def latency_ms(self) -> dict[str, float]:
        """Milliseconds from :meth:`send` to the acknowledgement, at some percentiles."""
        return {f"p{percent}": self._percentile(percent / 100) for percent in (50, 95, 99)} | {
            "max": max(self._latencies, default=0) * 1000 / TICKS_PER_SECOND
        }

    def _percentile(self, share: float) -> float:
        left = share * sum(self._latencies.values())
        for ticks in sorted(self._latencies):
            left -= self._latencies[ticks]
            if left <= 0:
                return ticks * 1000 / TICKS_PER_SECOND
        return 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged += 1
            ticks = int((message.latency() or 0) * TICKS_PER_SECOND)
            self._latencies[ticks] = self._latencies.get(ticks, 0) + 1
        elif error.code() in UNKNOWN and not self._is_late:
            self._again.append((message.topic() or "", message.key() or b"", message.value() or b""))
        else:
            self.reason = one_line(error.str())

    def _complain(self, error: KafkaError) -> None:
        now = time.monotonic()
        if error.code() == KafkaError._ALL_BROKERS_DOWN and now > self._quiet_until:
            self._quiet_until = now + 5
            log.warning("Kafka: %s; waiting for it", one_line(error.str()))
