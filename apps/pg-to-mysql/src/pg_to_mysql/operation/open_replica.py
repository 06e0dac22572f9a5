"""A replica at work: the slot in PostgreSQL, the tables in MySQL, and the steps that make them equal."""

import logging
import math
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field

import psycopg

from pg_to_mysql.changes.apply import Applied, Replicated, apply_changes
from pg_to_mysql.errors import Failure, OtherSource, PassingFailure, Setting, WrongSettings
from pg_to_mysql.following import gone, publishing
from pg_to_mysql.following.follow import follow_tables
from pg_to_mysql.following.gone import Gone
from pg_to_mysql.identity import identity
from pg_to_mysql.identity.history import History
from pg_to_mysql.mysql.foreign_keys import pointed_at
from pg_to_mysql.mysql.settings import MySQLSettings
from pg_to_mysql.mysql.state import Copied, Identity, Position, State, Transaction
from pg_to_mysql.mysql.state_tables import upgrade_state
from pg_to_mysql.mysql.target import LOCK_WAIT_SECONDS, Target
from pg_to_mysql.mysql.unique import make_plain
from pg_to_mysql.operation.left_out import as_refusals
from pg_to_mysql.postgres import export, members, publication, slots, wal
from pg_to_mysql.postgres.catalogue import read_tables
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.postgres.partitions import is_empty
from pg_to_mysql.postgres.privileges import unreadable
from pg_to_mysql.postgres.slots import Slot
from pg_to_mysql.postgres.stream import ChangeStream
from pg_to_mysql.snapshot.catch_up import CatchUp
from pg_to_mysql.snapshot.copy import Means, Snapshot, clear, copy_tables, tables_to_copy
from pg_to_mysql.tables.table import Table
from pg_to_mysql.tables.unfit import UnfitRules

log = logging.getLogger(__name__)

REMIND_SECONDS = 300
"""Between two warnings of the same while a replica is followed."""
TELL_SECONDS = 5
"""Between two times that the slot and MySQL are told how far a replica is that is followed."""
TIDY_SECONDS = 5
"""Between two looks at what only a user's DDL alters: MySQL's unique indexes, the publication's other members."""
ATTEMPTS_BESIDE = 5
"""To publish a table beside a replica that is followed; the copy is tried again anyway."""


@dataclass(frozen=True)
class Settings:
    """Where a replica is, and how it is kept."""

    source: Source
    target: MySQLSettings
    schema: str = "public"
    slot: str | None = None
    """The name of slot and publication; without it, one is made of the database's name."""
    unfit: UnfitRules = field(default_factory=UnfitRules)
    """For values that MySQL can't hold."""
    drop_gone: int | None = None
    """How many copies of tables that are gone from PostgreSQL may be dropped; None for a few."""
    means: Means = field(default_factory=Means)


class OpenReplica:
    """The replica of one slot, connected to both servers. Its steps need :meth:`locked`."""

    def __init__(
        self, settings: Settings, connection: psycopg.Connection, target: Target, *, drops: bool = False
    ) -> None:
        self.connection = connection
        self.target = target
        self.slot = slots.slot_name(connection, settings.slot)
        self.state = State(target, self.slot)
        self.source = settings.source
        self.schema = settings.schema
        self.unfit = settings.unfit
        self.gone = Gone()
        """What was found gone from PostgreSQL, and stays in MySQL."""
        self._means = settings.means
        self._drops = drops
        self._drop_gone = settings.drop_gone
        self._reminded = -math.inf
        self._found: Identity | None = None
        self._checked = False
        self._stream: ChangeStream | None = None
        self._history = History(None, 0, 0)
        self._reached = 0
        self._told = -math.inf
        self._tidied = -math.inf

    def close(self) -> None:
        """Stop reading the slot's changes; the next step starts again from where the slot is."""
        if self._stream:
            self._stream.close()
            self._stream = None
        self._reached = 0

    @contextmanager
    def locked(self, *, any_source: bool = False) -> Iterator[None]:
        """Let no other program work on the replica, once what a killed one left in the servers has ended.

        Fails if the source is not that of the copies in MySQL, unless it may be ``any_source``.
        """
        with self.target.lock(self.slot), export.undisturbed():
            if not any_source:
                self._require_same_source()
            slots.wait_until_free(self.connection, self.slot)
            yield

    def copying(self) -> AbstractContextManager[None]:
        """Let no other program copy tables of the replica. To be entered before :meth:`locked`."""
        return self.target.lock(self.slot, " copies")

    @property
    def found(self) -> Identity:
        """What the source is that this connection leads to."""
        if self._found is None:
            self._found = identity.read_identity(self.connection, self.schema)
        return self._found

    def other_source(self) -> str | None:
        """Why the source that was found is not that of the copies in MySQL, in a sentence; None if it is."""
        if self.state.position() is None:
            return None
        stored = self.state.identity()
        reason = identity.difference(stored, self.found) if stored else None
        reason = reason or identity.lag_behind_copies(self.connection, self.state)
        if reason is None and stored is None:
            reason = identity.strange_tables(self.connection, self.state, self.schema)
        return reason

    def _require_same_source(self) -> None:
        # Each time, as another program may have started over from elsewhere.
        if self.state.identity() == self.found and self._checked:
            return
        if reason := self.other_source():
            raise OtherSource(reason)
        with self.target.transaction():
            self.state.store_identity(self.found)
        self._checked = True

    def start_over(self) -> None:
        """Let :meth:`copy_new` copy all tables again, from the source that is there now."""
        with self.locked(any_source=True):
            log.warning("starting over: every table is copied again; what MySQL has stays until then")
            self.close()
            self.state.forget_source()

    def choose_tables(self, names: Collection[str], exclude: Collection[str]) -> tuple[list[str], dict[str, str]]:
        """The tables named (all, if none is) and not excluded; and those that can't be, with the reason."""
        tables, refused = read_tables(self.connection, self.schema, self.unfit)
        unknown = sorted({*names, *exclude} - tables.keys() - refused.keys())
        if unknown:
            raise WrongSettings(f"There is no table {unknown[0]} in PostgreSQL's schema {self.schema}")
        wanted = set(names or (*tables, *refused)) - set(exclude)
        return sorted(wanted & tables.keys()), {name: refused[name] for name in sorted(wanted & refused.keys())}

    def copy_new(
        self, names: Sequence[str], exclude: Collection[str] = (), recopied: Collection[str] = ()
    ) -> Snapshot:
        """Make the slot if need be, and copy the tables that MySQL lacks or has otherwise.

        These are the tables called ``names``, and those that the replica has but that are not to ``exclude``.
        Tables that are new or ``recopied`` get the rules for values that MySQL can't hold, others keep theirs.
        """
        tables = self._follow_catalogue()
        slot = slots.read_slot(self.connection, self.slot)
        if not self._continues(slot):
            self._make_slot(slot, [tables[name] for name in names if name in tables])
        clear(self.state)
        todo, failed = self._admit(tables, names, exclude, recopied)
        copied = self.state.copied()
        left_out = {name for name in exclude if name not in copied or not copied[name].joined}
        if left_out:
            self._withdraw(tables, {}, left_out)
        if not todo:
            return Snapshot(failed=as_refusals(failed))
        self._store_marks([table.name for table in todo])
        with export.snapshot(self.source) as moment, self._held(todo):
            snapshot = copy_tables(self.state, moment.lsn, moment.reader, todo, self._means)
        snapshot.failed |= as_refusals(failed)
        return snapshot

    def copy_beside(self, names: Sequence[str], stopped: threading.Event) -> dict[str, str]:
        """Copy these tables as :meth:`copy_new` does, while another program or thread goes on with the replica.

        Returns those that can't be copied now but perhaps later, with the reason. Not to be called with
        :meth:`locked`; raises :class:`~pg_to_mysql.snapshot.catch_up.Stopped` if it is ``stopped``.
        """
        with self.copying():
            self._publish_beside(names)
            with self.locked():
                if not self.goes_on():
                    raise Failure(
                        f"The slot {self.slot} has lost changes that MySQL lacks: run `replicate` again"
                    )
                tables, _ = read_tables(self.connection, self.schema, self.unfit)
                clear(self.state)
                todo, failed = self._admit(tables, names, exclude=tables.keys() - set(names))
                self._store_marks([table.name for table in todo])
            if not todo:
                return failed
            with export.undisturbed(), export.snapshot(self.source, stopped) as moment, self._held(todo):
                stream = ChangeStream(self.source, self.slot, moment)
                catch_up = CatchUp(self, stream, moment.lsn, stopped)
                copy_tables(self.state, moment.lsn, moment.reader, todo, self._means, catch_up)
            return failed

    def _publish_beside(self, names: Collection[str]) -> None:
        """Put tables into the publication, which may wait for a lock of a table, before anybody waits for us."""
        tables, _ = read_tables(self.connection, self.schema, self.unfit)
        coming = [tables[name] for name in names if name in tables]
        unread = unreadable(self.connection, coming)
        coming = [table for table in coming if table.name not in unread]
        publication.publish(self.connection, self.slot, self.schema, coming, ATTEMPTS_BESIDE)

    def _admit(
        self,
        tables: Mapping[str, Table],
        names: Collection[str],
        exclude: Collection[str],
        recopied: Collection[str] = (),
    ) -> tuple[list[Table], dict[str, str]]:
        """Publish and claim the tables that are to be copied; return these, and why others of them can't be."""
        coming, failed = tables_to_copy(self.state, tables, names, exclude, self.state.copied())
        failed |= unreadable(self.connection, coming)
        failed |= self._publish(tables, [table.name for table in coming if table.name not in failed])
        copied = self.state.copied()  # publishing may have found more that are to be copied again
        todo, taken = tables_to_copy(self.state, tables, names, exclude, copied)
        failed |= taken | pointed_at(self.target, [table.name for table in todo])
        todo = [self._with_its_rules(table, copied, recopied) for table in todo if table.name not in failed]
        failed |= self.state.claim(todo)
        return [table for table in todo if table.name not in failed], failed

    @contextmanager
    def _held(self, todo: Sequence[Table]) -> Iterator[None]:
        """Keep the tables as they are, after a snapshot: that waits for who may be about to alter them."""
        with export.locked(self.source, self.schema, todo):
            tables, _ = read_tables(self.connection, self.schema, self.unfit)
            for table in todo:
                now = tables.get(table.name)
                if now is None or self.unfit.kept(table, now) != table:
                    raise PassingFailure(
                        f"{table.name} was altered at the moment its copy began: run `replicate` again"
                    )
            yield

    def _publish(self, tables: Mapping[str, Table], coming: Sequence[str]) -> dict[str, str]:
        return publishing.publish(self.connection, self.state, self.schema, tables, coming)

    def _store_marks(self, names: Sequence[str]) -> None:
        publishing.store_marks(self.connection, self.state, self.schema, names)

    def mend_publication(self) -> None:
        """If somebody has altered the publication, let the tables be due of which changes may be lost."""
        if publishing.is_altered(self.connection, self.state, self.schema):
            if not publishing.continues(self.connection, self.state, self.schema):
                raise Failure(f"PostgreSQL's publication {self.slot} is gone: run `replicate` again")
            self._publish(read_tables(self.connection, self.schema, self.unfit)[0], [])

    def _with_its_rules(self, table: Table, copied: Mapping[str, Copied], recopied: Collection[str]) -> Table:
        known = copied.get(table.name)
        if known is None or known.table is None or not known.joined or table.name in recopied:
            return table
        return self.unfit.kept(known.table, table)

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
                self.close()  # it may be further than MySQL
                return applied
            self._reached = upto
        if time.monotonic() > self._told + TELL_SECONDS:
            self._told = time.monotonic()
            self.state.store_equal()
            slots.advance_slot(self.connection, self.slot, self.state.applied_lsn() or 0)
        return applied

    def _apply(self, upto: int, transactional: bool, stopped: threading.Event) -> Applied:
        # Read after the LSN: the changes up to it are not of younger tables than these.
        self._follow_catalogue()
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
                progress=self._means.progress,
            )
        except BaseException:
            self.close()  # it is further than MySQL
            raise

    def replicated(self) -> dict[str, Replicated]:
        """The tables whose copies are complete and go on."""
        return {
            name: Replicated(copied.table, copied.snapshot_lsn)
            for name, copied in self.state.copied().items()
            if copied.table is not None and copied.snapshot_lsn is not None and copied.stopped is None
        }

    def without_copied_now(self, names: Sequence[str]) -> list[str]:
        """The same tables, but those that another program is copying for the first time."""
        if not self.target.is_locked(self.slot, " copies"):
            return list(names)
        copied = self.state.copied()
        return [name for name in names if name not in copied or copied[name].snapshot_lsn is not None]

    def to_copy(self, names: Collection[str], exclude: Collection[str]) -> list[str]:
        """Of the tables named (all, if none is) and not excluded, those that MySQL has not got yet.

        Those of which it is known why MySQL can't have them are left out.
        """
        tables, _ = read_tables(self.connection, self.schema, self.unfit)
        copied = self.state.copied()
        done = {name for name, known in copied.items() if known.snapshot_lsn is not None or known.stopped}
        wanted = set(names or tables) | set(self.due(exclude))
        return sorted((wanted & tables.keys()) - set(exclude) - done)

    def stopped(self) -> dict[str, str]:
        """The tables of the replica that are not followed any more, and why."""
        copied = self.state.copied()
        return {
            name: known.stopped for name, known in copied.items() if known.joined and known.stopped is not None
        }

    def due(self, exclude: Collection[str] = ()) -> list[str]:
        """The tables of the replica that are to be copied again, and have not failed to be."""
        return [
            name
            for name, known in self.state.copied().items()
            if known.joined
            and known.snapshot_lsn is None
            and known.stopped is None
            and name not in exclude
            and name not in self.gone.names
        ]

    def copy_again(self, names: Collection[str]) -> None:
        """Let :meth:`copy_new` copy these tables once more, also those that are stopped."""
        unknown = sorted(set(names) - self.state.copied().keys())
        if unknown:
            raise WrongSettings(
                f"recopy is {unknown[0]}: no such table is replicated", settings={Setting.RECOPY: None}
            )
        self.state.copy_again(names)

    def _follow_catalogue(self) -> dict[str, Table]:
        """Bring the tables in MySQL to what the catalogue says now; return what it says."""
        tables, refused = read_tables(self.connection, self.schema, self.unfit)
        lsn = wal.inserted_lsn(self.connection)
        tidies = time.monotonic() > self._tidied + TIDY_SECONDS
        if tidies:
            self._tidied = time.monotonic()
            copied = self.state.copied()
            make_plain(self.target, {*copied, *(known.table.name for known in copied.values() if known.table)})
        found = gone.find_gone(self.connection, self.state, self.schema, tables, refused)
        gone.copy_anew(self.state, found)
        if tidies or found.names != self.gone.names:
            self._let_go(found)
        follow_tables(
            self.state,
            tables,
            refused,
            lsn,
            self.unfit,
            lambda leaf: is_empty(self.connection, leaf),
            self.gone.names,
        )
        if tidies:
            self._withdraw(tables, refused)
        return tables

    def _withdraw(
        self, tables: Mapping[str, Table], refused: Mapping[str, str], left_out: Collection[str] = ()
    ) -> None:
        known = {copied.table.oid for copied in self.state.copied().values() if copied.table}
        members.withdraw(self.connection, self.slot, self.schema, known, refused, left_out)

    def _let_go(self, found: Gone) -> None:
        self.gone = gone.let_go(self.state, found, self._drop_gone) if self._drops and found.names else found
        if self._drops and self.gone.names and time.monotonic() > self._reminded + REMIND_SECONDS:
            self._reminded = time.monotonic()
            gone.warn(self.schema, self.gone)

    def require_none_gone(self) -> None:
        """Fail if there are copies of tables that PostgreSQL has no longer, more than could be dropped."""
        if self.gone.too_many:
            raise gone.refusal(self.schema, self.gone.too_many)

    def goes_on(self) -> bool:
        """Whether the replica is there, and its slot still has every change that MySQL lacks."""
        return self._continues(slots.read_slot(self.connection, self.slot))

    def _continues(self, slot: Slot | None) -> bool:
        applied = self.state.applied_lsn()
        if applied is None or slot is None:
            return False
        if slot.lost or slot.confirmed > applied:
            return False
        return publishing.continues(self.connection, self.state, self.schema)

    def _make_slot(self, slot: Slot | None, tables: Sequence[Table]) -> None:
        if any(copied.snapshot_lsn is not None for copied in self.state.copied().values()):
            log.warning("the slot %s has lost changes that MySQL lacks: copying its tables again", self.slot)
            self.state.forget_copies()
        self.close()
        if slot is not None:
            slots.drop_slot(self.connection, self.slot)
        # The plugin looks for the publication as it was at each change: it must be there first.
        publication.publish(self.connection, self.slot, self.schema, tables)
        lsn = slots.create_slot(self.connection, self.slot)
        with self.target.transaction():
            self.state.store_position(Position(lsn), Transaction(lsn, None))
            self.state.store_identity(self.found)


@contextmanager
def open_replica(settings: Settings, *, any_source: bool = False, drops: bool = False) -> Iterator[OpenReplica]:
    """Connect to both servers.

    Fails if the source is not that of the copies in MySQL, unless it may be ``any_source``. With ``drops``,
    copies of tables that are gone from PostgreSQL are dropped.
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
