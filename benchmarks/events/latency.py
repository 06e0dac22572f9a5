"""The time from sending an event until other sessions see its row."""

import signal
import time
from collections.abc import Iterator

import psycopg
from benchmarks.events.servers import Servers
from benchmarks.measure import Measure
from benchmarks.replication.commands import started
from confluent_kafka import Producer

from martline.shop.events.making import first_user, user_maker
from martline.shop.events.schema import NewUser

RATE = 1000
SECONDS = 20
GOAL_MS = 100
SEED = 9
LOOK_SECONDS = 0.002


def measure_latency(servers: Servers) -> Iterator[Measure]:
    """Send events at a rate while a reader looks for their rows. The reader's own delay counts too."""
    settings = servers.fresh()
    topic = settings["KAFKA_TOPIC_PREFIX"] + NewUser.topic
    producer = Producer(
        {"bootstrap.servers": servers.kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
    )
    make = user_maker(SEED)
    sent: list[float] = []
    seen: dict[int, float] = {}
    with started(["shop-consume"], settings) as (process, _), servers.connect(settings["PGDATABASE"]) as reader:
        _warm_up(producer, topic, reader)
        began = time.monotonic()
        looked = 0
        while len(seen) < RATE * SECONDS:
            while len(sent) < RATE * SECONDS and began + len(sent) / RATE <= time.monotonic():
                [(key, value)] = make(range(len(sent), len(sent) + 1))
                sent.append(time.monotonic())
                producer.produce(topic, value, key)
            producer.poll(0)
            looked = _look(reader, looked, seen)
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - began > 3 * SECONDS:
                raise RuntimeError(f"only {len(seen)} of {RATE * SECONDS} events were stored")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    servers.remove(settings)
    latencies = sorted((seen[number] - moment) * 1000 for number, moment in enumerate(sent))
    for percent in (50, 95, 99):
        latency = latencies[len(latencies) * percent // 100 - 1]
        yield Measure(
            f"from sending to the row at {RATE} events/s, {percent}th percentile",
            latency,
            "ms",
            GOAL_MS if percent == 99 else None,
        )


def _warm_up(producer: Producer, topic: str, reader: psycopg.Connection) -> None:
    """Wait until the consumer has its partitions, so that its start does not delay the measured events."""
    for key, value in user_maker(SEED + 1)(range(RATE)):
        producer.produce(topic, value, key)
    producer.flush()
    while reader.execute("SELECT count(*) FROM users").fetchall() != [(RATE,)]:
        time.sleep(0.1)


def _look(reader: psycopg.Connection, after: int, seen: dict[int, float]) -> int:
    """Note the time for each event whose row is new. The id of a user contains the number of the event."""
    base = first_user(SEED)
    rows = reader.execute(
        "SELECT user_id - %s FROM users WHERE user_id BETWEEN %s AND %s",
        [base, base + after, base + RATE * SECONDS],
    ).fetchall()
    now = time.monotonic()
    for (number,) in rows:
        seen.setdefault(number, now)
    # Partitions are stored at different moments, so the next look begins at the first missing event.
    while after in seen:
        after += 1
    return after
