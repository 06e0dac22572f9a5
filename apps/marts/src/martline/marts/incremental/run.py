"""An incremental run: from the keys that have changed to the rows in which the marts differ."""

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pymysql
from pymysql.connections import Connection

from martline.command import Failure, MySQLSettings, PassingFailure
from martline.marts import audit, checks
from martline.marts.definition import Mart
from martline.marts.incremental import amend
from martline.marts.incremental.journal import AnythingMayHaveChanged, changed_since
from martline.marts.incremental.kept import Change, Kept, Origin, fingerprint
from martline.marts.incremental.parts import Changes, changed_tables, computed_parts, difference
from martline.marts.publish import VERSIONS, record_versions
from martline.marts.reading.moment import Moment, held
from martline.marts.reading.plan import needed_columns, readers
from martline.marts.reading.ranges import listed
from martline.marts.runs import Run
from martline.marts.statement import Columns, frame_of
from martline.marts.totals import Totals, counting
from pg_to_mysql.mysql.collation import collation_on
from pg_to_mysql.mysql.names import present_tables

MOST_CHANGED = 0.1
"""The largest share of a table's rows that is read by keys. Beyond it, reading the whole table is faster."""
FEW_ROWS = 1_000
"""The number of rows up to which they are always read by keys."""

log = logging.getLogger(__name__)


def run_incrementally(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    run: Run,
    marts: Sequence[Mart],
    path: Path | None,
    *,
    fewer_rows: bool,
) -> bool:
    """Change the marts that readers see by what has changed in the replica since they were built.

    :param path: the file in which the last run has kept its tables.
    :returns: whether it was possible; else nothing is changed, and the log says why. A failure here is not the
        end: the caller reads all rows, and that succeeds, or fails with the message for the user.
    """
    if path is None:
        return False
    try:
        with Kept.changing(path) as kept, counting(settings) as totals:
            origin = kept.origin()
            _require_readers_see(connection, origin, marts)
            with run.timed("reading"):
                moment, columns, changes = _read(connection, settings, kept, origin, marts, totals)
            run.lsn = moment.lsn
            differences = _differences(kept, run, marts, columns, changes)
            _publish(connection, settings, run, moment, differences, changes, totals, fewer_rows=fewer_rows)
            run.incremental = True
            kept.remember(
                replace(origin, run_id=run.run_id, built_at=run.started_at, journal=moment.journal or 0)
            )
    except PassingFailure:
        raise
    except (AnythingMayHaveChanged, Failure, OSError, duckdb.Error, pymysql.MySQLError) as reason:
        if run.outcome == "published" or not connection.open:
            raise
        told = reason.args[-1] if isinstance(reason, pymysql.MySQLError) else reason
        log.info("All rows are read: %s", " ".join(str(told).split()))
        run.begin_anew()
        return False
    return True


def _require_readers_see(connection: "Connection[Any]", origin: Origin, marts: Sequence[Mart]) -> None:
    present = present_tables(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT mart, run_id, built_at FROM `{VERSIONS}`")  # noqa: S608
        seen = {mart: built for mart, *built in cursor.fetchall()}
    ours = [origin.run_id, origin.built_at]
    if any(seen.get(mart.name) != ours or mart.name not in present for mart in marts):
        raise AnythingMayHaveChanged("readers see marts of another run than the one of which rows are kept")


def _read(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    kept: Kept,
    origin: Origin,
    marts: Sequence[Mart],
    totals: Totals,
) -> tuple[Moment, Columns, Changes]:
    """Read the rows that have changed since the last run, and let the tables that have changed be counted."""
    with held(settings) as moment:
        found = readers(connection, settings, moment, needed_columns(marts), with_keys=True)
        columns = {table: reader.schema for table, reader in found.items()}
        if origin.definitions != fingerprint(marts, columns, collation_on(connection)):
            raise AnythingMayHaveChanged("a mart is defined in another way than in the last run")
        changed = changed_since(connection, origin.journal, moment, found)
        for table, keys in changed.items():
            if len(keys) > max(FEW_ROWS, MOST_CHANGED * kept.count(table)):
                raise AnythingMayHaveChanged(f"{len(keys)} rows of {table} have changed")
        totals.begin(query for query, table in checks.totals_of(marts).items() if table in changed)
        changes = kept.changes(
            changed, {table: (found[table], listed(keys, kept.parallel)) for table, keys in changed.items()}
        )
    rows = ", ".join(f"{len(keys)} of {table}" for table, keys in changed.items())
    log.info("Rows that have changed since run %d: %s", origin.run_id, rows or "none")
    return moment, columns, changes


def _differences(
    kept: Kept, run: Run, marts: Sequence[Mart], columns: Columns, changes: Changes
) -> dict[str, Change]:
    """Bring the kept rows up to date, and return the rows of each mart that differ."""
    concerned = [(mart, tables) for mart in marts if (tables := changed_tables(kept, mart, changes))]
    with run.timed("changed parts"):
        computed = {mart.name: computed_parts(kept, mart, columns, changes, tables) for mart, tables in concerned}
    for table, change in changes.items():
        kept.replace(table, change)
    differences = {}
    for mart, _ in concerned:
        with run.timed(mart.name):
            if parts := computed[mart.name]:
                found = difference(kept, mart, columns, parts)
            else:
                found = kept.difference(mart, frame_of(mart, columns))
        if found.before.num_rows or found.after.num_rows:
            differences[mart.name] = found
            run.written += found.after.num_rows
    run.rows |= {mart.name: kept.count(mart.name) for mart in marts}
    return differences


def _publish(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    run: Run,
    moment: Moment,
    differences: Mapping[str, Change],
    sources: Container[str],
    totals: Totals,
    *,
    fewer_rows: bool,
) -> None:
    """Change the marts in one transaction, if the checks hold in it."""
    try:
        with run.timed("writing"):
            amend.stage(connection, settings, run.run_id, differences)
            connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            amend.change(connection, run.run_id, differences)
        with run.timed("checks"):
            outcomes = [] if fewer_rows else list(checks.fewer_rows(connection, run.rows))
            record_versions(connection, VERSIONS, run, moment, run.rows)
            changed = {mart: amend.after(run.run_id, mart) for mart in differences}
            tables = {name: name for name in (*run.rows, VERSIONS)}
            outcomes += checks.run_on_changes(connection, tables, changed, sources, moment, totals)
        if failed := [str(outcome) for outcome in outcomes if outcome.failed]:
            # Perhaps somebody has changed the marts. If not, a full run keeps the rejected ones.
            raise AnythingMayHaveChanged("; ".join(failed))
        connection.commit()
        run.outcome = "published"
    finally:
        if connection.open:
            connection.rollback()
        if connection.open and run.outcome != "published":
            amend.forget_run(connection, run.run_id)
    audit.settle(connection, run, outcomes)
    amend.forget(connection, but=run.run_id, last_versions=True)
