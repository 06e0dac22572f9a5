"""The tables in MySQL follow PostgreSQL's catalogue; a table that can't be followed is stopped, with the reason.

A table is altered before the transaction that writes its changes, because MySQL commits at each DDL statement.
What is about to be done is stored first, so the next run can tell what a killed run was doing.
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
from pg_to_mysql.mysql.state import State
from pg_to_mysql.tables.table import Partition, Table
from pg_to_mysql.tables.unfit import UnfitRules

log = logging.getLogger(__name__)


def follow_tables(
    state: State,
    live: Mapping[str, Table],
    refused: Mapping[str, str],
    lsn: int,
    rules: UnfitRules,
    is_empty: Callable[[Partition], bool],
    gone: Collection[str] = (),
) -> None:
    """Bring the slot's tables in MySQL to the form that PostgreSQL's catalogue had before the LSN ``lsn``.

    Only the rules for single columns apply to tables that already exist. Tables that are ``gone`` from PostgreSQL
    keep their copies and their names.
    """
    by_oid = {table.oid: table for table in live.values()}
    applied = state.applied_lsn() or 0
    _rename(state, {oid: table for oid, table in by_oid.items() if table.name not in gone})
    for name, copied in state.copied().items():
        if name in refused and copied.joined and not copied.stopped:
            stop(state, name, refused[name])
            continue
        if not copied.table or copied.snapshot_lsn is None or copied.stopped or name in gone:
            continue
        stored = copied.table
        if copied.altering:
            stored = _finish_altering(state, name, stored, copied.altering)
        now = by_oid.get(stored.oid, live.get(name))
        if now and (reason := _reason_to_copy(stored, now, is_empty)):
            copy_again(state, name, reason)
            continue
        evolved = evolve(
            settle(stored) if applied >= stored.settled_lsn else stored, now and rules.kept(stored, now)
        )
        if isinstance(evolved, Stopped):
            stop(state, name, refused.get(name, evolved.reason))
        elif isinstance(evolved, CopyAgain):
            copy_again(state, name, evolved.reason)
        elif evolved.table != stored:
            # Even without a statement, for example when a column was added and dropped again: changes may still
            # contain it.
            table = replace(evolved.table, settled_lsn=lsn)
            if evolved.statement:
                _alter(state, name, stored, table, evolved.statement)
            else:
                state.store_layout(name, table)


def _reason_to_copy(stored: Table, now: Table, is_empty: Callable[[Partition], bool]) -> str | None:
    """Why the table, as its partitions show, has changed without the stream saying so; None if it has not."""
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


def copy_again(state: State, name: str, reason: str) -> None:
    """Mark the table to be copied again; its copy stays as it is until the new one replaces it."""
    log.warning("%s will be copied again: %s", name, reason)
    state.copy_again([name])


def stop(state: State, name: str, reason: str) -> None:
    """Stop the table, until it is copied again."""
    with state.target.transaction():
        state.store_stopped(name, reason)


def _alter(state: State, name: str, before: Table, table: Table, statement: str) -> None:
    if renewed := renewed_indexes(state.target, name, before, table):
        statement = f"{statement}, {', '.join(renewed)}"
    log.info("%s follows PostgreSQL's table: %s", name, statement)
    state.store_altering(name, table)
    try:
        state.target.change_tables(statement, [name])
    except pymysql.MySQLError as error:
        if not is_refusal(error):
            raise
        stop(state, name, f"MySQL can't follow its columns ({error.args[-1]})")
        return
    state.store_altered(name, table)


def _finish_altering(state: State, name: str, before: Table, after: Table) -> Table:
    """The form of a table that a killed run has altered, or was about to alter."""
    names = state.target.column_names(name)
    done = names == [column.name for column in after.columns]
    # If the names are the same, only types are altered, which can be repeated.
    if done and names != [column.name for column in before.columns]:
        state.store_altered(name, after)
        return after
    return before


def _rename(state: State, live: Mapping[int, Table]) -> None:
    """Rename the copies of renamed tables. A table may take a name that another table gives up."""
    while renamed := _renamed(state, live):
        there = state.taken_names()
        free = [(old, new) for old, new in renamed if new not in there or state.target.is_one_name(old, new)]
        for old, new in free:
            log.info("PostgreSQL has renamed %s to %s: renaming the copy", old, new)
            state.rename(old, new)
            _finish_rename(state, new, old)
        if not free:
            for old, new in renamed:
                stop(state, old, f"it is called {new} now, and MySQL has another table of that name")


def _renamed(state: State, live: Mapping[int, Table]) -> list[tuple[str, str]]:
    renamed = []
    for name, copied in state.copied().items():
        if copied.table is None or (copied.snapshot_lsn is None and not copied.joined):
            continue
        if copied.table.name != name:  # a killed run was about to rename it
            _finish_rename(state, name, copied.table.name)
        now = live.get(copied.table.oid)
        if now is None or now.name == name or (copied.stopped and now.name in state.taken_names()):
            continue
        renamed.append((name, now.name))
    return renamed


def _finish_rename(state: State, name: str, old: str) -> None:
    """Rename the table in MySQL. The state already has it under ``name``."""
    if name not in state.target.table_names():
        state.target.change_tables(f"RENAME TABLE {quote(old)} TO {quote(name)}", [old])
    table = state.copied()[name].table
    if table:
        state.store_renamed(old, name, replace(table, name=name))
