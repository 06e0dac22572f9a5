"""What has happened to a table's partitions that PostgreSQL's stream of changes does not contain.

With ``publish_via_partition_root``, changes of rows come as changes of the root table. But the stream does not
say that a partition was truncated, dropped, detached, or attached with rows in it. The catalogue shows each of
these.
"""

from collections.abc import Callable, Mapping, Sequence

from pg_to_mysql.tables.table import Partition


def reason_to_copy(
    before: Sequence[Partition], now: Sequence[Partition], is_empty: Callable[[Partition], bool]
) -> str | None:
    """Why the table has gained or lost rows without any change in the stream; None if it has not."""
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
    """Whether this partition and all its parents were known before, or were created in place."""
    above: Partition | None = partition
    while above is not None:
        if not above.is_whole and above.oid not in known:
            return False
        above = live.get(above.parent)
    return True


def of_first_version(storage: str, now: Sequence[Partition]) -> list[Partition] | None:
    """The partitions of which only the storage is stored; None if one of them no longer exists."""
    storages = {int(number) for number in storage.split()} - {0}
    there = [partition for partition in now if not partition.is_leaf or partition.storage in storages]
    return there if storages <= {partition.storage for partition in there} else None
