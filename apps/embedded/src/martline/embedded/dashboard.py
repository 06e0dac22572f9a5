"""The dashboard, as a role in MariaDB of its own."""

import sys
from pathlib import Path

import httpx

from martline.embedded import mariadb
from martline.embedded.server import Server
from martline.embedded.state import State

PROGRAM = str(Path(sys.executable).with_name("dashboard"))


def server(state: State) -> Server:
    """The server process, which listens on the loopback interface alone."""
    client = httpx.Client(base_url=base_url(state), timeout=5, trust_env=False)

    def is_ready() -> bool:
        try:
            return client.get("/health").is_success
        except httpx.HTTPError:
            return False

    command = [PROGRAM, "--port", str(state.ports["dashboard_port"])]
    login = {"MYSQL_USER": mariadb.DASHBOARD, "MYSQL_PWD": state.secrets["mysql_dashboard"]}
    return Server("dashboard", command, is_ready, environment=login)


def base_url(state: State) -> str:
    """The address of the pages."""
    return f"http://127.0.0.1:{state.ports['dashboard_port']}"
