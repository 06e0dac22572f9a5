"""The copy of a replica's tables: which tables are copied, from where, and what is prepared for that."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pg_to_mysql.errors import Failure, PassingFailure, Setting, WrongSettings
from pg_to_mysql.following import publishing
from pg_to_mysql.mysql.foreign_keys import pointed_at
from pg_to_mysql.mysql.state import Copied, Position, Transaction
from pg_to_mysql.operation.left_out import as_refusals
from pg_to_mysql.operation.open_replica import OpenReplica
from pg_to_mysql.postgres import export, publication, slots
from pg_to_mysql.postgres.catalogue import read_tables
from pg_to_mysql.postgres.privileges import unreadable
from pg_to_mysql.postgres.slots import Slot
from pg_to_mysql.postgres.stream import ChangeStream
from pg_to_mysql.snapshot.catch_up import CatchUp
from pg_to_mysql.snapshot.copy import Snapshot, clear, copy_tables, tables_to_copy
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

ATTEMPTS_BESIDE = 5
"""How often to try to publish a table while a replica is followed; the copy is tried again anyway."""


def copy_again(replica: OpenReplica, names: Collection[str]) -> None:
    """Mark these tables, even stopped ones, for :func:`copy_new` to copy again."""
    unknown = sorted(set(names) - replica.state.copied().keys())
    if unknown:
        raise WrongSettings(
            f"recopy is {unknown[0]}: no such table is replicated", settings={Setting.RECOPY: None}
        )
    replica.state.copy_again(names)


def copy_new(
    replica: OpenReplica, names: Sequence[str], exclude: Collection[str] = (), recopied: Collection[str] = ()
) -> Snapshot:
    """Create the slot if necessary, and copy the tables that MySQL lacks or that must be copied again.

    These are the tables in ``names``, and the replica's own tables except those in ``exclude``. New tables and
    those in ``recopied`` get the current rules for values that MySQL can't hold; others keep their rules.
    """
    tables = replica.tables.follow()
    slot = slots.read_slot(replica.connection, replica.slot)
    if not replica.continues(slot):
        _make_slot(replica, slot, [tables[name] for name in names if name in tables])
    clear(replica.state)
    todo, failed = _admit(replica, tables, names, exclude, recopied)
    copied = replica.state.copied()
    left_out = {name for name in exclude if name not in copied or not copied[name].joined}
    if left_out:
        replica.tables.withdraw({}, left_out)
    if not todo:
        return Snapshot(failed=as_refusals(failed))
    publishing.store_marks(replica.connection, replica.state, replica.schema, [table.name for table in todo])
    with export.snapshot(replica.source) as moment, _held(replica, todo):
        snapshot = copy_tables(replica.state, moment.lsn, moment.reader, todo, replica.means)
    snapshot.failed |= as_refusals(failed)
    return snapshot


def copy_beside(replica: OpenReplica, names: Sequence[str], stopped: threading.Event) -> dict[str, str]:
    """Copy these tables like :func:`copy_new`, while another program or thread continues with the replica.

    Returns the tables that can't be copied now, but perhaps later, with the reason. Do not call it inside
    :meth:`OpenReplica.locked`. Raises :class:`~pg_to_mysql.snapshot.catch_up.Stopped` if ``stopped`` is set.
    """
    with replica.copying():
        with export.undisturbed():
            _publish_beside(replica, names)
        with replica.locked():
            if not replica.goes_on():
                raise Failure(f"The slot {replica.slot} has lost changes that MySQL lacks: run `replicate` again")
            tables, _ = read_tables(replica.connection, replica.schema, replica.unfit)
            clear(replica.state)
            todo, failed = _admit(replica, tables, names, exclude=tables.keys() - set(names))
            publishing.store_marks(
                replica.connection, replica.state, replica.schema, [table.name for table in todo]
            )
        if not todo:
            return failed
        with export.undisturbed(), export.snapshot(replica.source, stopped) as moment, _held(replica, todo):
            stream = ChangeStream(replica.source, replica.slot, moment)
            catch_up = CatchUp(replica, stream, moment.lsn, stopped)
            copy_tables(replica.state, moment.lsn, moment.reader, todo, replica.means, catch_up)
        return failed


def _publish_beside(replica: OpenReplica, names: Collection[str]) -> None:
    """Add tables to the publication, which may wait for a lock, before anybody can wait for us."""
    tables, _ = read_tables(replica.connection, replica.schema, replica.unfit)
    coming = [tables[name] for name in names if name in tables]
    unread = unreadable(replica.connection, coming)
    coming = [table for table in coming if table.name not in unread]
    publication.publish(replica.connection, replica.slot, replica.schema, coming, ATTEMPTS_BESIDE)


def _admit(
    replica: OpenReplica,
    tables: Mapping[str, Table],
    names: Collection[str],
    exclude: Collection[str],
    recopied: Collection[str] = (),
) -> tuple[list[Table], dict[str, str]]:
    """Publish and claim the tables to copy; return them, and the reasons why others can't be copied."""
    coming, failed = tables_to_copy(replica.state, tables, names, exclude, replica.state.copied())
    failed |= unreadable(replica.connection, coming)
    failed |= publishing.publish(
        replica.connection,
        replica.state,
        replica.schema,
        tables,
        [table.name for table in coming if table.name not in failed],
    )
    copied = replica.state.copied()  # publishing may have found more tables that must be copied again
    todo, taken = tables_to_copy(replica.state, tables, names, exclude, copied)
    failed |= taken | pointed_at(replica.target, [table.name for table in todo])
    todo = [_with_its_rules(replica, table, copied, recopied) for table in todo if table.name not in failed]
    failed |= replica.state.claim(todo)
    return [table for table in todo if table.name not in failed], failed


@contextmanager
def _held(replica: OpenReplica, todo: Sequence[Table]) -> Iterator[None]:
    """Lock the tables after a snapshot was taken; this waits for those who are about to alter them."""
    with export.locked(replica.source, replica.schema, todo):
        tables, _ = read_tables(replica.connection, replica.schema, replica.unfit)
        for table in todo:
            now = tables.get(table.name)
            if now is None or replica.unfit.kept(table, now) != table:
                raise PassingFailure(f"{table.name} was altered while its copy began: run `replicate` again")
        yield


def _with_its_rules(
    replica: OpenReplica, table: Table, copied: Mapping[str, Copied], recopied: Collection[str]
) -> Table:
    known = copied.get(table.name)
    if known is None or known.table is None or not known.joined or table.name in recopied:
        return table
    return replica.unfit.kept(known.table, table)


def _make_slot(replica: OpenReplica, slot: Slot | None, tables: Sequence[Table]) -> None:
    if any(copied.snapshot_lsn is not None for copied in replica.state.copied().values()):
        log.warning("the slot %s has lost changes that MySQL lacks: copying its tables again", replica.slot)
        replica.state.forget_copies()
    replica.close()
    if slot is not None:
        slots.drop_slot(replica.connection, replica.slot)
    # The publication must exist before the slot, because the plugin uses it as it was at each change.
    publication.publish(replica.connection, replica.slot, replica.schema, tables)
    lsn = slots.create_slot(replica.connection, replica.slot)
    with replica.target.transaction():
        replica.state.store_position(Position(lsn), Transaction(lsn, None))
        replica.state.store_identity(replica.found)
