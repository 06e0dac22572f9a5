"""The topics of the events: creates missing ones, and reads their identity and ends."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from martline.command import Failure, PassingFailure
from martline.shop.events.schema import KINDS, Event
from martline.shop.events.settings import bootstrap_servers, client_settings, topic_name, topic_partitions
from pg_to_mysql.errors import Kind

SECONDS = 5
"""Seconds to wait for an answer from Kafka."""
BROKERS_DEFAULT = -1

Partition = tuple[str, int]
"""A topic's name and the partition's number."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is now."""

    name: str
    identity: str
    """Kafka's own id of the topic. A topic that is deleted and created again gets a new one."""
    partitions: int

    @property
    def places(self) -> list[Partition]:
        """Its partitions."""
        return [(self.name, number) for number in range(self.partitions)]


class Topics:
    """Kafka's information about topics."""

    def __init__(self) -> None:
        self._admin = AdminClient(client_settings())
        self.kinds: dict[str, type[Event]] = {topic_name(kind): kind for kind in KINDS}

    def require(self, used: Collection[str] = ()) -> dict[str, Topic]:
        """The events' topics, by name; missing ones are created.

        Raise :class:`Failure` if one of ``used`` is missing, because it was deleted with its events.
        """
        there = self._wait_for(used)
        for name in self.kinds:
            if name not in there and name in used:
                raise Failure(
                    f"The topic {name} is gone from Kafka, although events from it were stored: create it again,"
                    f" and run shop-consume --start-over {name}"
                )
            if name not in there:
                self._create(name)
        there = self._wait_for(self.kinds)
        if missing := ", ".join(sorted(set(self.kinds) - set(there))):
            raise PassingFailure(f"Kafka does not show the topics {missing} yet", Kind.CONNECTION)
        return there

    def look(self) -> dict[str, Topic]:
        """The existing topics of the events, by name."""
        asked = self._admin.describe_topics(TopicCollection(list(self.kinds)), request_timeout=SECONDS)
        found = {}
        for name, future in asked.items():
            try:
                description = future.result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise unreachable(error) from error
            found[name] = Topic(name, str(description.topic_id), len(description.partitions))
        return found

    def ends(self, topics: Mapping[str, Topic]) -> dict[Partition, int]:
        """The end of each partition that is not empty: the offset after the last committed message."""
        places = [place for topic in topics.values() for place in topic.places]
        firsts, lasts = self.firsts(places), self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: last for place, last in lasts.items() if last > firsts[place]}

    def firsts(self, places: Collection[Partition]) -> dict[Partition, int]:
        """The first offset of each partition in Kafka."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def _offsets(self, places: Collection[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        if not places:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(*place): spec for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=SECONDS,
        )
        try:
            return {
                (partition.topic, partition.partition): future.result().offset
                for partition, future in asked.items()
            }
        except KafkaException as error:
            raise unreachable(error) from error

    def _create(self, name: str) -> None:
        topic = NewTopic(name, topic_partitions(), BROKERS_DEFAULT)
        try:
            self._admin.create_topics([topic], request_timeout=SECONDS)[name].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another program was faster
                raise unreachable(error) from error

    def _wait_for(self, names: Collection[str]) -> dict[str, Topic]:
        """Wait, because a broker does not report new topics at once, and no topic right after its start."""
        deadline = time.monotonic() + SECONDS
        while not set(names) <= (there := self.look()).keys() and time.monotonic() < deadline:
            time.sleep(0.1)
        return there


def unreachable(error: KafkaException) -> Failure:
    """The error to raise for an error of Kafka; a passing one if the same may succeed later."""
    cause = error.args[0]
    if cause.code() in PASSING or cause.retriable():
        return PassingFailure(
            f"Kafka at {bootstrap_servers()} can't be reached ({cause.str()}): check KAFKA_BOOTSTRAP_SERVERS",
            Kind.CONNECTION,
        )
    return Failure(f"Kafka at {bootstrap_servers()} refuses ({cause.str()}): check the topics and its settings")


PASSING = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._RESOLVE,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError._STATE,
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.INVALID_REPLICATION_FACTOR,
}
"""Codes of passing errors. The last one occurs while too few brokers of a new cluster have started."""
