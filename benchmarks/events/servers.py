"""The benchmark's own PostgreSQL and Kafka, as the embedded platform runs them."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from benchmarks.replication.commands import run
from benchmarks.replication.servers import connect
from confluent_kafka.admin import AdminClient

from martline.embedded.platform import Platform


@dataclass
class Servers:
    """The addresses of the servers, as the environment of the commands contains them."""

    postgres: dict[str, str]
    kafka: str

    def fresh(self, partitions: int = 3) -> dict[str, str]:
        """Make an empty shop with separate topics, and return the environment of the commands."""
        name = f"bench_{uuid.uuid4().hex[:8]}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        settings = {
            **self.postgres,
            "PGDATABASE": name,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_TOPIC_PREFIX": f"{name}_",
            "KAFKA_TOPIC_PARTITIONS": str(partitions),
        }
        run(["shop-init"], settings)
        run(["shop-consume", "--until-caught-up"], settings)  # makes the topics
        return settings

    def remove(self, settings: dict[str, str]) -> None:
        """Remove what :meth:`fresh` has made."""
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE {settings['PGDATABASE']} WITH (FORCE)".encode())
        admin = AdminClient({"bootstrap.servers": self.kafka})
        topics = [name for name in admin.list_topics().topics if name.startswith(settings["KAFKA_TOPIC_PREFIX"])]
        for future in admin.delete_topics(topics).values():
            future.result()

    def empty(self, settings: dict[str, str]) -> None:
        """Empty the shop, and let PostgreSQL finish its writes, so that they do not slow down the next run."""
        with self.connect(settings["PGDATABASE"]) as connection:
            connection.execute("TRUNCATE users, reviews, shop.consumed_events, shop.consumer_offsets CASCADE")
            connection.execute("CHECKPOINT")

    def connect(self, database: str) -> psycopg.Connection:
        """A connection that commits each statement."""
        return connect(self.postgres, database)

    def described(self) -> dict[str, str]:
        """The versions and settings of the servers."""
        with self.connect("postgres") as connection:
            [(postgres,)] = connection.execute("SELECT version()").fetchall()
        return {
            "postgresql": postgres,
            "kafka": "3.9 on ZooKeeper",
            "settings": "embedded; topics of 3 partitions",
        }


@contextmanager
def servers() -> Iterator[Servers]:
    """Start them, and remove them at the end."""
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as folder:
        os.environ["MARTLINE_HOME"] = str(Path(folder) / "platform")
        platform = Platform(Path.cwd())
        platform.up(lambda _name, _seconds: None, with_airflow=False)
        try:
            state = Platform(Path.cwd()).state
            yield Servers(
                postgres={
                    "PGHOST": "127.0.0.1",
                    "PGPORT": str(state.ports["pgport"]),
                    "PGUSER": "postgres",
                    "PGPASSWORD": state.secrets["postgres_admin"],
                },
                kafka=f"127.0.0.1:{state.ports['kafka_port']}",
            )
        finally:
            platform.down()
