"""``build-marts`` compared with MySQL's own ``CREATE TABLE … AS SELECT``, and with the minimum of necessary work.

Run as ``python -m benchmarks.marts``. First, the platform's own commands generate and replicate the shop.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import click
import pymysql
from benchmarks.commands import PROGRAMS, run, sizes
from benchmarks.marts.definitions import QUERIES
from benchmarks.marts.limit import measure_limit
from benchmarks.measure import Measure, publish
from benchmarks.replication.servers import Servers, servers

from martline.marts.catalogue import MARTS
from pg_to_mysql.command_line.environment import mysql_from_environment
from pg_to_mysql.mysql.collation import collation_on

RUNS = {100_000: 3, 1_000_000: 3, 10_000_000: 1}
"""How often the marts of each number of orders are built. The median counts."""
DATABASE = "marts"
TIMES_FASTER = {1_000_000: 1, 10_000_000: 5}
"""How many times faster than CREATE TABLE … AS SELECT build-marts must be."""
TIMES_THE_LIMIT, MOST_GIB, SHARE_OF_FULL = 2.5, 3, 0.1
SELECTS = "CREATE TABLE … AS SELECT of the six in MySQL"
LIMIT = "connectorx, DuckDB and LOAD DATA alone"


@click.command()
@click.option("--orders", multiple=True, type=int, help="Measure only this number of orders, and keep no result.")
@click.option("--incremental", is_flag=True, help="Measure only incremental runs, and keep no result.")
def main(orders: tuple[int, ...], incremental: bool) -> None:
    """Measure build-marts."""
    phases: dict[str, Any] = {}
    measures: list[Measure] = []
    with servers() as made:
        for count in orders or RUNS:
            runs = RUNS.get(count, 1)
            phases[f"{count:,} orders"] = {}
            environment = _replica(made, count)
            if not incremental:
                measures += _measure_full(made, count, runs, environment, phases)
            measures.append(_measure_incremental(made, count, max(runs, 2), environment, phases))
        described = made.described()
    publish("marts", measures, {"servers": described, "seconds": phases}, keep=not orders and not incremental)


def _measure_full(
    made: Servers, orders: int, runs: int, environment: dict[str, str], phases: dict[str, Any]
) -> Iterator[Measure]:
    """Measure full runs and what they are compared with, on the same rows, in turns."""
    build, selects, limits, results = [], [], [], []
    peak = 0
    for _ in range(runs):
        seconds, result, memory = run([PROGRAMS / "build-marts"], environment)
        build.append(seconds)
        results.append(result)
        peak = max(peak, memory)
        with made.target(DATABASE) as connection:
            selects.append(_create_as_select(connection))
            _compare(connection)
        limits.append(measure_limit(mysql_from_environment(environment)))
        made.settle()
    phases[f"{orders:,} orders"] |= {
        "build-marts": results[-1]["seconds_of"], SELECTS: selects[-1], LIMIT: limits[-1],
    }  # fmt: skip
    what = f"{orders:,} orders: build-marts, the whole command"
    seconds = median(build)
    faster = TIMES_FASTER.get(orders)
    yield Measure(
        what, seconds, "s", faster and 1 / faster, SELECTS, median(sum(parts.values()) for parts in selects),
        of_ratio=True,
    )  # fmt: skip
    yield Measure(
        what, seconds, "s", TIMES_THE_LIMIT, LIMIT, median(sum(parts.values()) for parts in limits), of_ratio=True
    )
    yield Measure(f"{orders:,} orders: memory at its highest", peak / 2**30, "GiB", MOST_GIB)


def _measure_incremental(
    made: Servers, orders: int, runs: int, environment: dict[str, str], phases: dict[str, Any]
) -> Measure:
    """Compare incremental runs, each after changes to a thousandth of the orders, with the full run before."""
    with tempfile.TemporaryDirectory() as state:
        keeping = environment | {"MARTS_STATE": state}
        full, result, _ = run([PROGRAMS / "build-marts"], keeping)
        phases[f"{orders:,} orders"]["build-marts that keeps its state"] = result["seconds_of"]
        incremental = []
        for number in range(runs):
            _change_orders(made, number)
            run([PROGRAMS / "replicate"], environment)
            made.settle()
            seconds, result, _ = run([PROGRAMS / "build-marts"], keeping)
            if not result["incremental"]:
                sys.exit("build-marts has read all rows instead of only the changed ones")
            incremental.append(seconds)
        phases[f"{orders:,} orders"]["build-marts, incremental"] = result["seconds_of"]
        changed = _checksums(made)
        run([PROGRAMS / "build-marts", "--full"], keeping)
        if _checksums(made) != changed:
            sys.exit("the marts of an incremental build-marts differ from those of a full one")
    what = f"{orders:,} orders: incremental build-marts after changes to 0.1% of them"
    return Measure(
        what, median(incremental), "s", SHARE_OF_FULL, "a full one that keeps its state", full, of_ratio=True
    )


def _checksums(made: Servers) -> object:
    """The checksums of the marts' rows, which do not depend on the order of the rows."""
    with made.target(DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(f"CHECKSUM TABLE {', '.join(MARTS)}")
        return cursor.fetchall()


def _change_orders(made: Servers, number: int) -> None:
    """Change the status of a thousandth of the orders, spread over all times."""
    with made.source(DATABASE) as connection:
        connection.execute(
            "UPDATE orders SET status = CASE status WHEN 'Returned' THEN 'Delivered' ELSE 'Returned' END"
            " WHERE order_id %% 1000 = %s",
            [number],
        )


def _replica(made: Servers, orders: int) -> dict[str, str]:
    """Make a shop and its replica; return the environment of the commands."""
    environment = {**os.environ, **made.environment(DATABASE), "REPLICATION_JOURNAL_MIB": "256"}
    made.fresh_source(DATABASE)
    made.fresh_target(DATABASE)
    for command in (["shop-init"], ["shop-generate", *sizes(orders)], ["replicate"]):
        print(f"{orders:,} orders: {command[0]}", file=sys.stderr, flush=True)
        run([PROGRAMS / command[0], *command[1:]], environment)
    with made.target(DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE TABLE users, orders, orderdetails, products, productcategories, reviews, loyaltypoints"
        )
    made.settle()
    return environment


def _create_as_select(connection: "pymysql.Connection") -> dict[str, float]:
    """The seconds that each mart takes, including its key."""
    seconds = {}
    with connection.cursor() as cursor:
        # Enough digits to make the second rounding exact.
        cursor.execute("SET SESSION div_precision_increment = 8, cte_max_recursion_depth = 100000")
        for name, query in QUERIES.items():
            cursor.execute(f"DROP TABLE IF EXISTS select_{name}")
            started = time.monotonic()
            cursor.execute(f"CREATE TABLE select_{name} (PRIMARY KEY ({', '.join(MARTS[name].key)})) AS {query}")
            seconds[name] = time.monotonic() - started
    return seconds


def _compare(connection: "pymysql.Connection") -> None:
    """End the benchmark if the selected rows differ from those of the marts."""
    collation = collation_on(connection)
    with connection.cursor() as cursor:
        for name, mart in MARTS.items():
            same = " AND ".join(f"m.`{column.name}` <=> s.`{column.name}`" for column in mart.columns)
            keys = ", ".join(mart.key)
            cursor.execute(f"ALTER TABLE select_{name} CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}")
            cursor.execute(
                f"SELECT COUNT(*), SUM({same}),"
                f" (SELECT COUNT(*) FROM {name}), (SELECT COUNT(*) FROM select_{name})"
                f" FROM {name} m JOIN select_{name} s USING ({keys})"
            )
            [counts] = cursor.fetchall()
            if len({int(count or 0) for count in counts}) > 1:
                sys.exit(f"{name} differs between build-marts and CREATE TABLE AS SELECT: {counts}")


if __name__ == "__main__":
    main()
