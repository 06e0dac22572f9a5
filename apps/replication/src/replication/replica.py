"""A replica: the slot in PostgreSQL, the tables in MySQL, and the steps that make them equal."""

import logging
import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg

from command import Failure, MySQLSettings, WrongSettings
from replication import source
from replication.catalogue import Table, UnfitRules, read_tables
from replication.changes import Applied, Replicated, apply_changes
from replication.schema import is_same
from replication.snapshot import Snapshot, clear, copy_tables, drop_tables, tables_to_copy
from replication.source import Slot
from replication.stream import ChangeStream
from replication.target import Target

log = logging.getLogger(__name__)

TELL_SECONDS = 5
"""Between two times that the slot and MySQL are told how far a replica is that is followed."""


class Replica:
    """The replica of one slot. Its steps need :meth:`locked`."""

    def __init__(
        self,
        connection: psycopg.Connection,
        target: Target,
        slot: str,
        schema: str,
        unfit: UnfitRules | None = None,
    ) -> None:
        self.connection = connection
        self.target = target
        self.slot = slot
        self.schema = schema
        self.unfit = unfit
        self._stream: ChangeStream | None = None
        self._reached = 0
        self._told = -math.inf

    def close(self) -> None:
        """Stop reading the slot's changes; the next step starts again from where the slot is."""
        if self._stream:
            self._stream.close()
            self._stream = None
        self._reached = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other program work on the replica, once what a killed one left in the servers has ended."""
        with self.target.lock(self.slot):
            source.wait_until_free(self.connection, self.slot)
            yield

    def choose_tables(self, names: Collection[str], exclude: Collection[str]) -> tuple[list[str], dict[str, str]]:
        """The tables named (all, if none is) and not excluded; and those that can't be, with the reason."""
        tables, refused = read_tables(self.connection, self.schema, self.unfit)
        unknown = sorted({*names, *exclude} - tables.keys() - refused.keys())
        if unknown:
            raise WrongSettings(f"There is no table {unknown[0]} in PostgreSQL's schema {self.schema}")
        wanted = set(names or (*tables, *refused)) - set(exclude)
        return sorted(wanted & tables.keys()), {name: refused[name] for name in sorted(wanted & refused.keys())}

    def copy_new(self, names: Sequence[str]) -> Snapshot:
        """Make the slot if need be, and copy the tables that MySQL lacks or has otherwise."""
        tables, refused = read_tables(self.connection, self.schema, self.unfit)
        slot = source.read_slot(self.connection, self.slot)
        if not self._continues(slot):
            self._make_slot(slot, [tables[name] for name in names if name in tables])
        copied = self.target.copied(self.slot)
        clear(self.target, self.slot)
        drop_tables(self.target, self.slot, copied.keys() - tables.keys() - refused.keys())
        todo = tables_to_copy(self.target, self.slot, tables, names, copied)
        source.publish(self.connection, self.slot, self.schema, todo)
        if not todo:
            return Snapshot()
        with source.locked(self.schema, todo):
            tables, _ = read_tables(self.connection, self.schema, self.unfit)
            for table in todo:
                if tables.get(table.name) != table:
                    raise Failure(f"{table.name} was altered at the moment its copy began: run `replicate` again")
            return copy_tables(self.target, self.slot, todo)

    def apply(self, upto: int | None = None, *, transactional: bool = True) -> Applied:
        """Apply the changes up to an LSN, or to the moment of the call."""
        upto = source.current_lsn(self.connection) if upto is None else upto
        applied = Applied()
        if upto > self._reached:
            applied = self._apply(upto, transactional)
            self._reached = upto
        if time.monotonic() > self._told + TELL_SECONDS:
            self._told = time.monotonic()
            self.target.store_equal(self.slot)
            source.advance_slot(self.connection, self.slot, self.target.applied_lsn(self.slot) or 0)
        return applied

    def _apply(self, upto: int, transactional: bool) -> Applied:
        self._stream = self._stream or ChangeStream(self.slot)
        try:
            return apply_changes(
                self.connection,
                self._stream,
                self.target,
                self.slot,
                self.schema,
                self.replicated(),
                upto,
                transactional=transactional,
            )
        except BaseException:
            self.close()  # it is further than MySQL
            raise

    def replicated(self) -> dict[str, Replicated]:
        """The tables whose copies are complete."""
        tables, _ = read_tables(self.connection, self.schema, self.unfit)
        return {
            name: Replicated(
                copied.table if copied.table and is_same(copied.table, tables[name]) else tables[name],
                copied.snapshot_lsn,
            )
            for name, copied in self.target.copied(self.slot).items()
            if copied.snapshot_lsn is not None and name in tables
        }

    def _continues(self, slot: Slot | None) -> bool:
        """Whether the slot still has every change that MySQL lacks."""
        applied = self.target.applied_lsn(self.slot)
        if applied is None or slot is None:
            return False
        return not slot.lost and slot.confirmed <= applied

    def _make_slot(self, slot: Slot | None, tables: Sequence[Table]) -> None:
        if any(copied.snapshot_lsn is not None for copied in self.target.copied(self.slot).values()):
            log.warning("the slot %s has lost changes that MySQL lacks: copying its tables again", self.slot)
            self.target.forget_copies(self.slot)
        self.close()
        if slot is not None:
            source.drop_slot(self.connection, self.slot)
        # The plugin looks for the publication as it was at each change: it must be there first.
        source.publish(self.connection, self.slot, self.schema, tables)
        lsn = source.create_slot(self.connection, self.slot)
        with self.target.transaction():
            self.target.store_position(self.slot, lsn)


@contextmanager
def open_replica(slot: str | None, schema: str, unfit: UnfitRules | None = None) -> Iterator[Replica]:
    """Connect to both servers, as the environment says."""
    target = Target(MySQLSettings.from_environment())
    try:
        with (
            source.connect(autocommit=True) as connection,
            closing(Replica(connection, target, source.slot_name(connection, slot), schema, unfit)) as replica,
        ):
            yield replica
    finally:
        target.close()


def require(refused: dict[str, str]) -> None:
    """Fail, once the other tables are done, if there are tables that can't be replicated."""
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise Failure(f"Not replicated: {reasons}, or leave it out with --exclude. The other tables are done")
