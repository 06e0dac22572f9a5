"""Connections to Kafka."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from martline.command import Failure
from martline.shop.events import EVENTS, bootstrap_servers, dead_letter_topic, topic_name

Client = TypeVar("Client")


def reach(connect: Callable[[], Client]) -> Client:
    """Make a client, or raise :class:`Failure` that names the brokers."""
    try:
        return connect()
    except (KafkaError, OSError) as error:
        servers = ",".join(bootstrap_servers())
        raise Failure(f"Kafka at {servers} can't be reached ({error}): check KAFKA_BOOTSTRAP_SERVERS") from error


def ensure_topics() -> None:
    """Make the events' topics and their dead-letter topics, where they are not there."""
    topics = [topic_name(event) for event in EVENTS]
    admin = reach(lambda: KafkaAdminClient(bootstrap_servers=bootstrap_servers()))
    try:
        missing = {*topics, *map(dead_letter_topic, topics)} - set(admin.list_topics())
        for topic in sorted(missing):
            _create(admin, topic)
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, topic: str) -> None:
    with suppress(TopicAlreadyExistsError):  # another program was quicker
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])


def connect_producer() -> KafkaProducer:
    """A producer that neither loses nor repeats a message while it lives."""
    return reach(
        lambda: KafkaProducer(
            bootstrap_servers=bootstrap_servers(), acks="all", enable_idempotence=True, linger_ms=20
        )
    )


def deliver(producer: KafkaProducer, sent: Iterable[object]) -> None:
    """Wait until the brokers have all messages that were sent, or raise :class:`Failure`."""
    try:
        producer.flush(timeout=60)
        for message in sent:
            message.get(timeout=60)  # type: ignore[attr-defined]
    except KafkaError as error:
        raise Failure(f"Kafka did not take the messages ({error}): check its brokers, and try again") from error
