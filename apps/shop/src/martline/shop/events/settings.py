"""Where Kafka is, and how topics and consumer groups are called."""

import os

from martline.command import WrongSettings
from martline.shop.events.schema import Event

MAX_MESSAGE_BYTES = 2**31 - 1
"""The most that librdkafka takes in one answer: any message that a broker holds is to be read."""


def client_settings() -> dict[str, str | int | float | bool]:
    """What every client of Kafka's is made with."""
    return {
        "bootstrap.servers": bootstrap_servers(),
        "client.id": "martline-shop",
        # What it would write to standard error comes as errors too.
        "log_level": 0,
        # While a broker is away, a new attempt at least so often.
        "reconnect.backoff.max.ms": 2000,
    }


def bootstrap_servers() -> str:
    """``KAFKA_BOOTSTRAP_SERVERS``, a list of host:port with commas between."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        raise WrongSettings("KAFKA_BOOTSTRAP_SERVERS is not set: set it to the brokers' host:port")
    return servers


def topic_name(kind: type[Event]) -> str:
    """An event's topic; ``KAFKA_TOPIC_PREFIX`` stands before it, for clusters that several shops share."""
    return os.environ.get("KAFKA_TOPIC_PREFIX", "") + kind.topic


def group_name(database: str) -> str:
    """The consumers' group: those of one database share the partitions, and each database gets all events."""
    default = f"{os.environ.get('KAFKA_TOPIC_PREFIX', '')}shop-consume-{database}"
    return os.environ.get("KAFKA_CONSUMER_GROUP") or default


def topic_partitions() -> int:
    """``KAFKA_TOPIC_PARTITIONS``: partitions of the topics that are made."""
    text = os.environ.get("KAFKA_TOPIC_PARTITIONS") or "3"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000):
        raise WrongSettings(f"KAFKA_TOPIC_PARTITIONS is {text!r}: a number from 1 to 10000 is allowed")
    return int(text)
