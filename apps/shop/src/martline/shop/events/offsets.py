"""How far each partition is stored: offsets in PostgreSQL, written in the same transaction as the rows.

They fence the consumers off from each other. A partition's row is updated only if it still has the offset from
which the consumer has read. If it does not, another consumer was faster, and the whole transaction is rolled
back. This works no matter what Kafka's group assumes about who reads which partition.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg
from confluent_kafka import Message as KafkaMessage

from martline.command import Failure, PassingFailure
from martline.shop.events.topics import Partition, Topic


class StoredByAnother(PassingFailure):
    """Another consumer has stored these messages: read again from the stored offsets."""


class OtherTopic(Failure):
    """A topic is not the one that the offsets belong to."""


@dataclass
class Span:
    """What was read from a partition: the first offset, and the next offset to read."""

    start: int
    next: int
    newest: KafkaMessage | None = None
    """The last message; None if there are only Kafka's own markers."""


def stored_offsets(connection: psycopg.Connection) -> dict[Partition, tuple[str | None, int]]:
    """Each partition's topic id and next offset."""
    rows = connection.execute(
        "SELECT topic, partition, topic_id, next_offset FROM shop.consumer_offsets"
    ).fetchall()
    connection.commit()
    return {(topic, partition): (identity, offset) for topic, partition, identity, offset in rows}


def require_same_topics(connection: psycopg.Connection, topics: Mapping[str, Topic]) -> None:
    """Raise :class:`OtherTopic` if offsets belong to a topic that was deleted and created again."""
    with connection.transaction():
        for topic in topics.values():
            # Offsets of an earlier version are assumed to belong to the current topic.
            connection.execute(
                "UPDATE shop.consumer_offsets SET topic_id = %s WHERE topic = %s AND topic_id IS NULL",
                [topic.identity, topic.name],
            )
    for (name, _), (identity, _) in stored_offsets(connection).items():
        if name in topics and identity != topics[name].identity:
            raise OtherTopic(
                f"The topic {name} was deleted and created again after events from it were stored; nothing was"
                f" skipped: to store the new topic from its beginning, run shop-consume --start-over {name}"
            )


def begin_partition(connection: psycopg.Connection, partition: Partition, topic: Topic, first: int) -> int:
    """The partition's next offset; ``first`` if nothing has been read from it."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO shop.consumer_offsets (topic, partition, topic_id, next_offset) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [*partition, topic.identity, first],
        )
        row = connection.execute(
            "SELECT topic_id, next_offset FROM shop.consumer_offsets WHERE topic = %s AND partition = %s",
            partition,
        ).fetchone()
    if row is None or row[0] != topic.identity:
        raise StoredByAnother(f"Another consumer has just changed the offsets of {topic.name}")
    return int(row[1])


def advance(connection: psycopg.Connection, spans: Mapping[Partition, Span], topics: Mapping[str, Topic]) -> None:
    """Store the spans' ends, in the transaction of their rows, or raise :class:`StoredByAnother`."""
    partitions = sorted(spans)
    updated = connection.execute(
        "WITH read AS ("
        " SELECT topic, partition, upto FROM shop.consumer_offsets JOIN unnest("
        "%s::text[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[]"
        ") AS span (topic, partition, topic_id, start, upto) USING (topic, partition, topic_id)"
        " WHERE next_offset = start ORDER BY topic, partition FOR UPDATE OF consumer_offsets)"
        " UPDATE shop.consumer_offsets AS stored SET next_offset = upto FROM read"
        " WHERE stored.topic = read.topic AND stored.partition = read.partition",
        [
            [topic for topic, _ in partitions],
            [number for _, number in partitions],
            [topics[topic].identity for topic, _ in partitions],
            [spans[partition].start for partition in partitions],
            [spans[partition].next for partition in partitions],
        ],
    ).rowcount
    if updated != len(spans):
        raise StoredByAnother("Another consumer has stored these events")


def forget_topics(connection: psycopg.Connection, names: Collection[str]) -> int:
    """Forget the offsets of these topics, so that they are read from their beginning; return their number."""
    with connection.transaction():
        return connection.execute(
            "DELETE FROM shop.consumer_offsets WHERE topic = ANY(%s)", [list(names)]
        ).rowcount


def group_id(connection: psycopg.Connection) -> str:
    """The id of the group that all consumers of this database share."""
    row = connection.execute("SELECT name FROM shop.consumer_group").fetchone()
    connection.commit()
    if row is None:
        raise Failure("shop.consumer_group is empty: run shop-init")
    return str(row[0])
