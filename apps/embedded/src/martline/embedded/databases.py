"""The databases for the demo's report: connections, and the logins that it shows."""

from pathlib import Path
from typing import Any

import psycopg
import pymysql

from martline.command import MySQLSettings
from martline.command.logins import Login
from martline.embedded import airflow, dashboard
from martline.embedded.state import State


def source(state: State) -> psycopg.Connection:
    """A connection to PostgreSQL as the shop's user."""
    return psycopg.connect(
        host="127.0.0.1",
        port=state.ports["pgport"],
        user=state.settings.pguser,
        dbname=state.settings.pgdatabase,
        passfile=str(Path(state.folder) / "pgpass"),
    )


def replica(state: State) -> "pymysql.Connection[Any]":
    """A connection to MariaDB as the shop's user."""
    settings = MySQLSettings(
        host="127.0.0.1",
        port=state.ports["mysql_tcp_port"],
        user=state.settings.mysql_user,
        database=state.settings.mysql_database,
        password=state.secrets["mysql_pwd"],
    )
    return settings.connect()


def logins(state: State) -> list[Login]:
    """The addresses and logins of all servers."""
    settings, ports, secrets = state.settings, state.ports, state.secrets
    postgres = f"127.0.0.1:{ports['pgport']}/{settings.pgdatabase}"
    mariadb = f"127.0.0.1:{ports['mysql_tcp_port']}/{settings.mysql_database}"
    return [
        Login("Dashboard", dashboard.base_url(state)),
        Login("Airflow", airflow.base_url(state), settings.airflow_user, secrets["airflow_password"]),
        Login("PostgreSQL", postgres, settings.pguser, secrets["pgpassword"]),
        Login("MariaDB", mariadb, settings.mysql_user, secrets["mysql_pwd"]),
        Login("Kafka", f"127.0.0.1:{ports['kafka_port']}"),
    ]
