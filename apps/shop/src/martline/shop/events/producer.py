"""The event producer."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event as StopSignal
from typing import TYPE_CHECKING, Any

from martline.command import Failure, PassingFailure
from martline.shop.events.making import Maker, review_maker, user_maker
from martline.shop.events.schema import NewReview, NewUser
from martline.shop.events.sender import Sender
from martline.shop.events.settings import topic_name
from martline.shop.events.topics import Topics

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

PURCHASES = 100_000
"""How many purchases, the oldest ones, get reviews. They stay the same while the shop grows."""
AT_ONCE = 500
PAUSE_SECONDS = 1
TICK_SECONDS = 0.002
"""Seconds between two checks for events that are due, at a given rate."""


def produce(
    users: int,
    reviews: int,
    rate: float | None,
    seed: int,
    purchases: Sequence[tuple[int, int]],
    delivery_timeout: float,
    stop: StopSignal,
) -> dict[str, Any]:
    """Send events, ``rate`` a second if given; raise :class:`Failure` if some are not acknowledged.

    After the signal to stop, events that are queued are still sent. The same seed makes events with the same ids,
    so sending them again changes nothing.
    """
    # Made first, so that it connects while the topics are looked at: a message that it is given before it is
    # connected waits for half a second.
    sender = Sender(delivery_timeout, stop)
    there = _require_topics(delivery_timeout, stop)
    streams = _streams(users, reviews, seed, purchases)
    began = time.monotonic()
    if there:
        try:
            _send(sender, streams, rate, stop)
        except Failure as failure:
            sender.reason = str(failure)
        sender.finish()
    seconds = time.monotonic() - began
    unsent = users + reviews - sender.acknowledged
    if unsent and stop.is_set():
        raise Failure(
            f"Stopped before {unsent} of {users + reviews} events were acknowledged: to send them, run this again"
            f" with --seed {seed}; events that are sent twice are stored once"
        )
    if unsent:
        raise Failure(
            f"Kafka did not acknowledge {unsent} of {users + reviews} events ({sender.reason}): check its brokers"
            f" and run this again with --seed {seed}; events that are sent twice are stored once"
        )
    return {
        "events": {topic_name(NewUser): users, topic_name(NewReview): reviews},
        "events_sent": users + reviews,
        "events_per_second": round((users + reviews) / seconds, 1),
        "latency_ms": sender.latency_ms(),
    }


def read_purchases(connection: "psycopg.Connection") -> list[tuple[int, int]]:
    """Users with products that they have bought."""
    rows = connection.execute(
        "SELECT user_id, product_id FROM orders JOIN ("
        "SELECT * FROM orderdetails ORDER BY order_detail_id LIMIT %s) AS oldest USING (order_id)"
        " ORDER BY order_detail_id",
        [PURCHASES],
    ).fetchall()
    if not rows:
        raise Failure("Review events need purchases: run shop-generate with some orders first")
    return rows


def _require_topics(timeout: float, stop: StopSignal) -> bool:
    """Create the topics, unless stopped before; retry this long while a broker is down."""
    deadline, topics = time.monotonic() + timeout, Topics()
    while not stop.is_set():
        try:
            topics.require()
            return True
        except PassingFailure as failure:
            if time.monotonic() > deadline:
                raise
            log.warning("%s; trying again", failure)
            stop.wait(PAUSE_SECONDS)
    return False


@dataclass
class Stream:
    """Events of one kind."""

    topic: str
    make: Maker
    count: int
    queued: int = 0

    def next(self, upto: int) -> Iterator[tuple[bytes, bytes]]:
        """The events before this number."""
        numbers, self.queued = range(self.queued, upto), upto
        return self.make(numbers)


def _streams(users: int, reviews: int, seed: int, purchases: Sequence[tuple[int, int]]) -> list[Stream]:
    streams = []
    if users:
        streams.append(Stream(topic_name(NewUser), user_maker(seed), users))
    if reviews:
        streams.append(Stream(topic_name(NewReview), review_maker(seed, purchases), reviews))
    return streams


def _send(sender: Sender, streams: Sequence[Stream], rate: float | None, stop: StopSignal) -> None:
    """Send a few events at a time, evenly from each stream.

    At a rate, an event is sent when it is due by the clock, so a delay is caught up.
    """
    total, queued = sum(stream.count for stream in streams), 0
    began = time.monotonic()
    while queued < total and not stop.is_set():
        if rate is not None and (early := began + queued / rate - time.monotonic()) > 0:
            sender.serve()
            time.sleep(min(early, TICK_SECONDS))
            continue
        due = total if rate is None else int((time.monotonic() - began) * rate) + 1
        queued = min(max(due, queued + 1), queued + AT_ONCE, total)
        for stream in streams:
            sender.send(stream.topic, stream.next(queued * stream.count // total))
        sender.serve()
