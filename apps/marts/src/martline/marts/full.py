"""A full run: read the sources once, write each mart to its staging table, audit, swap in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection

from martline.command import Failure, MySQLSettings
from martline.marts import audit, checks, engines, publish
from martline.marts.definition import Mart
from martline.marts.engines import Engine
from martline.marts.engines.duck import DuckDB
from martline.marts.incremental import amend, kept
from martline.marts.lineage import lineage, record_lineage
from martline.marts.publish import VERSIONS, staging
from martline.marts.reading.moment import Moment, held
from martline.marts.reading.plan import needed_columns, readers, whole
from martline.marts.runs import Run
from martline.marts.statement import Columns, frame_of
from martline.marts.totals import Totals, counting
from martline.marts.writing.load import load
from pg_to_mysql.mysql.collation import collation_on


def run_in_full(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    run: Run,
    marts: Sequence[Mart],
    keep_in: Path | None,
    *,
    fewer_rows: bool,
) -> None:
    """Compute the marts of all rows, and put them in the places of those that readers see.

    :param keep_in: the file in which the next run finds what it needs to be incremental.
    :raises Failure: a mart can't be computed or a check does not hold; the old marts stay.
    """
    names = [mart.name for mart in marts]
    with engines.opened() as engine, counting(settings) as totals:
        keeper = engine if keep_in and isinstance(engine, DuckDB) else None
        with run.timed("reading"):
            moment, columns = read(engine, connection, settings, marts, totals, with_keys=keeper is not None)
        run.lsn = moment.lsn
        for mart in marts:
            with run.timed(mart.name):
                computed = _stage(engine, connection, settings, mart, columns, run)
            if keeper:
                keeper.add(mart.name, computed)
        publish.stage_versions(connection, run, moment, run.rows)
        with run.timed("checks"):
            _audit(connection, run, moment, totals, fewer_rows=fewer_rows)
        publish.swap_in(connection, names)
        amend.forget(connection)
        run.outcome = "published"
        record_lineage(connection, run.lineages)
        if keeper and keep_in:
            with run.timed("keeping"):
                definitions = kept.fingerprint(marts, columns, collation_on(connection))
                kept.keep(keeper, keep_in, run, moment, definitions)


def read(
    engine: Engine,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    marts: Sequence[Mart],
    totals: Totals,
    *,
    with_keys: bool = False,
) -> tuple[Moment, Columns]:
    """Read the marts' tables into the engine; return the moment they are of, and what was read."""
    with held(settings) as moment:
        found = readers(connection, settings, moment, needed_columns(marts), with_keys=with_keys)
        engine.read(whole(connection, found, engine.parallel))
        totals.begin(checks.totals_of(marts))
    return moment, {table: reader.schema for table, reader in found.items()}


def _stage(
    engine: Engine,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    mart: Mart,
    columns: Columns,
    run: Run,
) -> pa.Table:
    """Write a mart to its staging table, and into ``run`` what it is; return its rows."""
    frame = frame_of(mart, columns)
    try:
        with connection.cursor() as cursor:
            cursor.execute(mart.create_statement(staging(mart.name), frame.schema(), collation_on(connection)))
        computed = engine.compute(frame)
        load(settings, staging(mart.name), computed, mart.key)
    except Failure as failure:
        raise Failure(f"{mart.name} can't be built, the old marts stay: {failure}") from failure
    run.lineages[mart.name] = lineage(frame)
    run.rows[mart.name] = computed.num_rows
    run.written += computed.num_rows
    return computed


def _audit(connection: "Connection[Any]", run: Run, moment: Moment, totals: Totals, *, fewer_rows: bool) -> None:
    """Run the checks on the staged marts, and record their outcomes."""
    tables = {table: staging(table) for table in (*run.rows, VERSIONS)}
    outcomes = list(checks.run(connection, tables, run.rows, moment, totals))
    if not fewer_rows:
        outcomes += checks.fewer_rows(connection, run.rows)
    audit.settle(connection, run, outcomes)
