"""`shop-generate` compared with a COPY of the very same rows from ready files: whole commands, in turns.

Both write through one connection in one transaction, into the shop's tables with their keys, indexes and foreign
keys.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.commands import PROGRAMS, run, sizes
from benchmarks.measure import Measure, publish
from benchmarks.replication.servers import Servers, servers

from martline.shop.generation.plan import TABLES

RUNS = {100_000: 3, 1_000_000: 1, 10_000_000: 1}
"""How many runs of each number of orders; the median counts."""
DATABASE = "generation"
LEAST_RATIO, MOST_GIB = 0.6, 1


def fresh(made: Servers, environment: dict[str, str]) -> None:
    """Make an empty shop, and let the server finish its writes."""
    made.fresh_source(DATABASE)
    subprocess.run([PROGRAMS / "shop-init"], env=environment, check=True, stdout=subprocess.DEVNULL)
    with made.source("postgres") as connection:
        connection.execute("CHECKPOINT")


def load_command(made: Servers, folder: Path) -> list[str]:
    """The command that loads ready files in one transaction."""
    copies = [f"\\copy {table} FROM '{folder / table}.csv' (FORMAT csv, HEADER)" for table in TABLES]
    options = [option for copy in copies for option in ("--command", copy)]
    settings = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
    return [*made.psql, *settings, *options]


def contents(made: Servers) -> dict[str, Any]:
    """The number of rows of each table, and the sum of their hashes."""
    with made.source(DATABASE) as connection:
        return {
            table: connection.execute(
                f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t"
            ).fetchone()
            for table in TABLES
        }


def measure(made: Servers, orders: int, runs: int) -> list[Measure]:
    """Measure both in turns."""
    environment = {**os.environ, **made.environment(DATABASE)}
    generate: list[str | Path] = [PROGRAMS / "shop-generate", *sizes(orders)]
    own: list[float] = []
    ready: list[float] = []
    peaks: list[int] = []
    with tempfile.TemporaryDirectory(prefix="martline-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name) / "ready"
        written, result, peak = run([*generate, "--to-csv", folder], environment)
        peaks.append(peak)
        rows = result["rows_written"]
        for _ in range(runs):
            fresh(made, environment)
            seconds, _, peak = run(generate, environment)
            own.append(seconds)
            peaks.append(peak)
            generated = contents(made)
            fresh(made, environment)
            ready.append(run(load_command(made, folder), environment)[0])
            assert contents(made) == generated, "The two commands have written different rows"
        shutil.rmtree(folder)
    what = f"{orders:,} orders, {rows:,} rows"
    return [
        Measure(
            f"{what}: into PostgreSQL",
            rows / median(own),
            "rows/s",
            LEAST_RATIO,
            "COPY from ready files, one connection",
            rows / median(ready),
            at_least=True,
            of_ratio=True,
        ),
        Measure(f"{what}: into CSV files", rows / written, "rows/s"),
        Measure(f"{what}: memory at its highest, all processes", max(peaks) / 2**30, "GiB", MOST_GIB),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--orders", type=int, action="append", help="measure only this number of orders, and keep no result"
    )
    chosen = parser.parse_args().orders
    with servers() as made:
        if not made.psql:
            sys.exit("psql can't be found: install PostgreSQL's client, or Docker with the image postgres:17")
        measures = [
            measured for orders in chosen or RUNS for measured in measure(made, orders, RUNS.get(orders, 1))
        ]
        described = made.described()
    publish("generation", measures, {"servers": described}, keep=not chosen)


if __name__ == "__main__":
    main()
