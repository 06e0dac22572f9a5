"""A run: read the sources once, write each mart to its staging table, audit, swap in."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.connections import Connection

from martline.command import Failure, MySQLSettings
from martline.marts import checks, engines, publish, runs
from martline.marts.definition import Mart
from martline.marts.engines import Engine, Plan
from martline.marts.lineage import lineage, record_lineage
from martline.marts.publish import VERSIONS, staging
from martline.marts.reading.blocks import BlockReader
from martline.marts.reading.moment import Moment, held
from martline.marts.reading.ranges import key_of, tasks
from martline.marts.reading.values import values_of
from martline.marts.runs import Run
from martline.marts.statement import Columns, frame_of
from martline.marts.writing.load import load
from pg_to_mysql.mysql.names import present_tables


def build(marts: Sequence[Mart], settings: MySQLSettings, *, fewer_rows: bool = False) -> Run:
    """Build these marts and put them in the places of those that readers see.

    :param fewer_rows: let a mart have far fewer rows than its last version.
    :raises Failure: a source is missing, a mart can't be computed or a check does not hold; the old marts stay.
    """
    with settings.connect(autocommit=True) as connection:
        publish.keep_others_out(connection)
        names = [mart.name for mart in marts]
        with runs.recorded(connection, names) as run:
            needed = needed_columns(marts)
            _require(connection, needed)
            publish.clear(connection, [*names, VERSIONS])
            publish.create_versions(connection)
            with engines.opened() as engine:
                with run.timed("reading"):
                    moment, columns = read(engine, connection, settings, needed)
                run.lsn = moment.lsn
                for mart in marts:
                    with run.timed(mart.name):
                        _stage(engine, connection, settings, mart, columns, run)
            publish.stage_versions(connection, run, moment, run.rows)
            with run.timed("checks"):
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


def plan_reading(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    moment: Moment,
    needed: Mapping[str, tuple[str, ...]],
    parallel: int,
) -> Plan:
    """How the needed columns are read, by so many readers at once."""
    plan = {}
    for table, columns in needed.items():
        key = key_of(connection, table)
        reader = BlockReader(settings, moment, table, key, values_of(connection, table, columns))
        plan[table] = reader, tasks(connection, table, key, parallel)
    return plan


def read(
    engine: Engine,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    needed: Mapping[str, tuple[str, ...]],
) -> tuple[Moment, Columns]:
    """Read the tables into the engine; return the moment they are of, and what was read."""
    with held(settings) as moment:
        plan = plan_reading(connection, settings, moment, needed, engine.parallel)
        engine.read(plan)
    return moment, {table: reader.schema for table, (reader, _) in plan.items()}


def _stage(
    engine: Engine,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    mart: Mart,
    columns: Columns,
    run: Run,
) -> None:
    """Write a mart to its staging table, and into ``run`` what it is."""
    frame = frame_of(mart, columns)
    try:
        with connection.cursor() as cursor:
            cursor.execute(mart.create_statement(staging(mart.name), frame.schema()))
        computed = engine.compute(frame)
        load(settings, staging(mart.name), computed, mart.key)
    except Failure as failure:
        raise Failure(f"{mart.name} can't be built, the old marts stay: {failure}") from failure
    run.lineages[mart.name] = lineage(frame)
    run.rows[mart.name] = computed.num_rows


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
