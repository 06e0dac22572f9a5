"""The event producer."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from martline.command import Failure, PassingFailure
from martline.shop.events.making import Maker, review_maker, user_maker
from martline.shop.events.schema import NewReview, NewUser
from martline.shop.events.sender import Sender
from martline.shop.events.settings import topic_name
from martline.shop.events.topics import Topics

log = logging.getLogger(__name__)

PURCHASES = 100_000
"""So many, the oldest, are reviewed: they stay the same while the shop grows."""
AT_ONCE = 500
PAUSE_SECONDS = 1
TICK_SECONDS = 0.002
"""Between two looks at what is due, at a given rate."""

Event = tuple[str, str, str]
"""Topic, key and value."""


def produce(
    users: int,
    reviews: int,
    rate: float | None,
    seed: int,
    purchases: Sequence[tuple[int, int]],
    delivery_timeout: float,
) -> dict[str, Any]:
    """Send events, ``rate`` a second if given; raise :class:`Failure` if some are not acknowledged.

    The same seed makes events of the same ids, so that sending them again changes nothing.
    """
    _require_topics(delivery_timeout)
    sender = Sender(delivery_timeout)
    events = _events(users, reviews, seed, purchases)
    began = time.monotonic()
    try:
        if rate is None:
            _send_all(sender, events)
        else:
            _send_at_rate(sender, events, rate)
    except Failure as failure:
        sender.reason = str(failure)
    sender.finish()
    seconds = time.monotonic() - began
    unsent = users + reviews - sender.acknowledged
    if unsent:
        raise Failure(
            f"Kafka did not acknowledge {unsent} of {users + reviews} events ({sender.reason}): check its brokers"
            f" and run this again with --seed {seed}, as events that are sent again count once"
        )
    return {
        "events": {topic_name(NewUser): users, topic_name(NewReview): reviews},
        "events_sent": users + reviews,
        "events_per_second": round((users + reviews) / seconds, 1),
        "latency_ms": sender.latency_ms(),
    }


def read_purchases(connection: psycopg.Connection) -> list[tuple[int, int]]:
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


def _require_topics(timeout: float) -> None:
    """Make the topics; a broker that is away is tried so long."""
    deadline, topics = time.monotonic() + timeout, Topics()
    while True:
        try:
            topics.require()
            return
        except PassingFailure as failure:
            if time.monotonic() > deadline:
                raise
            log.warning("%s; trying again", failure)
            time.sleep(PAUSE_SECONDS)


def _events(users: int, reviews: int, seed: int, purchases: Sequence[tuple[int, int]]) -> Iterator[Event]:
    """Both kinds, evenly mixed."""
    user_topic, review_topic = topic_name(NewUser), topic_name(NewReview)
    make_user: Maker = user_maker(seed)
    make_review = review_maker(seed, purchases)
    total, made = users + reviews, 0
    for number in range(1, total + 1):
        if number * users // total > made:
            yield user_topic, *make_user(made)
            made += 1
        else:
            yield review_topic, *make_review(number - 1 - made)


def _send_all(sender: Sender, events: Iterator[Event]) -> None:
    for number, event in enumerate(events):
        sender.send(*event)
        if number % AT_ONCE == 0:
            sender.serve()


def _send_at_rate(sender: Sender, events: Iterator[Event], rate: float) -> None:
    """The next event goes when it is due by the clock, so that a delay is made good."""
    began = time.monotonic()
    for sent, event in enumerate(events):
        while (early := began + sent / rate - time.monotonic()) > 0:
            sender.serve()
            time.sleep(min(early, TICK_SECONDS) if early > TICK_SECONDS / 10 else early)
        sender.send(*event)
        if sent % AT_ONCE == 0:
            sender.serve()
