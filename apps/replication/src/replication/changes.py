"""The changes since the last run, from the slot into MySQL, each exactly once.

A batch of whole transactions, and the LSN up to which it reaches, is one transaction in MySQL; only then is
the slot told. Killed before, the batch is rolled back and read again; killed between the two, the LSN in
MySQL says that it is done.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from command import Failure, progress
from replication import source
from replication.fold import Fold
from replication.pgoutput import (
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    Truncate,
    Update,
    parse,
)
from replication.source import Table
from replication.target import Target
from replication.write import write

log = logging.getLogger(__name__)

BATCH_CHANGES = 100_000
"""Read at once, at least one whole transaction."""
FOLDED_BYTES = 64 << 20
"""Of messages, before they are written into the open transaction: a bound for memory."""


@dataclass(frozen=True)
class Replicated:
    """A table that is in MySQL, and the LSN of its copy: earlier changes are in the copy."""

    table: Table
    snapshot_lsn: int


@dataclass
class Applied:
    """What has been applied: changes as PostgreSQL counts them, and rows as they were written or deleted."""

    changes: int = 0
    rows_written: int = 0

    def __iadd__(self, other: "Applied") -> "Applied":
        return Applied(self.changes + other.changes, self.rows_written + other.rows_written)


def apply_changes(
    connection: psycopg.Connection,
    target: Target,
    slot: str,
    schema: str,
    replicated: Mapping[str, Replicated],
    upto: int,
) -> Applied:
    """Apply what has been committed up to the LSN ``upto``; ``connection`` is in autocommit mode."""
    applied = Applied()
    lsn = target.applied_lsn(slot)
    if lsn is None:
        raise Failure(f"MySQL knows nothing of the slot {slot}: run `replicate` first")
    with progress(None, "changes", "changes") as bar:
        while lsn < upto:
            # Also what a run that was killed between the two has committed.
            source.advance_slot(connection, slot, lsn)
            batch = _Batch(target, schema, replicated, lsn)
            with target.transaction():
                batch.read(_peek(connection, slot, upto))
                # Without a transaction in it, there is none up to `upto`.
                lsn = max(batch.end_lsn or upto, lsn)
                target.store_applied_lsn(slot, lsn)
            applied += batch.applied
            bar.update(batch.applied.changes)
    source.advance_slot(connection, slot, lsn)
    return applied


def _peek(connection: psycopg.Connection, slot: str, upto: int) -> Iterator[bytes]:
    """The messages of the next transactions; the slot stays where it is."""
    query = sql.SQL(
        "COPY (SELECT data FROM pg_logical_slot_peek_binary_changes({slot}, {upto}, {changes},"
        " 'proto_version', '1', 'publication_names', {slot})) TO STDOUT (FORMAT binary)"
    ).format(slot=slot, upto=source.format_lsn(upto), changes=BATCH_CHANGES)
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types(["bytea"])
        for (data,) in copy.rows():
            yield data


class _Batch:
    """Reads messages and writes them, folded, into MySQL's open transaction."""

    def __init__(
        self, target: Target, schema: str, replicated: Mapping[str, Replicated], applied_lsn: int
    ) -> None:
        self.applied = Applied()
        self.end_lsn: int | None = None
        self._target = target
        self._schema = schema
        self._replicated = replicated
        self._applied_lsn = applied_lsn
        self._relations: dict[int, Replicated | None] = {}
        self._changed: set[int] = set()
        self._folds: dict[int, Fold] = {}

    def read(self, messages: Iterator[bytes]) -> None:
        """Apply all messages."""
        commit_lsn = size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for data in messages:
                size += len(data)
                yield data

        for message in parse(counted()):
            if isinstance(message, Insert | Update | Delete):
                fold = self._fold(message.relation, commit_lsn)
                if fold is None:
                    continue
                if isinstance(message, Insert):
                    fold.insert(message.row)
                elif isinstance(message, Update):
                    fold.update(message.old, message.row)
                else:
                    fold.delete(message.old)
                self.applied.changes += 1
                if size > FOLDED_BYTES:
                    self._write()
                    size = 0
            elif isinstance(message, Begin):
                commit_lsn = message.commit_lsn
            elif isinstance(message, Commit):
                self.end_lsn = message.end_lsn
            elif isinstance(message, Relation):
                self._relations[message.oid] = self._recognise(message)
            elif isinstance(message, Truncate):
                for oid in message.relations:
                    if truncated := self._fold(oid, commit_lsn):
                        truncated.truncate()
                        self.applied.changes += 1
        self._write()

    def _fold(self, oid: int, commit_lsn: int) -> Fold | None:
        """Where the table's change goes; None if MySQL has it already, or has not got the table."""
        replicated = self._relations[oid]
        if replicated is None or commit_lsn < max(replicated.snapshot_lsn, self._applied_lsn):
            return None
        if oid in self._changed:
            raise Failure(
                f"The columns of {replicated.table.name} have changed since this run began: run it again,"
                " and the table is copied anew"
            )
        fold = self._folds.get(oid)
        if fold is None:
            fold = self._folds[oid] = Fold(replicated.table.key)
        return fold

    def _recognise(self, relation: Relation) -> Replicated | None:
        replicated = self._replicated.get(relation.name)
        if replicated is None or relation.schema != self._schema:
            return None
        columns = tuple((column.name, column.type_oid) for column in replicated.table.columns)
        if columns != relation.columns or replicated.table.oid != relation.oid:
            self._changed.add(relation.oid)
        return replicated

    def _write(self) -> None:
        for oid, fold in self._folds.items():
            replicated = self._relations[oid]
            if replicated:
                self.applied.rows_written += write(self._target, replicated.table, fold)
        self._folds.clear()
