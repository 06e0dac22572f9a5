"""The journal: which rows of a replica's tables have changed, for who reads the replica again and again.

A row of ``_replication_changes`` is written by who holds the replica's lock, in the transaction of the changes of
which it tells. So a slot's ids ascend in the order of its changes, and who sees a change sees its row.
"""

from collections.abc import Iterable, Iterator, Sequence

from pg_to_mysql.mysql.target import Target

LONGEST = 256 << 10
"""Bytes of keys in a row: the statement has twice as many digits, and MySQL may take no more than 1 MB."""
ROW_BYTES = 200
"""What a row takes beside its keys, about."""
TRIMMED = 16
"""The oldest rows are deleted in shares of the journal, each one part of so many."""


class Journal:
    """The journal of one slot's replica, of at most ``limit`` bytes; it is off if they are 0.

    Who calls the methods has the replica's lock.
    """

    def __init__(self, target: Target, slot: str, limit: int) -> None:
        self._target = target
        self._slot = slot
        self._limit = limit
        self._room = 0
        """Bytes that may be written before the journal is looked at again."""

    @property
    def is_on(self) -> bool:
        """Whether changes are noted."""
        return self._limit > 0

    def begin(self) -> None:
        """Begin the journal if there is none; or delete it if it is off, as it is about to have a gap.

        To be called whenever the lock has been taken: another program may keep the journal otherwise.
        """
        there = bool(
            self._target.execute("SELECT 1 FROM _replication_changes WHERE slot = %s LIMIT 1", [self._slot])
        )
        if there == self.is_on:
            return
        with self._target.transaction():
            if there:
                self._delete("TRUE")
            else:
                # The id is one that no row ever had, also in a table that somebody has dropped.
                self._target.execute(
                    "INSERT INTO _replication_changes (id, slot, bytes)"
                    " VALUES (UNIX_TIMESTAMP(NOW(6)) * 1000000, %s, %s)",
                    [self._slot, ROW_BYTES],
                )

    def note(self, name: str, keys: Sequence[bytes] | None) -> None:
        """Note, in the caller's transaction, that these rows of the table have changed; any, if ``keys`` is None.

        A key is its values joined by a NUL byte.
        """
        if not self.is_on:
            return
        for changed in [None] if keys is None else _joined(keys):
            size = ROW_BYTES + len(changed or b"")
            self._target.execute(
                "INSERT INTO _replication_changes (slot, name, changed, bytes) VALUES (%s, %s, %s, %s)",
                [self._slot, name, changed, size],
            )
            self._room -= size

    def note_tables(self, names: Iterable[str]) -> None:
        """Note, in the caller's transaction, that any row of these tables may have changed."""
        for name in names:
            self.note(name, None)

    def announce(self, names: Iterable[str]) -> None:
        """Note that any row of these tables may have changed, before a statement that MySQL commits by itself.

        Else who looks after a crash would not know of it. It is to be noted once more afterwards, for who has
        looked in between.
        """
        with self._target.transaction():
            self.note_tables(names)

    def trim(self) -> None:
        """Delete the oldest rows, but not the newest, of a journal that is too large; in an own transaction."""
        if self._room >= 0:
            return
        [(size, newest)] = self._target.execute(
            "SELECT COALESCE(SUM(bytes), 0), MAX(id) FROM _replication_changes WHERE slot = %s", [self._slot]
        )
        self._room = self._limit - int(size)
        if self._room >= 0:
            return
        kept = self._limit - self._limit // TRIMMED
        [(last,)] = self._target.execute(
            "SELECT MAX(id) FROM (SELECT id, SUM(bytes) OVER (ORDER BY id DESC) AS newer"
            " FROM _replication_changes WHERE slot = %s) AS counted WHERE newer > %s",
            [self._slot, kept],
        )
        with self._target.transaction():
            self._delete("id <= %s AND id < %s", last, newest)
        self._room = self._limit - kept

    def _delete(self, condition: str, *values: int) -> None:
        # By this index it does not wait for rows that the replicator of another slot is writing.
        self._target.execute(
            "DELETE changes FROM _replication_changes AS changes FORCE INDEX (of_slot)"
            f" WHERE slot = %s AND {condition}",
            [self._slot, *values],
        )


def _joined(keys: Sequence[bytes]) -> Iterator[bytes]:
    """The keys joined by NUL bytes, in as many pieces as they need."""
    if not keys:
        return
    joined = b"\0".join(keys)
    if len(joined) <= LONGEST or len(keys) == 1:
        yield joined
        return
    middle = len(keys) // 2
    yield from _joined(keys[:middle])
    yield from _joined(keys[middle:])
