"""Events and topics for the tests. ``python -m tests.shop_events`` writes the documented schemas again."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaException, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from martline.shop.events.schema import KINDS, json_schema

TOPICS = ("new_user_events", "new_review_events")
SCHEMAS = Path(__file__).parent.parent / "docs" / "events"


# Users, products and purchases 1 to 9.
SHOP = """
    INSERT INTO users SELECT n, 'A', 'B', n || '@shop.example.com', NULL, '2025-01-01', 'Gold'
        FROM generate_series(1, 9) n;
    INSERT INTO productcategories VALUES (1, 'All', NULL);
    INSERT INTO products SELECT n, 'P', NULL, 1, 5, 9, '2025-01-01' FROM generate_series(1, 9) n;
    INSERT INTO orders SELECT n, n, '2025-02-01', 5, 'Completed', '2025-02-02' FROM generate_series(1, 9) n;
    INSERT INTO orderdetails SELECT n, n, n, 1, 5, 5 FROM generate_series(1, 9) n;
    SELECT setval(pg_get_serial_sequence('users', 'user_id'), 9),
        setval(pg_get_serial_sequence('productcategories', 'category_id'), 1),
        setval(pg_get_serial_sequence('products', 'product_id'), 9),
        setval(pg_get_serial_sequence('orders', 'order_id'), 9),
        setval(pg_get_serial_sequence('orderdetails', 'order_detail_id'), 9);
"""


def new_user(**changes: Any) -> bytes:
    """An event as another program would write it. A field is left out if its value is ``...``."""
    return _event(
        {
            "event_id": str(uuid4()),
            "schema_version": 1,
            "occurred_at": "2026-01-02T03:04:05.678901",
            "first_name": "Анна",
            "last_name": "O'Neil",
            "email": f"{uuid4().hex}@example.com",
            "phone": None,
            "loyalty_status": "Gold",
            **changes,
        }
    )


def review(**changes: Any) -> bytes:
    """The same for an event of a new review."""
    return _event(
        {
            "event_id": str(uuid4()),
            "schema_version": 1,
            "occurred_at": "2026-01-02T03:04:05",
            "user_id": 1,
            "product_id": 1,
            "rating": 5,
            "review_text": "Хорошо",
            **changes,
        }
    )


def _event(fields: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def schema_of(topic: str) -> dict[str, Any]:
    """The documented schema of the topic's events."""
    return dict(json.loads((SCHEMAS / f"{topic}.schema.json").read_text()))


class Broker:
    """The broker of the tests, with the topics of one test."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._servers = settings["KAFKA_BOOTSTRAP_SERVERS"]
        self._prefix = settings["KAFKA_TOPIC_PREFIX"]
        self._admin = AdminClient({"bootstrap.servers": self._servers})

    def make_topics(self) -> None:
        """Create the topics as shop-consume does."""
        topics = [NewTopic(self._prefix + topic, 3) for topic in TOPICS]
        for future in self._admin.create_topics(topics).values():
            future.result(60)

    def send(
        self,
        topic: str,
        *messages: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, str | bytes | None]] | None = None,
        partition: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Send messages, of any size, to one partition."""
        producer = self._producer(settings or {})
        for message in messages:
            producer.produce(
                self._prefix + topic, message, key, partition, headers=headers or [], on_delivery=_require_sent
            )
        producer.flush()

    def send_in_transaction(self, topic: str, *messages: bytes, commit: bool) -> None:
        """Send messages that are committed or aborted."""
        producer = self._in_transaction(topic, messages)
        producer.commit_transaction() if commit else producer.abort_transaction()

    @contextmanager
    def open_transaction(self, topic: str, *messages: bytes) -> Iterator[None]:
        """Send messages that stay uncommitted in this block and are aborted at its end."""
        producer = self._in_transaction(topic, messages)
        yield
        producer.abort_transaction()

    def _in_transaction(self, topic: str, messages: tuple[bytes, ...]) -> Producer:
        producer = self._producer({"transactional.id": uuid4().hex})
        producer.init_transactions()
        producer.begin_transaction()
        for message in messages:
            producer.produce(self._prefix + topic, message, partition=0)
        producer.flush()
        return producer

    def _producer(self, settings: Mapping[str, str]) -> Producer:
        large = {
            "message.max.bytes": 1_000_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "compression.type": "gzip",
        }
        return Producer({"bootstrap.servers": self._servers, "log_level": 2, **large, **settings})

    def read(self, topic: str) -> list[ConsumerRecord]:
        """All messages of a topic, read by a client that the commands do not use."""
        consumer = KafkaConsumer(bootstrap_servers=self._servers, group_id=None, auto_offset_reset="earliest")
        partitions = [TopicPartition(self._prefix + topic, number) for number in range(self.partitions(topic))]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        messages: list[ConsumerRecord] = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                messages += records
        consumer.close()
        return messages

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(
            self._admin.list_topics(self._prefix + topic, timeout=10).topics[self._prefix + topic].partitions
        )

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        self._admin.delete_topics([self._prefix + topic])[self._prefix + topic].result(60)
        time.sleep(1)

    def make_anew(self, topic: str) -> None:
        """Delete a topic, and create another one with the same name."""
        number = self.partitions(topic)
        self.delete(topic)
        for _ in range(50):
            try:
                self._admin.create_topics([NewTopic(self._prefix + topic, number)])[self._prefix + topic].result(
                    60
                )
                break
            except KafkaException:
                time.sleep(0.1)
        time.sleep(1)

    def remove_before(self, topic: str, offset: int) -> None:
        """Remove the messages of the first partition up to this one, as retention does."""
        for future in self._admin.delete_records([Place(self._prefix + topic, 0, offset)]).values():
            future.result(60)

    def add_partitions(self, topic: str, number: int) -> None:
        """Increase the partitions of a topic to this number."""
        for future in self._admin.create_partitions([NewPartitions(self._prefix + topic, number)]).values():
            future.result(60)
        time.sleep(1)

    def configure(self, topic: str, name: str, value: str) -> None:
        """Change a setting of a topic."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self._prefix + topic, incremental_configs=[entry])
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(60)

    def members(self, group: str) -> int:
        """How many consumers of the group have partitions or are about to get some."""
        described = self._admin.describe_consumer_groups([group])[group].result(60)
        return len(described.members) if described.state.name == "STABLE" else 0

    def committed(self, group: str, topic: str) -> int:
        """The sum of the offsets that the group has for the topic, as kafka-consumer-groups shows it."""
        admin = KafkaAdminClient(bootstrap_servers=self._servers)
        try:
            offsets = admin.list_group_offsets(group)
        finally:
            admin.close()
        if group in offsets:
            offsets = offsets[group]
        return sum(
            offset.offset for partition, offset in offsets.items() if partition.topic == self._prefix + topic
        )


def _require_sent(error: object, _message: object) -> None:
    assert error is None, error


def write_schemas() -> None:
    """Write the documented schemas from the code."""
    for kind in KINDS:
        text = json.dumps(json_schema(kind), indent=2, ensure_ascii=False)
        (SCHEMAS / f"{kind.topic}.schema.json").write_text(f"{text}\n")


if __name__ == "__main__":
    write_schemas()
