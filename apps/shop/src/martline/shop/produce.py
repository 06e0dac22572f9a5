"""The event producer."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import psycopg

from martline.command import Failure, progress
from martline.shop.broker import connect_producer, deliver, ensure_topics
from martline.shop.events import Event, NewReview, NewUser, topic_name
from martline.shop.names import Names

LOYALTY = ("Gold", "Silver", "Bronze")


def produce(
    connection: psycopg.Connection, users: int, reviews: int, rate: float | None, seed: int
) -> dict[str, int]:
    """Send events to Kafka, ``rate`` a second if given, and return their numbers by topic.

    The same seed makes events of the same ids, so that sending them again changes nothing.
    """
    random = Random(seed)
    names = Names.seeded(random)
    purchases = _purchases(connection) if reviews else []
    now = datetime.now(UTC).replace(tzinfo=None)
    sent: dict[str, int] = {}
    ensure_topics()
    producer = connect_producer()
    try:
        with progress(users + reviews, "events", "sending") as bar:
            futures = []
            started = time.monotonic()
            for event in _events(random, names, now, users, reviews, purchases, seed):
                topic = topic_name(type(event))
                futures.append(producer.send(topic, event.model_dump_json().encode(), key=event.event_id.bytes))
                sent[topic] = sent.get(topic, 0) + 1
                bar.update(1)
                if rate:
                    time.sleep(max(0.0, started + len(futures) / rate - time.monotonic()))
            deliver(producer, futures)
    finally:
        producer.close()
    return sent


def _events(
    random: Random,
    names: Names,
    now: datetime,
    users: int,
    reviews: int,
    purchases: list[tuple[int, int]],
    seed: int,
) -> Iterator[Event]:
    for number in range(users):
        yield NewUser(
            event_id=_event_id(random),
            schema_version=1,
            occurred_at=now,
            first_name=random.choice(names.first),
            last_name=random.choice(names.last),
            email=f"new{number}.{seed}@example.com",
            phone=f"+7{random.randrange(10**10):010d}",
            loyalty_status=random.choice(LOYALTY),  # type: ignore[arg-type]
        )
    for _ in range(reviews):
        user, product = random.choice(purchases)
        yield NewReview(
            event_id=_event_id(random),
            schema_version=1,
            occurred_at=now,
            user_id=user,
            product_id=product,
            rating=random.randint(1, 5),
            review_text=random.choice(names.sentences),
        )


def _purchases(connection: psycopg.Connection) -> list[tuple[int, int]]:
    rows = connection.execute(
        "SELECT user_id, product_id FROM orders JOIN orderdetails USING (order_id) ORDER BY order_detail_id"
    ).fetchall()
    if not rows:
        raise Failure("Review events need purchases: run shop-generate with some orders first")
    return rows


def _event_id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
