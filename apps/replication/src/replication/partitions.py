"""What has become of a table's partitions, as far as PostgreSQL's stream of changes does not tell it.

With ``publish_via_partition_root`` the changes of rows come as the root's, but no word of a partition that is
truncated, dropped, detached, or attached with rows in it. The catalogue shows that each of these has happened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

TREE = """
WITH RECURSIVE tree AS (
    SELECT class.oid AS root, link.xmin, link.cmin, link.xmax, inhrelid, inhparent, inhdetachpending
    FROM pg_class class JOIN pg_inherits link ON inhparent = class.oid
    WHERE class.relnamespace = %s::regnamespace AND class.relkind = 'p' AND NOT class.relispartition
        AND class.relpersistence = 'p'
    UNION ALL
    SELECT root, link.xmin, link.cmin, link.xmax, link.inhrelid, link.inhparent, link.inhdetachpending
    FROM tree JOIN pg_inherits link ON link.inhparent = tree.inhrelid
)
SELECT root, class.oid, nspname, relname, class.relfilenode, class.relkind = 'p', inhparent,
    concat(tree.xmin, CASE WHEN inhdetachpending THEN ' detached' END),
    NOT inhdetachpending AND class.relfilenode IN (0, class.oid) AND EXISTS (
        SELECT FROM pg_attribute a WHERE attrelid = class.oid AND attnum > 0 AND attinhcount = 1
            AND a.xmin = tree.xmin AND a.cmin::text::bigint < tree.cmin::text::bigint
            AND a.xmax::text = '0' AND tree.xmax::text = '0'
    )
FROM tree
JOIN pg_class class ON class.oid = inhrelid
JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
ORDER BY class.oid
"""
"""All partitions of the tables of a schema, of every level.

To attach a table is to write its columns anew in the catalogue, in the command that writes the link to its
parent: columns of the same transaction, but of an earlier command, tell a table that was created as a partition.
The storage of a table has the table's own number until it is truncated or written anew.
"""


@dataclass(frozen=True)
class Partition:
    """A partition, which may have partitions itself."""

    oid: int
    schema: str
    name: str
    storage: int
    """Another one whenever PostgreSQL has emptied it or written it anew; 0 if it is partitioned itself."""
    is_leaf: bool
    parent: int
    link: str
    """Another one whenever it was attached again."""
    is_whole: bool
    """Whether it was created as a partition and has not been emptied: all that is in it is in the stream."""


def read_partitions(connection: psycopg.Connection, schema: str) -> dict[int, tuple[Partition, ...]]:
    """The partitions of the schema's partitioned tables, by the oid of the root, as far as it has some."""
    found: dict[int, list[Partition]] = {}
    for root, oid, namespace, name, storage, is_partitioned, parent, link, is_whole in connection.execute(
        TREE, [schema]
    ).fetchall():
        partition = Partition(oid, namespace, name, storage, not is_partitioned, parent, link, is_whole)
        found.setdefault(root, []).append(partition)
    return {root: tuple(partitions) for root, partitions in found.items()}


def reason_to_copy(
    before: Sequence[Partition], now: Sequence[Partition], is_empty: Callable[[Partition], bool]
) -> str | None:
    """Why the table has rows, or lacks some, of which the changes tell nothing; None if that is not so."""
    live = {partition.oid: partition for partition in now}
    known = {partition.oid: partition for partition in before}
    for old in before:
        new = live.get(old.oid)
        if new is None:
            if old.is_leaf or any(other.parent == old.oid for other in before):
                return f"its partition {old.name} was dropped or detached"
        elif (new.parent, new.link) != (old.parent, old.link):
            return f"its partition {old.name} was detached"
        elif new.storage != old.storage:
            return f"its partition {old.name} was truncated or written anew"
    for partition in now:
        if partition.oid not in known and partition.is_leaf and not _is_known_whole(partition, live, known):
            untouched = partition.storage == partition.oid and "detached" not in partition.link
            if not (untouched and is_empty(partition)):
                return f"its partition {partition.name} was attached, or truncated, with rows in it"
    return None


def _is_known_whole(partition: Partition, live: Mapping[int, Partition], known: Mapping[int, Partition]) -> bool:
    """Whether it, and each partition that it is in, was created where it is or was there before."""
    above: Partition | None = partition
    while above is not None:
        if not above.is_whole and above.oid not in known:
            return False
        above = live.get(above.parent)
    return True


def of_first_version(storage: str, now: Sequence[Partition]) -> list[Partition] | None:
    """The partitions of which only the storages are stored; None if one of them is not there any more."""
    storages = {int(number) for number in storage.split()} - {0}
    there = [partition for partition in now if not partition.is_leaf or partition.storage in storages]
    return there if storages <= {partition.storage for partition in there} else None


def is_empty(connection: psycopg.Connection, partition: Partition) -> bool:
    """Whether the partition surely has no row; the connection is in autocommit mode."""
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM ONLY {})").format(
        sql.Identifier(partition.schema, partition.name)
    )
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            [(empty,)] = connection.execute(query).fetchall()
            return bool(empty)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        return False
