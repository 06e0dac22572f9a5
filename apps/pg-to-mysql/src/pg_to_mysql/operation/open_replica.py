"""A replica at work: the slot in PostgreSQL, the tables in MySQL, and the steps that make them equal."""

import logging
import math
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import psycopg

from pg_to_mysql.changes.apply import Applied, Replicated, apply_changes
from pg_to_mysql.errors import Failure, OtherSource, WrongSettings
from pg_to_mysql.following import publishing
from pg_to_mysql.identity import identity
from pg_to_mysql.identity.history import History
from pg_to_mysql.mysql.state import Identity, State
from pg_to_mysql.mysql.state_tables import upgrade_state
from pg_to_mysql.mysql.target import LOCK_WAIT_SECONDS, Target
from pg_to_mysql.operation.settings import Settings
from pg_to_mysql.operation.table_follower import TableFollower
from pg_to_mysql.postgres import export, slots, wal
from pg_to_mysql.postgres.catalogue import read_tables
from pg_to_mysql.postgres.slots import Slot
from pg_to_mysql.postgres.stream import ChangeStream

log = logging.getLogger(__name__)

TELL_SECONDS = 5
"""Seconds between two times that a follower records its progress in the slot and in MySQL."""


class OpenReplica:
    """The replica of one slot, connected to both servers. Its steps need :meth:`locked`."""

    def __init__(
        self, settings: Settings, connection: psycopg.Connection, target: Target, *, drops: bool = False
    ) -> None:
        self.connection = connection
        self.target = target
        self.slot = slots.slot_name(connection, settings.slot)
        self.state = State(target, self.slot, settings.journal_mib << 20)
        self.source = settings.source
        self.schema = settings.schema
        self.unfit = settings.unfit
        self.means = settings.means
        self.tables = TableFollower(
            connection, self.state, self.schema, self.unfit, drops=drops, drop_gone=settings.drop_gone
        )
        self._found: Identity | None = None
        self._checked = False
        self._stream: ChangeStream | None = None
        self._history = History(None, 0, 0)
        self._reached = 0
        self._told = -math.inf

    def close(self) -> None:
        """Stop reading the slot's changes; the next step starts from the slot's position."""
        if self._stream:
            self._stream.close()
            self._stream = None
        self._reached = 0

    @contextmanager
    def locked(self, *, any_source: bool = False) -> Iterator[None]:
        """Keep other programs from working on the replica, after the sessions of a killed program have ended.

        Fails if the source is not the one that MySQL's copies came from, unless ``any_source`` is set.
        """
        with self.target.lock(self.slot), export.undisturbed():
            if not any_source:
                self._require_same_source()
            slots.wait_until_free(self.connection, self.slot)
            self.state.journal.begin()
            yield

    def copying(self) -> AbstractContextManager[None]:
        """Keep other programs from copying tables of the replica. Enter it before :meth:`locked`."""
        return self.target.lock(self.slot, " copies")

    @property
    def found(self) -> Identity:
        """The identity of the source at the other end of this connection."""
        if self._found is None:
            self._found = identity.read_identity(self.connection, self.schema)
        return self._found

    def other_source(self) -> str | None:
        """A sentence that says why the source is not the one that MySQL's copies came from; None if it is."""
        if self.state.position() is None:
            return None
        stored = self.state.identity()
        reason = identity.difference(stored, self.found) if stored else None
        reason = reason or identity.lag_behind_copies(self.connection, self.state)
        if reason is None and stored is None:
            reason = identity.strange_tables(self.connection, self.state, self.schema)
        return reason

    def _require_same_source(self) -> None:
        # Each time, because another program may have started over from another source.
        if self.state.identity() == self.found and self._checked:
            return
        if reason := self.other_source():
            raise OtherSource(reason)
        with self.target.transaction():
            self.state.store_identity(self.found)
        self._checked = True

    def start_over(self) -> None:
        """Mark all tables to be copied again, from the current source."""
        with self.locked(any_source=True):
            log.warning("starting over: every table is copied again; the old copies stay until then")
            self.close()
            self.state.forget_source()

    def choose_tables(self, names: Collection[str], exclude: Collection[str]) -> tuple[list[str], dict[str, str]]:
        """The named tables (or all) that are not excluded, and the reasons why others can't be replicated."""
        tables, refused = read_tables(self.connection, self.schema, self.unfit)
        unknown = sorted({*names, *exclude} - tables.keys() - refused.keys())
        if unknown:
            raise WrongSettings(f"There is no table {unknown[0]} in PostgreSQL's schema {self.schema}")
        wanted = set(names or (*tables, *refused)) - set(exclude)
        return sorted(wanted & tables.keys()), {name: refused[name] for name in sorted(wanted & refused.keys())}

    def mend_publication(self) -> None:
        """If somebody has altered the publication, mark the tables whose changes may be lost."""
        if publishing.is_altered(self.connection, self.state, self.schema):
            if not publishing.continues(self.connection, self.state, self.schema):
                raise Failure(f"PostgreSQL's publication {self.slot} is gone: run `replicate` again")
            tables, _ = read_tables(self.connection, self.schema, self.unfit)
            publishing.publish(self.connection, self.state, self.schema, tables, [])

    def apply(
        self, upto: int | None = None, *, transactional: bool = True, stopped: threading.Event | None = None
    ) -> Applied:
        """Apply the changes up to an LSN, or to the moment of the call; see :func:`apply_changes`."""
        stopped = stopped or threading.Event()
        upto = wal.current_lsn(self.connection) if upto is None else upto
        applied = Applied()
        if upto > self._reached:
            applied = self._apply(upto, transactional, stopped)
            if stopped.is_set():
                self.close()  # the stream may be further than MySQL
                return applied
            self._reached = upto
        if time.monotonic() > self._told + TELL_SECONDS:
            self._told = time.monotonic()
            self.state.store_equal()
            slots.advance_slot(self.connection, self.slot, self.state.applied_lsn() or 0)
        return applied

    def _apply(self, upto: int, transactional: bool, stopped: threading.Event) -> Applied:
        # Read after the LSN, so that the changes before it do not belong to newer tables than these.
        self.tables.follow()
        if self._stream is None:
            self._stream = ChangeStream(self.source, self.slot)
            last, applied = self.state.last_transaction(), self.state.applied_lsn()
            self._history = History(last, self._stream.since, applied or 0)
        try:
            return apply_changes(
                self.connection,
                self._stream,
                self._history,
                self.state,
                self.replicated(),
                upto,
                transactional=transactional,
                stopped=stopped,
                progress=self.means.progress,
            )
        except BaseException:
            self.close()  # the stream is further than MySQL
            raise

    def replicated(self) -> dict[str, Replicated]:
        """The tables whose copies are complete and followed."""
        return {
            name: Replicated(copied.table, copied.snapshot_lsn)
            for name, copied in self.state.copied().items()
            if copied.table is not None and copied.snapshot_lsn is not None and copied.stopped is None
        }

    def without_copied_now(self, names: Sequence[str]) -> list[str]:
        """The same tables, without those that another program is copying for the first time."""
        if not self.target.is_locked(self.slot, " copies"):
            return list(names)
        copied = self.state.copied()
        return [name for name in names if name not in copied or copied[name].snapshot_lsn is not None]

    def to_copy(self, names: Collection[str], exclude: Collection[str]) -> list[str]:
        """The named tables (all, if none is named) that are not excluded and that MySQL does not have yet.

        Tables that MySQL is known to refuse are left out.
        """
        tables, _ = read_tables(self.connection, self.schema, self.unfit)
        copied = self.state.copied()
        done = {name for name, known in copied.items() if known.snapshot_lsn is not None or known.stopped}
        wanted = set(names or tables) | set(self.due(exclude))
        return sorted((wanted & tables.keys()) - set(exclude) - done)

    def stopped(self) -> dict[str, str]:
        """The tables of the replica that are stopped, and why."""
        copied = self.state.copied()
        return {
            name: known.stopped for name, known in copied.items() if known.joined and known.stopped is not None
        }

    def due(self, exclude: Collection[str] = ()) -> list[str]:
        """The tables of the replica that must be copied again, without those whose copy has failed."""
        return [
            name
            for name, known in self.state.copied().items()
            if known.joined
            and known.snapshot_lsn is None
            and known.stopped is None
            and name not in exclude
            and name not in self.tables.gone.names
        ]

    def goes_on(self) -> bool:
        """Whether the replica exists, and its slot still has every change that MySQL lacks."""
        return self.continues(slots.read_slot(self.connection, self.slot))

    def continues(self, slot: Slot | None) -> bool:
        """The same, for a slot that was already read."""
        applied = self.state.applied_lsn()
        if applied is None or slot is None:
            return False
        if slot.lost or slot.confirmed > applied:
            return False
        return publishing.continues(self.connection, self.state, self.schema)


@contextmanager
def open_replica(settings: Settings, *, any_source: bool = False, drops: bool = False) -> Iterator[OpenReplica]:
    """Connect to both servers.

    Fails if the source is not the one that MySQL's copies came from, unless ``any_source`` is set. With
    ``drops``, copies of tables that are gone from PostgreSQL are dropped.
    """
    with closing(Target(settings.target)) as target:
        upgrade_state(target.execute, LOCK_WAIT_SECONDS)
        with (
            settings.source.connect(autocommit=True) as connection,
            closing(OpenReplica(settings, connection, target, drops=drops)) as replica,
        ):
            identity.refuse_standby(connection)
            if not any_source and (reason := replica.other_source()):
                raise OtherSource(reason)
            yield replica
