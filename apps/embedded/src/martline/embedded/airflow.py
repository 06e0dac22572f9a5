"""Airflow: the API server, scheduler, DAG processor and triggerer, with the metadata in PostgreSQL."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import httpx

from martline.airflow_client import AirflowLogin
from martline.command import Failure
from martline.embedded import postgres
from martline.embedded.server import Server
from martline.embedded.state import State, write_private

KEYS = {
    ("core", "fernet_key"): "fernet_key",
    ("api", "secret_key"): "api_secret",
    ("api_auth", "jwt_secret"): "jwt_secret",
}
"""Airflow's secret options, and the names of these secrets in the platform."""
DASHBOARD = "dashboard"
"""The dashboard's user."""
PROGRAM = str(Path(sys.executable).with_name("airflow"))


def prepare(state: State) -> None:
    """Write the keys, and the logins that the simple auth manager checks."""
    for name in KEYS.values():
        write_private(_key_file(state, name), state.secrets[name])
    write_private(
        _password_file(state),
        json.dumps({one.user: one.password for one in (login(state), dashboard_login(state))}),
    )


def migrate(state: State, variables: Mapping[str, str]) -> None:
    """Migrate the metadata database to the schema of this Airflow version."""
    version = metadata.version("apache-airflow")
    migrated = state.folder / "airflow" / "migrated-to"
    if migrated.exists() and migrated.read_bytes() == version.encode():
        return
    log = state.logs / "airflow-migrate.log"
    write_private(log, "")
    with log.open("w") as output:
        command = [PROGRAM, "db", "migrate"]
        status = subprocess.run(
            command, env=variables, umask=0o077, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    if status != 0:
        raise Failure(f"Airflow's database can't be migrated: see {log}")
    write_private(migrated, version)


def servers(state: State) -> list[Server]:
    """The four processes. The web server listens only on the loopback interface."""
    port = str(state.ports["airflow_port"])
    # Log servers are not needed, because all processes share one disk.
    commands = {
        "api-server": ["--host", "127.0.0.1", "--port", port, "--workers", "1"],
        "scheduler": ["--skip-serve-logs"],
        "dag-processor": [],
        "triggerer": ["--skip-serve-logs"],
    }

    # One client for all checks, because making one takes 50 ms. No proxy for this machine.
    client = httpx.Client(base_url=base_url(state), timeout=5, trust_env=False)

    def readiness(component: str) -> bool:
        try:
            health = client.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        status = health.get(component.replace("-", "_"), {}).get("status")
        return component == "api-server" or status == "healthy"

    return [
        Server(f"airflow-{name}", [PROGRAM, name, *options], lambda name=name: readiness(name))  # type: ignore[misc]
        for name, options in commands.items()
    ]


def base_url(state: State) -> str:
    """The address of the web interface and the API."""
    return f"http://127.0.0.1:{state.ports['airflow_port']}"


def login(state: State) -> AirflowLogin:
    """The login of the platform's user."""
    return AirflowLogin(base_url(state), state.settings.airflow_user, state.secrets["airflow_password"])


def dashboard_login(state: State) -> AirflowLogin:
    """The login of the dashboard, which may read everything and change nothing."""
    return AirflowLogin(base_url(state), DASHBOARD, state.secrets["airflow_dashboard"])


def environment(state: State, dags: Path) -> dict[str, str]:
    """Airflow's settings. Each pair of section and option is documented in Airflow's configuration reference."""
    home = state.plain(state.folder / "airflow")
    settings = {
        ("core", "dags_folder"): str(state.plain(dags)),
        ("core", "executor"): "LocalExecutor",
        ("core", "parallelism"): "4",
        ("core", "load_examples"): "False",
        ("core", "dags_are_paused_at_creation"): "False",
        ("core", "execution_api_server_url"): f"{base_url(state)}/execution/",
        ("core", "simple_auth_manager_users"): f"{state.settings.airflow_user}:admin,{DASHBOARD}:viewer",
        ("core", "simple_auth_manager_passwords_file"): str(state.plain(_password_file(state))),
        # libpq takes the password from a file, so this address contains none.
        ("database", "sql_alchemy_conn"): f"postgresql+psycopg://{postgres.AIRFLOW}@127.0.0.1:"
        f"{state.ports['pgport']}/{postgres.AIRFLOW}?passfile={state.plain(postgres.airflow_password_file(state))}",
        ("api", "base_url"): base_url(state),
        ("api", "port"): str(state.ports["airflow_port"]),
        ("dag_processor", "refresh_interval"): "10",
        # A changed file is read at once; the others need not be read every half minute.
        ("dag_processor", "min_file_process_interval"): "600",
        ("logging", "base_log_folder"): str(state.plain(state.logs / "airflow-tasks")),
        ("usage_data_collection", "enabled"): "False",
        ("scheduler", "enable_health_check"): "False",
        # Tasks inherit these variables, so the keys are in files.
        **{
            (section, f"{option}_cmd"): f"cat {state.plain(_key_file(state, name))}"
            for (section, option), name in KEYS.items()
        },
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{option.upper()}": value for (section, option), value in settings.items()
    }
    return {"AIRFLOW_HOME": str(home), **variables}


def _password_file(state: State) -> Path:
    return state.folder / "airflow" / "passwords.json"


def _key_file(state: State, name: str) -> Path:
    return state.folder / "airflow" / name
