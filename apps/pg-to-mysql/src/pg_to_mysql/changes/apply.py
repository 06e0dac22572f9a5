"""Applies the changes since the last run to MySQL, each exactly once.

One transaction in MySQL contains whole transactions of PostgreSQL and the LSN up to which they reach. The slot
advances only after MySQL has committed. If the program is killed before the commit, MySQL rolls back, and the
next run reads the changes again. If it is killed after the commit, the LSN in MySQL tells the next run that they
are applied.
"""

import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import psycopg
import pymysql

from pg_to_mysql.changes.fold import Fold, fold
from pg_to_mysql.changes.journal import note
from pg_to_mysql.changes.views import View, seen_by
from pg_to_mysql.changes.write import enclose, write
from pg_to_mysql.errors import Failure, Refused
from pg_to_mysql.following.evolution import Stopped
from pg_to_mysql.identity.history import History, last_begun
from pg_to_mysql.mysql.journal import Journal
from pg_to_mysql.mysql.refusal import is_refusal
from pg_to_mysql.mysql.state import Position, State, Transaction
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres import slots
from pg_to_mysql.postgres.pgoutput import (
    BEGIN,
    DELETE,
    INSERT,
    POSTGRES_EPOCH,
    RELATION,
    TRUNCATE,
    UPDATE,
    Mask,
    Messages,
    Positions,
    Relation,
)
from pg_to_mysql.postgres.stream import ChangeStream, Piece, ahead
from pg_to_mysql.progress import Progress, unseen
from pg_to_mysql.tables.table import Table

ADVANCE_SECONDS = 10
"""Seconds between two advances of the slot, for each of which PostgreSQL reads its log once more."""


@dataclass(frozen=True)
class Replicated:
    """A table that is in MySQL, and the LSN of its copy. The copy contains all earlier changes."""

    table: Table
    snapshot_lsn: int


@dataclass
class Applied:
    """The number of changes that were applied, and of the rows that were written or deleted for them."""

    changes: int = 0
    rows_written: int = 0
    committed_at: float | None = None
    """When PostgreSQL committed the last of the transactions, in seconds since 1970."""

    def __iadd__(self, other: "Applied") -> "Applied":
        return Applied(
            self.changes + other.changes,
            self.rows_written + other.rows_written,
            other.committed_at or self.committed_at,
        )


@dataclass(frozen=True)
class Batch:
    """The folded changes of a piece, and the position that MySQL has reached once they are written."""

    text: bytes
    folds: list[tuple[Table, Fold]]
    stopped: dict[str, str]
    """The tables that can't be followed from here on, with the reason."""
    changes: int
    position: Position
    last: Transaction | None
    """The last transaction of which MySQL then has at least a part; None if that does not change."""
    committed_at: float | None


def apply_changes(
    connection: psycopg.Connection,
    stream: ChangeStream,
    history: History,
    state: State,
    replicated: Mapping[str, Replicated],
    upto: int,
    *,
    transactional: bool = True,
    stopped: threading.Event,
    progress: Progress = unseen,
) -> Applied:
    """Apply everything that was committed before the LSN ``upto``.

    :param connection: a connection to PostgreSQL in autocommit mode.
    :param transactional: whether each PostgreSQL transaction is part of one MySQL transaction, whatever its size.
    :param stopped: once it is set, the work ends after the current MySQL transaction.
    """
    position = state.position()
    if position is None:
        raise Failure(f"MySQL knows nothing of the slot {state.slot}: run `replicate` first")
    applied = Applied()
    advanced = time.monotonic()
    unfit: set[str] = set()
    reader = _Reader(replicated, position, history)
    with (
        closing(ahead(_batches(reader, stream, upto))) as batches,
        progress("changes", "changes", None) as report,
    ):
        while not stopped.is_set() and (batch := next(batches, None)):
            with state.target.transaction():
                applied += _write(state, batch, unfit)
                while transactional and batch.position.changes and (batch := next(batches)):
                    applied += _write(state, batch, unfit)
                position = batch.position
                state.store_position(position, batch.last)
            state.journal.trim()
            report(applied.changes, "")
            if time.monotonic() > advanced + ADVANCE_SECONDS:
                slots.advance_slot(connection, state.slot, position.lsn)
                advanced = time.monotonic()
    if stopped.is_set():
        return applied
    history.end()
    if position.lsn < upto:
        with state.target.transaction():
            state.store_position(Position(upto))
    return applied


def bring(
    stream: ChangeStream, target: Target, copies: Mapping[str, Replicated], since: int, upto: int
) -> dict[str, str]:
    """Apply the changes between two LSNs to copies that are not part of a replica yet.

    Returns the names of the copies that can't have their changes, with the reason.
    """
    failed: dict[str, str] = {}
    reader = _Reader(copies, Position(since), History(None, 0, 0))
    with closing(ahead(_batches(reader, stream, upto))) as batches:
        for batch in batches:
            with target.transaction():
                failed |= batch.stopped
                _write_tables(target, batch, failed)
    return failed


def _write(state: State, batch: Batch, unfit: set[str]) -> Applied:
    """Write a batch, except for the tables in ``unfit``; add the tables that can't have their changes to it."""
    refused = dict.fromkeys(unfit, "")
    rows = _write_tables(state.target, batch, refused, state.journal)
    for name in refused.keys() - unfit:
        state.store_unfit(name, refused[name])
        unfit.add(name)
    for name, reason in batch.stopped.items():
        state.store_stopped(name, reason)
    return Applied(batch.changes, rows, batch.committed_at)


def _write_tables(target: Target, batch: Batch, refused: dict[str, str], journal: Journal | None = None) -> int:
    """Write a batch, except for the tables in ``refused``; add the tables whose rows MySQL refuses to it."""
    rows = 0
    for table, folded in batch.folds:
        if table.name in refused:
            continue
        target.execute("SAVEPOINT of_a_table")
        try:
            rows += write(target, table, folded, batch.text)
            if journal and journal.is_on:
                note(journal, table, folded)
        except (Refused, pymysql.MySQLError) as error:
            if isinstance(error, pymysql.MySQLError) and not is_refusal(error):
                raise
            target.execute("ROLLBACK TO SAVEPOINT of_a_table")
            refused[table.name] = str(error.args[-1])
    return rows


def _batches(reader: "_Reader", stream: ChangeStream, upto: int) -> Generator[Batch]:
    for piece in stream.pieces(upto):
        yield reader.read(piece)


class _Reader:
    """Folds pieces one after the other, and remembers what a piece says about transactions and tables."""

    def __init__(self, replicated: Mapping[str, Replicated], start: Position, history: History) -> None:
        self._replicated = {known.table.oid: known for known in replicated.values()}
        self._start = start
        self._history = history
        self._last: Transaction | None = None
        self._skip = start.changes
        self._position = start
        self._last_lsn = start.lsn
        self._open_changes = 0
        self._commit_lsn = 0
        self._relations: dict[int, Relation] = {}

    def read(self, piece: Piece) -> Batch:
        """Fold the changes that MySQL does not have yet."""
        messages = piece.messages
        self._history.look(messages)
        lsns = self._commit_lsns(messages)
        kinds = messages.kinds
        changes = np.flatnonzero(np.isin(kinds, (INSERT, UPDATE, DELETE, TRUNCATE)))
        wanted = self._wanted(lsns[changes])
        folds: list[tuple[Table, Fold]] = []
        stopped: dict[str, str] = {}
        count = 0
        for oid, first, last in self._spans(messages):
            relation = self._relations[oid]
            replicated = self._replicated.get(oid)
            if replicated is not None:
                inside = changes[wanted & (changes >= first) & (changes < last)]
                inside = inside[lsns[inside] >= replicated.snapshot_lsn]
                rows, emptied = _of_table(messages, oid, inside)
                if len(rows) or len(emptied):
                    view = seen_by(replicated.table, relation.columns)
                    if isinstance(view, Stopped):
                        stopped[replicated.table.name] = view.reason
                        del self._replicated[oid]
                        continue
                    count += len(rows) + len(emptied)
                    folds.append((view.table, _fold(messages, view, rows, emptied)))
        self._move(piece, len(changes))
        if (begun := last_begun(messages)) and begun.lsn >= self._start.lsn:
            self._last = begun
        text = enclose(messages, [folded for _, folded in folds])
        return Batch(text, folds, stopped, count, self._position, self._last, _committed_at(piece))

    def _commit_lsns(self, messages: Messages) -> Positions:
        """The LSN of each message's transaction, which is the start of its commit record."""
        begins = messages.kinds == BEGIN
        lsns = np.concatenate(([self._commit_lsn], messages.number(8, messages.starts[begins] + 1)))
        self._commit_lsn = int(lsns[-1])
        of_messages: Positions = lsns[np.cumsum(begins)]
        return of_messages

    def _wanted(self, lsns: Positions) -> Mask:
        """Which changes MySQL does not have yet."""
        wanted = lsns >= self._start.lsn
        known = np.flatnonzero(wanted)[: self._skip]
        wanted[known] = False
        self._skip -= len(known)
        return wanted

    def _spans(self, messages: Messages) -> Iterator[tuple[int, int, int]]:
        """For each description of a table, the table's oid and the range of messages for which it holds."""
        numbers = np.flatnonzero(messages.kinds == RELATION).tolist()
        told = [(number, messages.relation(int(messages.starts[number]))) for number in numbers]
        since = dict.fromkeys(self._relations, 0)
        for number, relation in told:
            if relation.oid in since:
                yield relation.oid, since[relation.oid], number
            self._relations[relation.oid] = relation
            since[relation.oid] = number
        for oid, number in since.items():
            yield oid, number, len(messages.kinds)

    def _move(self, piece: Piece, changes: int) -> None:
        """Advance the position past the piece."""
        if not piece.complete:
            self._open_changes += changes
            if self._commit_lsn >= self._start.lsn:  # otherwise MySQL already has the transaction
                known = self._start.changes if self._last_lsn == self._start.lsn else 0
                self._position = Position(self._last_lsn, max(self._open_changes, known))
            return
        messages = piece.messages
        self._open_changes = 0
        end_lsn = int(messages.number(8, messages.starts[-1:] + 10)[0])
        if end_lsn > self._start.lsn:
            self._last_lsn = end_lsn
            self._position = Position(end_lsn)


def _committed_at(piece: Piece) -> float | None:
    """When PostgreSQL committed the piece's last transaction; None if the piece does not contain all of it."""
    if not piece.complete:
        return None
    messages = piece.messages
    return POSTGRES_EPOCH + int(messages.number(8, messages.starts[-1:] + 18)[0]) / 1e6


def _of_table(messages: Messages, oid: int, changes: Positions) -> tuple[Positions, Positions]:
    """The changes of the table's rows, and the changes that truncate the table."""
    truncates = messages.kinds[changes] == TRUNCATE
    emptied = [n for n in changes[truncates].tolist() if oid in messages.truncated(int(messages.starts[n]))]
    rows = changes[~truncates]
    return rows[messages.number(4, messages.starts[rows] + 1) == oid], np.array(emptied, np.int64)


def _fold(messages: Messages, view: View, rows: Positions, emptied: Positions) -> Fold:
    if len(emptied):
        rows = rows[rows > emptied[-1]]
    folded = fold(messages, rows, view.width, view.key, truncated=len(emptied) > 0)
    return folded if len(view.kept) == view.width else replace(folded, values=folded.values.columns(view.kept))
