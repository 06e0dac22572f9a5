"""Snapshot, changes and comparison of the replication, each compared with other ways to do the same.

Run as ``python -m benchmarks.replication``. The servers are the benchmark's own and are removed at its end.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from benchmarks.measure import Measure, publish
from benchmarks.replication.changes import measure_changes
from benchmarks.replication.comparison import measure_comparison
from benchmarks.replication.debezium import measure_debezium
from benchmarks.replication.earlier import measure_earlier
from benchmarks.replication.servers import servers
from benchmarks.replication.snapshots import (
    measure_idle,
    measure_shapes,
    measure_sizes,
    measure_small_tables,
    measure_tls,
)

from martline.embedded.folder import Folder
from martline.embedded.java import java_home

PARTS = ("sizes", "tls", "shapes", "small-tables", "idle", "changes", "compare", "debezium")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[PART ...]")
@click.option("--more", is_flag=True, help="Also measure 30,000,000 orders: 10 minutes and 15 GB more.")
@click.option("--repeat", default=5, show_default=True, help="Number of runs in turns, of which the best counts.")
@click.option(
    "--earlier",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Compare only with another installation, given by its folder of commands (../earlier/.venv/bin).",
)
def main(parts: tuple[str, ...], more: bool, repeat: int, earlier: Path | None) -> None:
    """Measure replication: all PARTs, or sizes, tls, shapes, small-tables, idle, changes,
    compare, debezium."""
    chosen = parts or PARTS
    with servers() as made, tempfile.TemporaryDirectory(prefix="martline-bench-") as folder:
        spark = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": folder,
            "JAVA_HOME": str(java_home(Folder(Path(folder)))),
        }
        runs: dict[str, Callable[[], Iterator[Measure]]] = {
            "sizes": lambda: measure_sizes(made, spark, more, repeat),
            "tls": lambda: measure_tls(made, repeat),
            "shapes": lambda: measure_shapes(made, repeat),
            "small-tables": lambda: measure_small_tables(made),
            "idle": lambda: measure_idle(made, repeat),
            "changes": lambda: measure_changes(made, repeat),
            "compare": lambda: measure_comparison(made, repeat),
            "debezium": lambda: measure_debezium(made, spark["JAVA_HOME"], repeat),
        }
        if earlier:
            other = earlier.absolute()
            runs = {"earlier": lambda: measure_earlier(made, spark, repeat, other)}
            chosen = ("earlier",)
        measures = []
        for part in chosen:
            for measure in runs[part]():
                ratio = "" if measure.ratio is None else f", {measure.ratio:.2f} of {measure.beside}"
                print(f"{measure.name}: {measure.value:,.6g} {measure.unit}{ratio}", file=sys.stderr, flush=True)
                measures.append(measure)
        details = {"servers": made.described()}
    # The results of only some parts are not kept.
    publish("replication", measures, details, keep=set(chosen) == set(PARTS))


if __name__ == "__main__":
    main()
