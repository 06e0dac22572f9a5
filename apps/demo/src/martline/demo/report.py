"""The report at the end of the demo."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import psycopg
import pymysql
from psycopg import sql
from rich.markup import escape
from rich.table import Table

from martline.command.logins import Login, print_logins
from martline.command.terminal import results as terminal
from martline.demo.marts import summary
from martline.demo.run import Step

Results = Mapping[tuple[str, str], Mapping[str, Any]]
"""The tasks' results, by the names of DAG and task."""


def report(
    source: psycopg.Connection,
    replica: "pymysql.Connection[Any]",
    steps: Sequence[Step],
    logins: Sequence[Login],
    start_seconds: float | None = None,
) -> None:
    """Print a line for each mart, the counts at every stage, how long each step took, and the logins.

    ``start_seconds`` is how long the servers took to start, if they were started.
    """
    results = {(step.run.dag, step.task.name): step.result for step in steps}
    _print_marts(replica)
    _print_counts(source, replica, results)
    _print_times(steps, start_seconds)
    print_logins(logins)


def _print_marts(replica: "pymysql.Connection[Any]") -> None:
    table = Table("mart", title="The marts", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("of (UTC)", no_wrap=True)
    table.add_column("what it says")
    for mart in summary(replica):
        table.add_row(mart.name, f"{mart.rows:,}", f"{mart.built_at:%Y-%m-%d %H:%M}", escape(mart.figure))
    terminal.print(table)


def _print_counts(source: psycopg.Connection, replica: "pymysql.Connection[Any]", results: Results) -> None:
    generated: Any = results["shop_generate", "generate"]["rows"]
    stored = results["shop_events", "consume"]["stored"]
    compared: Any = results["replicate", "compare"]["tables"]
    table = Table("table", title=f"Rows at every stage ({stored} of them from events)", title_justify="left")
    for heading in ("generated", "in PostgreSQL", "in MySQL", "compared equal"):
        table.add_column(heading, justify="right")
    with replica.cursor() as cursor:
        for name in compared:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            in_source = source.execute(query).fetchone()
            cursor.execute(f"SELECT count(*) FROM `{name}`")  # noqa: S608
            in_replica = cursor.fetchone()
            counts = (generated.get(name, 0), *(in_source or ()), *(in_replica or ()), compared[name]["rows"])
            table.add_row(name, *(f"{count:,}" for count in counts))
    terminal.print(table)


def _print_times(steps: Sequence[Step], start_seconds: float | None) -> None:
    table = Table("what", title="Where the time went", title_justify="left")
    table.add_column("seconds", justify="right")
    if start_seconds is not None:
        table.add_row("start of the servers", f"{start_seconds:.1f}")
    runs_of_dag: Counter[str] = Counter()
    for run, tasks in groupby(steps, key=lambda step: step.run):
        runs_of_dag[run.dag] += 1
        title = run.dag if runs_of_dag[run.dag] == 1 else f"{run.dag}, run {runs_of_dag[run.dag]}"
        for step in tasks:
            table.add_row(f"{title}: {step.task.name}", f"{step.task.seconds or 0:.1f}")
    terminal.print(table)
