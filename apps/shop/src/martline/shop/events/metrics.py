"""What a consumer serves over HTTP: Prometheus metrics, and whether it is stuck."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from martline.command import Failure
from martline.shop.events.topics import Partition
from martline.shop.events.writer import Written

STUCK_SECONDS = 120
"""A consumer without a round of its loop for this long is stuck. An idle one makes ten rounds a second."""
BATCH_SIZES = (1, 10, 100, 1000, 5000, 10_000, 20_000, 50_000, 100_000)


class Metrics:
    """The metrics of a consumer; see docs/events.md. HTTP may read them at any time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._beat_at = time.monotonic()
        self._state = "starting"
        self._newest: dict[Partition, float] = {}

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"shop_consumer_{name}", text, ["topic", "partition"], registry=self.registry)

        self._events = Counter(
            "shop_consumer_events", "Messages by outcome.", ["outcome"], registry=self.registry
        )
        for outcome in ("stored", "repeated", "dead_letter"):
            self._events.labels(outcome)
        self._batches = Histogram(
            "shop_consumer_batch_messages",
            "Number of messages in a batch.",
            buckets=BATCH_SIZES,
            registry=self.registry,
        )
        self.interruptions = Counter(
            "shop_consumer_interruptions", "How often the consumer restarted its work.", registry=self.registry
        )
        self._lag = gauge("lag_messages", "Messages of a partition that are not read yet.")
        self._lag_seconds = gauge("lag_seconds", "Age of the last stored message; 0 if no message follows it.")
        idle = Gauge(
            "shop_consumer_idle_seconds", "Seconds since the last round of the loop.", registry=self.registry
        )
        idle.set_function(lambda: time.monotonic() - self._beat_at)

    def serve(self, address: str, port: int) -> None:
        """Serve ``/metrics`` and ``/healthz`` on this address until the program ends."""
        metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(self.registry)

        def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if environment["PATH_INFO"] != "/healthz":
                return metrics(environment, start)
            silent = time.monotonic() - self._beat_at
            stuck = silent > STUCK_SECONDS
            start("503 Service Unavailable" if stuck else "200 OK", [("Content-Type", "application/json")])
            return [
                json.dumps({"state": "stuck" if stuck else self._state, "seconds": round(silent, 1)}).encode()
            ]

        try:
            server = make_server(address, port, answer, handler_class=_Silent)
        except OSError as error:
            raise Failure(
                f"The metrics can't be served on {address}:{port} ({error.strerror}): choose another port"
            ) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def beat(self, state: str) -> None:
        """Note that the consumer's loop makes a round."""
        self._beat_at = time.monotonic()
        self._state = state

    def show(self, written: Written) -> None:
        """Count a stored batch."""
        self._events.labels("stored").inc(written.stored)
        self._events.labels("repeated").inc(written.repeated)
        self._events.labels("dead_letter").inc(written.dead_letters)
        if written.batch.messages:
            self._batches.observe(written.batch.messages)
        for partition, span in written.batch.spans.items():
            if span.newest is not None:
                self._newest[partition] = span.newest.timestamp()[1] / 1000

    def show_lag(self, lag: Mapping[Partition, int]) -> None:
        """Show how many messages of each of the consumer's partitions are not in a batch yet."""
        for partition in self._newest.keys() - lag.keys():
            del self._newest[partition]
        self._lag.clear()
        self._lag_seconds.clear()
        for (topic, number), messages in lag.items():
            self._lag.labels(topic, str(number)).set(messages)
            age = time.time() - self._newest.get((topic, number), time.time()) if messages else 0
            self._lag_seconds.labels(topic, str(number)).set(max(0, age))


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged."""
