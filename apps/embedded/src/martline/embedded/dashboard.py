"""The dashboard, with its own roles in MariaDB and PostgreSQL, and an Airflow user who may only read."""

import sys
from pathlib import Path

import httpx

from martline.embedded import airflow, mariadb, postgres
from martline.embedded.server import Server
from martline.embedded.state import State

PROGRAM = str(Path(sys.executable).with_name("dashboard"))


def server(state: State, *, with_airflow: bool) -> Server:
    """The server process, which listens only on the loopback interface."""
    client = httpx.Client(base_url=base_url(state), timeout=5, trust_env=False)

    def is_ready() -> bool:
        try:
            return client.get("/health").is_success
        except httpx.HTTPError:
            return False

    command = [PROGRAM, "--port", str(state.ports["dashboard_port"])]
    logins = {
        "MYSQL_USER": mariadb.DASHBOARD,
        "MYSQL_PWD": state.secrets["mysql_dashboard"],
        "PGUSER": postgres.DASHBOARD,
        "PGPASSFILE": str(state.plain(postgres.dashboard_password_file(state))),
    }
    if with_airflow:
        login = airflow.dashboard_login(state)
        logins |= {"AIRFLOW_URL": login.url, "AIRFLOW_USER": login.user, "AIRFLOW_PASSWORD": login.password}
    return Server("dashboard", command, is_ready, environment=logins)


def base_url(state: State) -> str:
    """The address of the pages."""
    return f"http://127.0.0.1:{state.ports['dashboard_port']}"
