"""The checks of marts, run by MySQL: on staging tables before they are published, and on what readers see."""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import Failure
from martline.marts.catalogue import MARTS
from martline.marts.definition import Mart
from martline.marts.publish import VERSIONS
from martline.marts.reading.moment import Moment, moment_of
from martline.marts.rules import Check, Outcome
from martline.marts.totals import Totals
from pg_to_mysql.mysql.names import present_tables

LEAST_SHARE = 0.5
"""The smallest share of the last version's rows. A mart with fewer rows is taken for a mistake."""
GONE_ON = "the replica may have changed since the mart was built"


def checks_of(mart: Mart) -> tuple[Check, ...]:
    """The checks of the mart: its own, and those that every mart has."""
    unset = " OR ".join(f"{name} IS NULL" for name in mart.key)
    return (
        Check(
            "key_is_unique_and_set",
            f"SELECT {{key}} FROM {{this}} GROUP BY {{key}} HAVING COUNT(*) > 1 OR {unset}",  # noqa: S608
            by_row=True,  # An incremental run inserts no row whose key is there: see amend.change.
        ),
        Check(
            "rows_are_those_built",
            # In a secondary index, MySQL would have to look up the rows that this transaction has changed.
            "SELECT /*+ INDEX({this} `PRIMARY`) */ COUNT(*) AS present,"  # noqa: S608
            f" (SELECT `rows` FROM {{{VERSIONS}}} WHERE mart = '{mart.name}') AS built"
            " FROM {this} HAVING NOT present <=> built",
        ),
        *mart.checks,
    )


def fewer_rows(connection: "Connection[Any]", rows: Mapping[str, int]) -> Iterator[Outcome]:
    """Compare the numbers of rows with those of the published versions."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT mart, `rows` FROM `{VERSIONS}`")  # noqa: S608
        before = dict(cursor.fetchall())
    for mart, count in rows.items():
        few = count < LEAST_SHARE * before.get(mart, 0)
        yield Outcome(mart, "rows_are_not_far_fewer", int(few), f"{count} rows, {before.get(mart, 0)} before")


def totals_of(marts: Iterable[Mart]) -> dict[str, str]:
    """The queries of the totals with which the marts are compared, and the table of each."""
    return {check.total: check.table for mart in marts for check in mart.checks if check.total and check.table}


def run(
    connection: "Connection[Any]",
    tables: Mapping[str, str],
    marts: Iterable[str],
    moment: Moment | None,
    totals: Totals | None = None,
) -> Iterator[Outcome]:
    """Run the checks of these marts.

    :param tables: the name of the table to check for each mart and for the versions. A check that needs another
        mart is left out.
    :param moment: the moment at which the marts have read the replica. Checks that read the replica are skipped
        if it has changed since, or if the moment is not known.
    :param totals: the numbers that were counted at that moment.
    """
    for mart in marts:
        yield from run_checks_of(connection, MARTS[mart], tables, moment, totals)


def run_on_changes(
    connection: "Connection[Any]",
    tables: Mapping[str, str],
    changed: Mapping[str, str],
    sources: Container[str],
    moment: Moment,
    totals: Totals,
) -> Iterator[Outcome]:
    """Run the checks of all marts within the connection's transaction, which has changed some of their rows.

    :param tables, totals: as in :func:`run`.
    :param changed: the table with the new rows of each mart that has changed. Checks of single rows look only at
        these rows, because the others have not changed.
    :param sources: the replica's tables that have changed.
    """
    same_moment = moment_of(connection) == moment
    for name, mart in MARTS.items():
        names = _names(mart, tables)
        for check in checks_of(mart):
            same_table = check.table not in sources
            if name not in changed and same_table and (check.by_row or check.table):
                continue  # nothing that it looks at has changed
            total = _total(check, totals)
            if check.table and total is None and not same_moment:
                yield Outcome(name, check.name, None, GONE_ON)
                continue
            here = names | {"this": f"`{changed[name]}`"} if check.by_row and same_table else names
            yield _offences(connection, name, check, here, total)


def run_checks_of(
    connection: "Connection[Any]",
    mart: Mart,
    tables: Mapping[str, str],
    moment: Moment | None,
    totals: Totals | None = None,
) -> Iterator[Outcome]:
    """Run the checks of one mart, which need not be among :data:`MARTS`. Otherwise this is like :func:`run`."""
    names = _names(mart, tables)
    for check in checks_of(mart):
        if check.names - {"total"} <= names.keys():
            yield _run(connection, mart.name, check, names, moment, _total(check, totals))


def _names(mart: Mart, tables: Mapping[str, str]) -> dict[str, str]:
    """The replacements of the names in braces in the queries of the mart's checks."""
    quoted = {name: f"`{table}`" for name, table in tables.items()}
    return quoted | {"this": quoted[mart.name], "key": ", ".join(mart.key)}


def _total(check: Check, totals: Totals | None) -> int | None:
    """The total of the check, if it was counted before."""
    return totals.get(check.total) if totals and check.total else None


def _run(
    connection: "Connection[Any]",
    mart: str,
    check: Check,
    names: Mapping[str, str],
    moment: Moment | None,
    total: int | None,
) -> Outcome:
    try:
        if check.table and total is None:
            connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            if moment_of(connection) != moment:
                return Outcome(mart, check.name, None, GONE_ON)
        return _offences(connection, mart, check, names, total)
    finally:
        connection.rollback()


def _offences(
    connection: "Connection[Any]", mart: str, check: Check, names: Mapping[str, str], total: int | None
) -> Outcome:
    query = check.query.format(total=f"({check.total})" if total is None else total, **names)
    with connection.cursor(DictCursor) as cursor:
        # Ordered, so that the same defect is reported in the same words.
        cursor.execute(f"SELECT COUNT(*) OVER () AS offences, q.* FROM ({query}) q ORDER BY 2 LIMIT 1")  # noqa: S608
        row = cursor.fetchone()
    if row is None:
        return Outcome(mart, check.name, 0)
    offences = row.pop("offences")
    return Outcome(mart, check.name, offences, ", ".join(f"{name} {value}" for name, value in row.items()))


def run_on_published(connection: "Connection[Any]") -> list[Outcome]:
    """Run the checks on the marts as readers see them, and look whether they are fresh.

    A check that compares marts runs when one run built them: between runs the sources may have changed.
    """
    outcomes: list[Outcome] = []
    for marts, built_at, moment in _built_together(connection):
        tables = {VERSIONS: VERSIONS} | {mart: mart for mart in marts}
        # Where nothing replicates, nothing tells whether the tables have changed.
        outcomes += run(connection, tables, marts, moment if moment.positions else None)
        outcomes += [_freshness(MARTS[mart], built_at) for mart in marts]
    return outcomes


def _freshness(mart: Mart, built_at: datetime) -> Outcome:
    age = datetime.now(UTC).replace(tzinfo=None) - built_at
    return Outcome(mart.name, "is_fresh", int(age > mart.freshness), f"built at {built_at:%Y-%m-%d %H:%M} UTC")


def _built_together(connection: "Connection[Any]") -> list[tuple[list[str], datetime, Moment]]:
    if missing := sorted({*MARTS, VERSIONS} - present_tables(connection)):
        raise Failure(f"MySQL has no table {', '.join(missing)} to check: run build-marts first")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT mart, built_at, position FROM `{VERSIONS}`")  # noqa: S608
        versions = {mart: (built_at, position) for mart, built_at, position in cursor.fetchall()}
    if missing := sorted(MARTS.keys() - versions.keys()):
        raise Failure(f"{VERSIONS} does not say when {', '.join(missing)} was built: run build-marts")
    runs: dict[tuple[datetime, str], list[str]] = {}
    for mart in MARTS:
        runs.setdefault(versions[mart], []).append(mart)
    return [(marts, built_at, Moment.from_text(text)) for (built_at, text), marts in runs.items()]
