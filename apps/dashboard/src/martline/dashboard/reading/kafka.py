"""Reads the first and the last offset of each partition of the events' topics from Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from martline.command import Failure
from martline.dashboard.reading.postgres import Partition, Stored

SECONDS = 5
"""The time that an answer may take."""
TOPICS = ("new_review_events", "new_user_events")


@dataclass(frozen=True)
class Topic:
    """The topic's id in Kafka, and the first and the last offset of each of its partitions."""

    topic_id: str
    edges: Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Waiting:
    """The messages of a topic that are not stored."""

    topic: str
    events: int
    is_made_anew: bool
    """Whether the stored offsets belong to a deleted topic of the same name. Consumers then refuse to
    continue."""


class KafkaReader:
    """Asks Kafka for the last *committed* messages, as the consumer does."""

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers = servers
        self._topics = [prefix + topic for topic in TOPICS]
        self._admin: AdminClient | None = None

    def read(self) -> dict[str, Topic]:
        """The existing topics, by name."""
        if self._admin is None:
            self._admin = AdminClient(
                {"bootstrap.servers": self._servers, "client.id": "martline-dashboard", "log_level": 0}
            )
        try:
            return self._read(self._admin)
        except KafkaException as error:
            raise Failure(
                f"Kafka at {self._servers} does not answer: {error.args[0].str()}; check KAFKA_BOOTSTRAP_SERVERS"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._admin = None

    def _read(self, admin: AdminClient) -> dict[str, Topic]:
        asked = admin.describe_topics(TopicCollection(self._topics), request_timeout=SECONDS)
        there = {}
        for name, future in asked.items():
            try:
                there[name] = future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        places = [(name, number) for name, topic in there.items() for number in range(len(topic.partitions))]
        firsts = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        lasts = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {
            name: Topic(
                str(topic.topic_id),
                {number: (firsts[name, number], lasts[name, number]) for number in range(len(topic.partitions))},
            )
            for name, topic in there.items()
        }


def _offsets(admin: AdminClient, places: list[Partition], spec: OffsetSpec) -> dict[Partition, int]:
    if not places:
        return {}
    asked = admin.list_offsets(
        {TopicPartition(*place): spec for place in places},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=SECONDS,
    )
    return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}


def waiting(topics: Mapping[str, Topic], stored: Mapping[Partition, Stored]) -> list[Waiting]:
    """The messages of each topic that are not stored. If nothing is stored, these are all in Kafka."""
    found = []
    for name, topic in sorted(topics.items()):
        events, is_made_anew = 0, False
        for number, (first, last) in topic.edges.items():
            done = stored.get((name, number))
            is_other = done is not None and done.topic_id not in (None, topic.topic_id)
            is_made_anew |= is_other
            events += max(0, last - (first if done is None or is_other else max(first, done.next_offset)))
        found.append(Waiting(name, events, is_made_anew))
    return found
