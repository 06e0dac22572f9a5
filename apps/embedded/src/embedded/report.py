"""What the demo shows at its end."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from psycopg import sql
from rich.table import Table

from command import MySQLSettings
from embedded import airflow
from embedded.demo import Step
from embedded.state import State
from embedded.terminal import results as terminal

MARTS = ("mart_user_activity", "mart_product_rating", "mart_average_check")
TABLES = ("users", "productcategories", "products", "orders", "orderdetails", "reviews", "loyaltypoints")
FIRST_ROWS = 5


def report(state: State, steps: Sequence[Step], start_seconds: float) -> None:
    """Print the marts' first rows, the counts at every stage, where the time went, and the logins."""
    with _replica(state) as replica:
        for mart in MARTS:
            _print_rows(replica, mart)
        _print_counts(state, replica, steps)
    _print_times(steps, start_seconds)
    _print_logins(state)


def _print_rows(replica: "pymysql.Connection[Any]", mart: str) -> None:
    with replica.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {mart} ORDER BY 1, 2 LIMIT {FIRST_ROWS}")  # noqa: S608
        table = Table(*(column[0] for column in cursor.description or ()), title=mart, title_justify="left")
        for row in cursor.fetchall():
            table.add_row(*("" if value is None else str(value) for value in row))
    terminal.print(table)


def _print_counts(state: State, replica: "pymysql.Connection[Any]", steps: Sequence[Step]) -> None:
    results = {(step.run.dag, step.task.name): step.result for step in steps}
    generated: Any = results["shop_generate", "generate"]["rows"]
    stored = results["shop_events", "consume"]["stored"]
    compared: Any = results["replicate", "compare"]["tables"]
    table = Table("table", title=f"Rows at every stage ({stored} of them from events)", title_justify="left")
    for heading in ("generated", "in PostgreSQL", "in MySQL", "compared equal"):
        table.add_column(heading, justify="right")
    with _source(state) as source, replica.cursor() as cursor:
        for name in TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            in_source = source.execute(query).fetchone()
            cursor.execute(f"SELECT count(*) FROM `{name}`")  # noqa: S608
            in_replica = cursor.fetchone()
            counts = (generated.get(name, 0), *(in_source or ()), *(in_replica or ()), compared[name]["rows"])
            table.add_row(name, *(f"{count:,}" for count in counts))
    terminal.print(table)


def _print_times(steps: Sequence[Step], start_seconds: float) -> None:
    table = Table("what", title="Where the time went", title_justify="left")
    table.add_column("seconds", justify="right")
    table.add_row("start of the servers", f"{start_seconds:.1f}")
    runs_of_dag: Counter[str] = Counter()
    for run, tasks in groupby(steps, key=lambda step: step.run):
        runs_of_dag[run.dag] += 1
        title = run.dag if runs_of_dag[run.dag] == 1 else f"{run.dag}, run {runs_of_dag[run.dag]}"
        for step in tasks:
            table.add_row(f"{title}: {step.task.name}", f"{step.task.seconds or 0:.1f}")
    terminal.print(table)


def _print_logins(state: State) -> None:
    settings, ports = state.settings, state.ports
    table = Table("what", "address", "user", "password", title="Addresses and logins", title_justify="left")
    table.add_row("Airflow", airflow.base_url(state), settings.airflow_user, state.secrets["airflow_password"])
    table.add_row(
        "PostgreSQL",
        f"127.0.0.1:{ports['pgport']}/{settings.pgdatabase}",
        settings.pguser,
        state.secrets["pgpassword"],
    )
    table.add_row(
        "MariaDB",
        f"127.0.0.1:{ports['mysql_tcp_port']}/{settings.mysql_database}",
        settings.mysql_user,
        state.secrets["mysql_pwd"],
    )
    table.add_row("Kafka", f"127.0.0.1:{ports['kafka_port']}", "", "")
    terminal.print(table)


def _source(state: State) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=state.ports["pgport"],
        user=state.settings.pguser,
        dbname=state.settings.pgdatabase,
        passfile=str(Path(state.folder) / "pgpass"),
    )


def _replica(state: State) -> "pymysql.Connection[Any]":
    settings = MySQLSettings(
        host="127.0.0.1",
        port=state.ports["mysql_tcp_port"],
        user=state.settings.mysql_user,
        database=state.settings.mysql_database,
        password=state.secrets["mysql_pwd"],
    )
    return settings.connect()
