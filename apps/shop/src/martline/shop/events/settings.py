"""The address of Kafka, and the names of topics and consumer groups."""

import os

from martline.command import WrongSettings
from martline.shop.events.schema import Event

MAX_MESSAGE_BYTES = 2**31 - 1
"""The most that librdkafka accepts in one answer, so that every message can be read."""


def client_settings() -> dict[str, str | int | float | bool]:
    """The settings of every Kafka client."""
    return {
        "bootstrap.servers": bootstrap_servers(),
        "client.id": "martline-shop",
        # What the client would write to standard error also arrives as errors.
        "log_level": 0,
        # The longest pause between attempts while a broker is down.
        "reconnect.backoff.max.ms": 2000,
    }


def bootstrap_servers() -> str:
    """``KAFKA_BOOTSTRAP_SERVERS``, a comma-separated list of host:port."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        raise WrongSettings("KAFKA_BOOTSTRAP_SERVERS is not set: set it to the brokers' host:port")
    return servers


def topic_name(kind: type[Event]) -> str:
    """An event's topic, with the prefix ``KAFKA_TOPIC_PREFIX``, for clusters that several shops share."""
    return os.environ.get("KAFKA_TOPIC_PREFIX", "") + kind.topic


def group_name(database: str) -> str:
    """The consumer group. Consumers of one database share the partitions, and each database gets all events."""
    default = f"{os.environ.get('KAFKA_TOPIC_PREFIX', '')}shop-consume-{database}"
    return os.environ.get("KAFKA_CONSUMER_GROUP") or default


def topic_partitions() -> int:
    """``KAFKA_TOPIC_PARTITIONS``: the number of partitions of topics that are created."""
    text = os.environ.get("KAFKA_TOPIC_PARTITIONS") or "3"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000):
        raise WrongSettings(f"KAFKA_TOPIC_PARTITIONS is {text!r}: set it to a number from 1 to 10000")
    return int(text)
