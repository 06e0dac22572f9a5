"""An Airflow API server for one test, on SQLite. It reports the runs that the test writes to its database."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from tests.dashboard import wait_for
from tests.ports import free_port

from martline.airflow_client import AirflowClient, AirflowLogin, DagRun

PROGRAM = str(Path(sys.executable).with_name("airflow"))
DAGS = """
from airflow.sdk import DAG
with DAG("good"):
    pass
with DAG("hostile", dag_display_name="<b>DAG</b>", is_paused_upon_creation=True):
    pass
"""


class AirflowServer:
    """The server, its users, and its DAGs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        port = free_port()
        self.admin = AirflowLogin(f"http://127.0.0.1:{port}", "admin", "an-admin's-password")
        self.settings = {
            "AIRFLOW_URL": self.admin.url,
            "AIRFLOW_USER": "dashboard",
            "AIRFLOW_PASSWORD": "a-dashboard's-password",
        }
        passwords = {"admin": self.admin.password, "dashboard": self.settings["AIRFLOW_PASSWORD"]}
        (folder / "passwords.json").write_text(json.dumps(passwords))
        (folder / "dags").mkdir()
        (folder / "dags" / "dags.py").write_text(DAGS)
        self._command = [PROGRAM, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self._environment = inherited | {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,dashboard:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server. The first start creates its database and DAGs."""
        if not (self._folder / "airflow.db").exists():
            for command in (("db", "migrate"), ("dags", "reserialize")):
                run = subprocess.run(
                    [PROGRAM, *command], env=self._environment, capture_output=True, text=True, timeout=400
                )
                assert run.returncode == 0, run.stdout + run.stderr
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self._answers)

    def kill(self) -> None:
        """Send SIGKILL to the server and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None

    def write_runs(self, dag: str, runs: Sequence[tuple[str, float]]) -> None:
        """Give a DAG these runs, each with its state and seconds, the last one first."""
        now = datetime.now(UTC).replace(tzinfo=None)
        for number, (state, seconds) in enumerate(runs):
            with AirflowClient(self.admin) as client:
                client.trigger(DagRun(dag, f"run-{number}"), {})
            start = now - timedelta(hours=number + 1)
            with sqlite3.connect(self._folder / "airflow.db", timeout=60) as database:
                database.execute(
                    "UPDATE dag_run SET state = ?, start_date = ?, end_date = ?, run_after = ?"
                    " WHERE dag_id = ? AND run_id = ?",
                    (state, *map(str, (start, start + timedelta(seconds=seconds), start)), dag, f"run-{number}"),
                )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "server.log").read_text()
        try:
            return httpx.get(f"{self.admin.url}/api/v2/version", trust_env=False).is_success
        except httpx.TransportError:
            return False
