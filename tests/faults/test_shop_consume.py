"""Consumers, PostgreSQL and Kafka are killed at random moments: each event takes effect exactly once."""

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest
from tests.connections import to_postgres
from tests.kafka_server import KafkaServer
from tests.servers import PostgreSQL, open_server
from tests.shop_events import Broker

pytestmark = pytest.mark.timeout(0)
EVENTS = 10_000
"""The number of events with ``--scale 1``. With 20, it is 200,000."""
CONSUMERS = 3
LONGEST = 240
"""Seconds that the consumers may need once nothing is killed any more."""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgreSQL, KafkaServer]]:
    """Servers for this test only, so that it can kill them."""
    with ExitStack() as stack:
        postgres = open_server("postgresql-18", tmp_path_factory.mktemp("postgres"))
        stack.callback(postgres.remove)
        postgres.start()
        kafka = KafkaServer(tmp_path_factory.mktemp("kafka"))
        stack.callback(kafka.remove)
        kafka.start()
        assert isinstance(postgres, PostgreSQL)
        yield postgres, kafka


def test_whatever_is_killed_each_event_counts_once(
    servers: tuple[Any, KafkaServer], run: Callable[..., Any], start: Start, scale: int
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    postgres, kafka = servers
    with postgres.database() as database:
        settings = {**database, **kafka.settings, "KAFKA_TOPIC_PREFIX": "faults_"}
        run("shop-init", env=settings)
        run("shop-generate", "--users", 10, "--products", 10, "--orders", 50, "--seed", 1, env=settings)
        sent = EVENTS * scale
        seconds = 20 * max(1, scale // 4)
        parts = ["--users", sent // 2, "--reviews", sent - sent // 2, "--seed", 2]
        producer = start(
            "shop-produce", *parts, "--rate", sent / seconds, "--delivery-timeout", 600, env=settings
        )
        logs = Logs()
        consumers = [logs.follow(start("shop-consume", env=settings)) for _ in range(CONSUMERS)]
        wait_until_stored(settings, 1, logs)  # from here on, the producer needs only Kafka
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or producer.poll() is None:
            time.sleep(chance.uniform(0.5, 2.5))
            victim = chance.choice(["consumer", "consumer", "consumer", "stop", "postgres", "kafka"])
            if victim in ("consumer", "stop"):
                place = chance.randrange(CONSUMERS)
                consumers[place].kill() if victim == "consumer" else consumers[place].terminate()
                consumers[place].wait(LONGEST)
                consumers[place] = logs.follow(start("shop-consume", env=settings))
            elif time.monotonic() < ends:
                server = postgres if victim == "postgres" else kafka
                server.kill()
                time.sleep(chance.uniform(0, 2))
                server.start()
        assert producer.returncode == 0, producer.communicate()[1]
        wait_until_stored(settings, sent, logs)
        for consumer in consumers:
            logs.wait_for("joining the group", consumer)  # until then, SIGTERM kills it
            assert consumer.poll() is None, logs.of(consumer)
            consumer.terminate()
        for consumer in consumers:
            assert consumer.wait(LONGEST) == 0, logs.of(consumer)
        result = run("shop-consume", "--until-caught-up", env=settings).result
        assert (result["read"], result["dead_letters"]) == (0, 0)
        require_each_once(settings, sent)
        # The ids in PostgreSQL are those of the messages in Kafka, which another client reads.
        ids = {
            json.loads(message.value)["event_id"]
            for topic in ("new_user_events", "new_review_events")
            for message in Broker(settings).read(topic)
        }
        with to_postgres(settings) as connection:
            stored = connection.execute("SELECT event_id::text FROM shop.consumed_events").fetchall()
        assert {event_id for (event_id,) in stored} == ids


class Logs:
    """The logs of the consumers. They are read continuously, because a full pipe would block the consumers."""

    def __init__(self) -> None:
        self._lines: dict[int, list[str]] = {}

    def follow(self, process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
        lines = self._lines[process.pid] = []

        def read() -> None:
            assert process.stderr
            with suppress(ValueError):
                lines.extend(process.stderr)

        threading.Thread(target=read, daemon=True).start()
        return process

    def wait_for(self, words: str, process: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + LONGEST
        while not any(words in line for line in self._lines[process.pid]):
            assert process.poll() is None, self.of(process)
            assert time.monotonic() < deadline, self.of(process)
            time.sleep(0.1)

    def of(self, process: "subprocess.Popen[str]") -> str:
        return "".join(self._lines[process.pid][-20:])

    def all(self) -> str:
        return "\n\n".join("".join(lines[-5:]) for lines in self._lines.values())


def wait_until_stored(settings: dict[str, str], sent: int, logs: Logs) -> None:
    deadline = time.monotonic() + LONGEST
    stored = 0
    while stored < sent:
        assert time.monotonic() < deadline, f"{stored} of {sent} events are stored:\n{logs.all()}"
        time.sleep(0.5)
        with suppress(psycopg.OperationalError), to_postgres(settings) as connection:
            [(stored,)] = connection.execute("SELECT count(*) FROM shop.consumed_events").fetchall()


def require_each_once(settings: dict[str, str], sent: int) -> None:
    with to_postgres(settings) as connection:
        [found] = connection.execute(
            "SELECT (SELECT count(*) FROM users WHERE user_id > 10), (SELECT count(DISTINCT email) FROM users) - 10,"
            " (SELECT count(*) FROM reviews), (SELECT count(*) FROM shop.consumed_events),"
            " (SELECT count(*) FROM shop.dead_letters)"
        ).fetchall()
    assert found == (sent // 2, sent // 2, sent - sent // 2, sent, 0)
