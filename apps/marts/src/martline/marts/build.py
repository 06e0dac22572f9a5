"""A run: read the sources once, write each mart to its staging table, audit, swap in."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.connections import Connection
from pyspark.sql import DataFrame, SparkSession

from martline.command import Failure, MySQLSettings
from martline.marts import checks, publish, runs, spark
from martline.marts.definition import Mart
from martline.marts.lineage import lineage, record_lineage
from martline.marts.publish import VERSIONS, staging
from martline.marts.reading.moment import Moment, held
from martline.marts.reading.tables import open_tables
from martline.marts.runs import Run
from martline.marts.writing.load import load
from pg_to_mysql.mysql.names import present_tables

log = logging.getLogger(__name__)


def build(marts: Sequence[Mart], settings: MySQLSettings, *, fewer_rows: bool = False) -> Run:
    """Build these marts and put them in the places of those that readers see.

    :param fewer_rows: let a mart have far fewer rows than its last version.
    :raises Failure: a source is missing, Spark fails or a check does not hold; the old marts stay.
    """
    with settings.connect(autocommit=True) as connection:
        publish.keep_others_out(connection)
        names = [mart.name for mart in marts]
        with runs.recorded(connection, names) as run:
            needed = needed_columns(marts)
            _require(connection, needed)
            publish.clear(connection, [*names, VERSIONS])
            publish.create_versions(connection)
            with spark.session() as session:
                moment = _stage(session, connection, settings, marts, needed, run)
            _audit(connection, run, moment, fewer_rows=fewer_rows)
            publish.swap_in(connection, names)
            run.outcome = "published"
            record_lineage(connection, run.lineages)
    return run


def needed_columns(marts: Sequence[Mart]) -> dict[str, tuple[str, ...]]:
    """The tables, and of each the columns that any of the marts is made of."""
    columns: dict[str, dict[str, None]] = {}
    for mart in marts:
        for table, names in mart.sources.items():
            columns.setdefault(table, {}).update(dict.fromkeys(names))
    return {table: tuple(names) for table, names in sorted(columns.items())}


def _require(connection: "Connection[Any]", tables: Mapping[str, object]) -> None:
    if missing := sorted(tables.keys() - present_tables(connection)):
        raise Failure(f"MySQL has no table {', '.join(missing)} to build the marts from: run replicate first")


def _stage(
    session: SparkSession,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    marts: Sequence[Mart],
    needed: Mapping[str, tuple[str, ...]],
    run: Run,
) -> Moment:
    """Write the marts to their staging tables, and into ``run`` what they are; return the moment they are of."""
    started = time.monotonic()
    with spark.failures("the source tables can't be read"), held(settings) as moment:
        tables = open_tables(session, connection, settings, moment, needed)
    log.info("read %d tables in %.1f s", len(tables), time.monotonic() - started)
    run.lsn = moment.lsn
    for mart in marts:
        started = time.monotonic()
        with spark.failures(f"{mart.name} can't be built, the old marts stay"):
            frame = frame_of(mart, tables)
            with connection.cursor() as cursor:
                cursor.execute(mart.create_statement(staging(mart.name), frame.schema))
            run.lineages[mart.name] = lineage(frame)
            computed = frame.toArrow()
        try:
            load(settings, staging(mart.name), computed, mart.key)
        except Failure as failure:
            raise Failure(f"{mart.name} can't be built, the old marts stay: {failure}") from failure
        run.rows[mart.name] = computed.num_rows
        log.info("%s: %d rows in %.1f s", mart.name, computed.num_rows, time.monotonic() - started)
    publish.stage_versions(connection, run, moment, run.rows)
    return moment


def frame_of(mart: Mart, tables: Mapping[str, DataFrame]) -> DataFrame:
    """The mart as it follows from the tables, of each of which it sees only the columns that it declares."""
    return mart.build(
        **{table: tables[table].alias(table).select(*names) for table, names in mart.sources.items()}
    )


def _audit(connection: "Connection[Any]", run: Run, moment: Moment, *, fewer_rows: bool) -> None:
    """Run the checks on the staged marts, and record their outcomes."""
    tables = {table: staging(table) for table in (*run.rows, VERSIONS)}
    outcomes = list(checks.run(connection, tables, run.rows, moment))
    if not fewer_rows:
        outcomes += checks.fewer_rows(connection, run.rows)
    runs.record_checks(connection, run, outcomes)
    run.checks = sum(not outcome.skipped for outcome in outcomes)
    if failed := [str(outcome) for outcome in outcomes if outcome.failed]:
        run.outcome = "rejected"
        raise Failure(f"{'; '.join(failed)}; the old marts stay, the rejected ones are in {staging('*')}")
