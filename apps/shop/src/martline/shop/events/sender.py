"""Messages on their way to Kafka: each is acknowledged by all replicas, or counted as unsent."""

import logging
import time
from collections import Counter

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from martline.shop.events.schema import one_line
from martline.shop.events.settings import client_settings
from martline.shop.events.topics import unreachable

log = logging.getLogger(__name__)

TICKS_PER_SECOND = 10_000
"""The latencies' resolution."""
SETTINGS: dict[str, str | int | float | bool] = {
    "acks": "all",
    # A message that is sent again after a lost answer is there once, and the order stays.
    "enable.idempotence": True,
    "linger.ms": 5,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 128 * 1024,
}


class Sender:
    """Sends messages, and keeps count of what becomes of them."""

    def __init__(self, delivery_timeout: float) -> None:
        settings = {**client_settings(), **SETTINGS, "message.timeout.ms": int(delivery_timeout * 1000)}
        self._producer = Producer({**settings, "error_cb": self._complain})
        self.acknowledged = 0
        self.reason = ""
        """Why the last message that was not sent was not."""
        self._latencies: Counter[int] = Counter()
        self._quiet_until = 0.0

    def send(self, topic: str, key: str, value: str) -> None:
        """Queue a message; wait while the queue is full. One that can't be sent is counted by its absence."""
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise unreachable(error) from error

    def serve(self, seconds: float = 0) -> None:
        """Learn what was acknowledged; wait so long for something at most."""
        self._producer.poll(seconds)

    def finish(self) -> None:
        """Wait until each message is acknowledged or given up."""
        while len(self._producer):
            self._producer.flush(1)

    def latency_ms(self) -> dict[str, float]:
        """From :meth:`send` to the acknowledgement, in milliseconds, at some percentiles."""
        return {f"p{percent}": self._percentile(percent / 100) for percent in (50, 95, 99)} | {
            "max": max(self._latencies, default=0) * 1000 / TICKS_PER_SECOND
        }

    def _percentile(self, share: float) -> float:
        left = share * self._latencies.total()
        for ticks in sorted(self._latencies):
            left -= self._latencies[ticks]
            if left <= 0:
                return ticks * 1000 / TICKS_PER_SECOND
        return 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged += 1
            self._latencies[int((message.latency() or 0) * TICKS_PER_SECOND)] += 1
        else:
            self.reason = one_line(error.str())

    def _complain(self, error: KafkaError) -> None:
        now = time.monotonic()
        if error.code() == KafkaError._ALL_BROKERS_DOWN and now > self._quiet_until:
            self._quiet_until = now + 5
            log.warning("Kafka: %s; waiting for it", one_line(error.str()))
