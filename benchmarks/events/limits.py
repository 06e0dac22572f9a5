"""The limits of speed: the bare clients of Kafka and PostgreSQL, as separate commands.

They run as ``python -m benchmarks.events.limits NAME …``, so that the start of Python and its imports count as
they do for the commands with which they are compared.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition


def send(topic: str, file: str) -> int:
    """Send ready lines, each with a ready key."""
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    # Time to connect. A message that is sent before the client is connected waits for half a second.
    time.sleep(0.05)
    sent = 0
    for line in _lines(file):
        while True:
            try:
                producer.produce(topic, line, b"%d" % sent)
                break
            except BufferError:
                producer.poll(0.05)
        sent += 1
        if sent % 1000 == 0:
            producer.poll(0)
    producer.flush()
    return sent


def read(topic: str, count: str) -> int:
    """Read messages and throw them away."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": "limits",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    done = 0
    while done < int(count):
        done += sum(message.error() is None for message in consumer.consume(500, 1))
    consumer.close()
    return done


def copy(ids: str, rows: str, batch: str) -> int:
    """Copy ready lines of ids and rows into the tables, in transactions as large as those of the consumer."""
    import psycopg

    done = 0
    with psycopg.connect(dbname=os.environ["PGDATABASE"]) as connection:
        for some_ids, some_rows in zip(_pieces(ids, int(batch)), _pieces(rows, int(batch)), strict=True):
            with connection.cursor() as cursor:
                with cursor.copy("COPY shop.consumed_events (event_id) FROM STDIN") as target:
                    target.write(some_ids)
                with cursor.copy(
                    "COPY users (user_id, first_name, last_name, email, phone, registration_date, loyalty_status)"
                    " FROM STDIN"
                ) as target:
                    target.write(some_rows)
            connection.commit()
            done += some_ids.count(b"\n")
    return done


def _lines(file: str) -> Iterator[bytes]:
    with Path(file).open("rb") as lines:
        for line in lines:
            yield line[:-1]


def _pieces(file: str, size: int) -> Iterator[bytes]:
    with Path(file).open("rb") as lines:
        while piece := b"".join(line for _, line in zip(range(size), lines, strict=False)):
            yield piece


COMMANDS: dict[str, Callable[..., int]] = {"send": send, "read": read, "copy": copy}

if __name__ == "__main__":
    print(json.dumps({"count": COMMANDS[sys.argv[1]](*sys.argv[2:])}))
