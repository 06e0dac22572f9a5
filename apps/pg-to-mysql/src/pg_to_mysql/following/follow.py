"""The tables in MySQL follow PostgreSQL's catalogue; one that can't be followed is stopped, with the reason.

A table is altered before the transaction that brings its changes, as MySQL commits at each DDL statement. What is
stored about the table says what is being done before it is done, so that a killed run is understood by the next.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pymysql

from pg_to_mysql.following.evolution import CopyAgain, Stopped, evolve, settle
from pg_to_mysql.following.partitions import of_first_version, reason_to_copy
from pg_to_mysql.mysql.indexes import renewed_indexes
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.refusal import is_refusal
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.tables.table import Partition, Table
from pg_to_mysql.tables.unfit import UnfitRules

log = logging.getLogger(__name__)


def follow_tables(
    target: Target,
    slot: str,
    live: Mapping[str, Table],
    refused: Mapping[str, str],
    lsn: int,
    rules: UnfitRules,
    is_empty: Callable[[Partition], bool],
    gone: Collection[str] = (),
) -> None:
    """Bring the slot's tables in MySQL to what PostgreSQL's catalogue said before the LSN ``lsn``.

    Of the rules, only those for a single column reach a table that is there already. The tables that are ``gone``
    from PostgreSQL keep their copies as they are, and their names.
    """
    by_oid = {table.oid: table for table in live.values()}
    applied = target.applied_lsn(slot) or 0
    _rename(target, slot, {oid: table for oid, table in by_oid.items() if table.name not in gone})
    for name, copied in target.copied(slot).items():
        if name in refused and copied.joined and not copied.stopped:
            stop(target, slot, name, refused[name])
            continue
        if not copied.table or copied.snapshot_lsn is None or copied.stopped or name in gone:
            continue
        stored = copied.table
        if copied.altering:
            stored = _finish_altering(target, slot, name, stored, copied.altering)
        now = by_oid.get(stored.oid, live.get(name))
        if now and (reason := _reason_to_copy(stored, now, is_empty)):
            copy_again(target, slot, name, reason)
            continue
        evolved = evolve(
            settle(stored) if applied >= stored.settled_lsn else stored, now and rules.kept(stored, now)
        )
        if isinstance(evolved, Stopped):
            stop(target, slot, name, refused.get(name, evolved.reason))
        elif isinstance(evolved, CopyAgain):
            copy_again(target, slot, name, evolved.reason)
        elif evolved.table != stored:
            # Even without a statement, as for a column that has come and gone: changes may have it still.
            table = replace(evolved.table, settled_lsn=lsn)
            if evolved.statement:
                _alter(target, slot, name, stored, table, evolved.statement)
            else:
                _store(target, slot, name, table)


def _reason_to_copy(stored: Table, now: Table, is_empty: Callable[[Partition], bool]) -> str | None:
    """Why the table has changed in ways that the changes do not tell, as far as its partitions show it."""
    if now.partitions is None or now.oid != stored.oid:
        return None
    before: Sequence[Partition] | None = stored.partitions
    if before is None:
        if [now.columns[i].attnum for i in now.key] != [stored.columns[i].attnum for i in stored.key]:
            return "its key is its primary key now, whatever its REPLICA IDENTITY is"
        before = of_first_version(stored.storage, now.partitions)
    if before is None:
        return "a partition was truncated, dropped or detached"
    return reason_to_copy(before, now.partitions, is_empty)


def copy_again(target: Target, slot: str, name: str, reason: str) -> None:
    """Let the table be copied again; its copy stays as it is until the new one takes its place."""
    log.warning("%s is to be copied again: %s", name, reason)
    target.copy_again(slot, [name])


def stop(target: Target, slot: str, name: str, reason: str) -> None:
    """Let the table be, until it is copied again."""
    with target.transaction():
        target.store_stopped(slot, name, reason)


def _alter(target: Target, slot: str, name: str, before: Table, table: Table, statement: str) -> None:
    if renewed := renewed_indexes(target, name, before, table):
        statement = f"{statement}, {', '.join(renewed)}"
    log.info("%s follows PostgreSQL's: %s", name, statement)
    with target.transaction():
        target.execute(
            "UPDATE _replication_tables SET altering = %s WHERE slot = %s AND name = %s",
            [table.to_json(), slot, name],
        )
    try:
        target.change_tables(statement, [name])
    except pymysql.MySQLError as error:
        if not is_refusal(error):
            raise
        stop(target, slot, name, f"MySQL can't follow its columns ({error.args[-1]})")
        return
    _store(target, slot, name, table)


def _finish_altering(target: Target, slot: str, name: str, before: Table, after: Table) -> Table:
    """What the table is that a killed run has altered, or was about to alter."""
    names = target.column_names(name)
    done = names == [column.name for column in after.columns]
    # Where names stay, types are altered, which may be done again.
    if done and names != [column.name for column in before.columns]:
        _store(target, slot, name, after)
        return after
    return before


def _store(target: Target, slot: str, name: str, table: Table) -> None:
    with target.transaction():
        target.execute(
            "UPDATE _replication_tables SET layout = %s, altering = NULL WHERE slot = %s AND name = %s",
            [table.to_json(), slot, name],
        )


def _rename(target: Target, slot: str, live: Mapping[int, Table]) -> None:
    """Rename the copies of renamed tables; one may take the name that another gives up."""
    while renamed := _renamed(target, slot, live):
        there = target.taken_names(slot)
        free = [(old, new) for old, new in renamed if new not in there or target.is_one_name(old, new)]
        for old, new in free:
            log.info("%s is called %s in PostgreSQL now: renaming it", old, new)
            with target.transaction():
                target.execute(
                    "UPDATE _replication_tables SET name = %s WHERE slot = %s AND name = %s", [new, slot, old]
                )
            _finish_rename(target, slot, new, old)
        if not free:
            for old, new in renamed:
                stop(target, slot, old, f"it is called {new} now, and MySQL has another table of that name")


def _renamed(target: Target, slot: str, live: Mapping[int, Table]) -> list[tuple[str, str]]:
    renamed = []
    for name, copied in target.copied(slot).items():
        if copied.table is None or (copied.snapshot_lsn is None and not copied.joined):
            continue
        if copied.table.name != name:  # a killed run was about to
            _finish_rename(target, slot, name, copied.table.name)
        now = live.get(copied.table.oid)
        if now is None or now.name == name or (copied.stopped and now.name in target.taken_names(slot)):
            continue
        renamed.append((name, now.name))
    return renamed


def _finish_rename(target: Target, slot: str, name: str, old: str) -> None:
    """Rename the table in MySQL, which is known as ``name`` already."""
    if name not in target.table_names():
        target.change_tables(f"RENAME TABLE {quote(old)} TO {quote(name)}", [old])
    table = target.copied(slot)[name].table
    if table:
        _store(target, slot, name, replace(table, name=name))
