"""The comparison of a replica's tables at one moment, and the repair of the rows that differ."""

import logging
from collections.abc import Sequence
from typing import Any

import psycopg

from pg_to_mysql.comparison.compare import Comparer, Comparison, Difference
from pg_to_mysql.errors import Failure
from pg_to_mysql.operation.replica import Replica
from pg_to_mysql.postgres import export
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

DIFFERENCES_LOGGED = 1000
"""Of each table, each with its key."""
DIFFERENCES_SHOWN = 10
"""In the sentence that ends the command."""


def compare_tables(replica: Replica, names: Sequence[str], *, repair: bool) -> dict[str, Any]:
    """Compare the tables; a :class:`Failure` if rows differ and are not to be repaired."""
    missing = sorted(set(names) - replica.replicated().keys() - replica.stopped().keys())
    if missing:
        raise Failure(f"The table {missing[0]} is not in MySQL: run `replicate` first")
    compared: dict[str, Comparison] = {}
    shown: list[str] = []
    with export.snapshot() as moment:
        reader = moment.reader
        replica.apply(moment.lsn)
        replicated = replica.replicated()
        if due := sorted(set(names) & set(replica.due())):
            raise Failure(f"The table {due[0]} is to be copied again: run `replicate` first")
        # Of a table that was made anew, or renamed to the name of one that is gone, MySQL has another one.
        for name in names:
            if name in replica.gone.names or (name not in replicated and name not in replica.stopped()):
                raise Failure(
                    f"MySQL has no copy of PostgreSQL's table {name} as it is now: run `replicate` first"
                )
        for name in (name for name in names if name in replicated):
            table = replicated[name].table
            compared[name], differences = _compare(replica, reader, table, repair=repair)
            shown += (f"{name} {difference}" for difference in differences)
            if repair and compared[name].differing:
                _compare_again(replica, reader, table)
    differing = sum(comparison.differing for comparison in compared.values())
    if differing and not repair:
        more = f"; and {differing - DIFFERENCES_SHOWN} more" if differing > DIFFERENCES_SHOWN else ""
        raise Failure(
            f"{differing} rows differ: {'; '.join(shown[:DIFFERENCES_SHOWN])}{more}; --repair brings them again"
        )
    return {
        "equal": True,
        "rows_compared": sum(comparison.rows for comparison in compared.values()),
        "rows_repaired": differing,
        "tables": {name: {"rows": comparison.rows} for name, comparison in compared.items()},
    }


def _compare(
    replica: Replica, reader: psycopg.Connection, table: Table, *, repair: bool
) -> tuple[Comparison, list[Difference]]:
    """Compare a table, and repair it in one transaction of MySQL's; return the first differences."""
    comparer = Comparer(reader, replica.schema, replica.target, table)
    first: list[Difference] = []

    def found(differences: list[Difference]) -> None:
        logged = differences[: DIFFERENCES_LOGGED - len(first)]
        first.extend(logged)
        for difference in logged:
            log.warning("%s %s", table.name, difference)
        if repair:
            comparer.repair([difference.row for difference in differences])

    with replica.target.transaction():
        comparison = comparer.compare(found)
    log.info(
        "%s: %s rows, %s %s",
        table.name,
        f"{comparison.rows:,}",
        f"{comparison.differing:,}",
        "repaired" if repair else "differ",
    )
    return comparison, first


def _compare_again(replica: Replica, reader: psycopg.Connection, table: Table) -> None:
    comparison, first = _compare(replica, reader, table, repair=False)
    if comparison.differing:
        raise Failure(f"{table.name} {first[0]} after its repair, too: copy the table again")
