"""Many changes of a table, reduced to the last state of each key."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from replication.pgoutput import UNCHANGED, Row, Value

Key = tuple[Value, ...]


@dataclass
class Partial:
    """A row without its unchanged values: MySQL has them, in the row whose key was ``base`` before the batch."""

    base: Key
    row: Row


@dataclass
class Fold:
    """What is to be done to a table: empty it if ``truncated``, delete ``deleted``, write the rows.

    ``rows`` are complete; ``partial`` ones get their missing values from MySQL before anything is deleted.
    """

    key: Sequence[int]
    truncated: bool = False
    deleted: set[Key] = field(default_factory=set)
    rows: dict[Key, Row] = field(default_factory=dict)
    partial: dict[Key, Partial] = field(default_factory=dict)

    def insert(self, row: Row) -> None:
        key = self._key_of(row)
        self.deleted.discard(key)
        self.partial.pop(key, None)
        self.rows[key] = row

    def update(self, old: Row | None, row: Row) -> None:
        key = self._key_of(row)
        before = key if old is None else self._key_of(old)
        partial = self._complete(before, row) if UNCHANGED in row else None
        if before != key:
            self.delete_key(before)
        if partial is None:
            self.insert(row)
        else:
            self.deleted.discard(key)
            self.partial[key] = partial

    def delete(self, old: Row) -> None:
        self.delete_key(self._key_of(old))

    def truncate(self) -> None:
        self.truncated = True
        self.deleted.clear()
        self.rows.clear()
        self.partial.clear()

    def delete_key(self, key: Key) -> None:
        self.rows.pop(key, None)
        self.partial.pop(key, None)
        self.deleted.add(key)

    def _key_of(self, row: Row) -> Key:
        return tuple([row[i] for i in self.key])

    def _complete(self, before: Key, row: Row) -> Partial | None:
        """Fill in what the batch itself knows; return what is still missing."""
        known = self.partial.get(before)
        previous = self.rows.get(before) or (known.row if known else None)
        if previous:
            row[:] = [old if new is UNCHANGED else new for old, new in zip(previous, row, strict=True)]
        if UNCHANGED not in row:
            return None
        return Partial(known.base if known else before, row)
