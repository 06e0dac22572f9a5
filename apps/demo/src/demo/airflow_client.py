"""What the demo asks of Airflow's REST API (version 2)."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from command import Failure

FINISHED = ("success", "failed")
COMMANDS_ERROR = re.compile(r"\d\d:\d\d:\d\d,\d{3} ERROR +(.+)")
"""In a task's log, a line of the platform's commands."""


@dataclass(frozen=True)
class AirflowLogin:
    """Where Airflow's web server is and who asks."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, order=True)
class DagRun:
    """One run of a DAG."""

    dag: str
    run: str


@dataclass(frozen=True)
class Task:
    """A task of a run: its state, its result and the seconds it took."""

    name: str
    state: str | None
    try_number: int
    seconds: float | None


class AirflowClient:
    """A logged-in client; use it as a context manager."""

    def __init__(self, login: AirflowLogin) -> None:
        self._http = httpx.Client(base_url=login.url, timeout=30)
        credentials = {"username": login.user, "password": login.password}
        token = self._send("POST", "/auth/token", json=credentials)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def wait_for_dags(self, names: set[str], seconds: float = 60) -> None:
        """Wait until Airflow knows the DAGs; a DAG file that can't be imported is named."""
        deadline = time.monotonic() + seconds
        while True:
            known = {dag["dag_id"] for dag in self._get("/dags", limit=100)["dags"]}
            if names <= known:
                return
            errors = self._get("/importErrors")["import_errors"]
            if errors:
                cause = errors[0]["stack_trace"].strip().splitlines()[-1]
                raise Failure(f"Airflow can't read {errors[0]['filename']}: {cause}")
            if time.monotonic() > deadline:
                raise Failure(f"Airflow has not found the DAGs {', '.join(sorted(names - known))}")
            time.sleep(0.3)

    def import_pools(self, pools: Mapping[str, Mapping[str, Any]]) -> None:
        """Make the pools that are not there, from what ``airflow pools import`` would read."""
        known = {pool["name"] for pool in self._get("/pools", limit=100)["pools"]}
        for name in pools.keys() - known:
            self._send("POST", "/api/v2/pools", json={"name": name, **pools[name]})

    def runs(self, dag: str) -> dict[str, str]:
        """The state of each run of a DAG, by its id."""
        return {
            run["dag_run_id"]: run["state"] for run in self._get(f"/dags/{dag}/dagRuns", limit=100)["dag_runs"]
        }

    def trigger(self, run: DagRun, parameters: Mapping[str, Any]) -> None:
        """Start a run."""
        body = {"dag_run_id": run.run, "logical_date": None, "conf": dict(parameters)}
        self._send("POST", f"/api/v2/dags/{run.dag}/dagRuns", json=body)

    def state(self, run: DagRun) -> str:
        """The state of a run."""
        return str(self._get(f"/dags/{run.dag}/dagRuns/{run.run}")["state"])

    def tasks(self, run: DagRun) -> list[Task]:
        """The tasks of a run, in the order they started."""
        instances = self._get(f"/dags/{run.dag}/dagRuns/{run.run}/taskInstances")["task_instances"]
        ordered = sorted(instances, key=lambda task: task["start_date"] or "9")
        return [Task(task["task_id"], task["state"], task["try_number"], _seconds(task)) for task in ordered]

    def result(self, run: DagRun, task: str) -> dict[str, Any]:
        """What a task's command printed as its result."""
        path = f"/dags/{run.dag}/dagRuns/{run.run}/taskInstances/{task}/xcomEntries/return_value"
        return dict(self._get(path, deserialize=True)["value"])

    def last_error(self, run: DagRun, task: Task) -> str | None:
        """Why a try failed: the last error that its command has logged, else that of Airflow, or None."""
        path = f"/dags/{run.dag}/dagRuns/{run.run}/taskInstances/{task.name}/logs/{task.try_number}"
        try:
            lines = self._get(path, full_content=True)["content"]
        except Failure:  # a task that never started has no log
            return None
        errors = [found[1] for line in lines if (found := COMMANDS_ERROR.search(str(line["event"])))]
        exceptions = [detail for line in lines for detail in line.get("error_detail") or []]
        errors = errors or [f"{detail['exc_type']}: {detail['exc_value']}" for detail in exceptions]
        return errors[-1] if errors else None

    def rendered_fields(self, run: DagRun) -> list[dict[str, Any]]:
        """What the templates of each task of a run became, as the web interface shows it."""
        tasks = self._get(f"/dags/{run.dag}/dagRuns/{run.run}/taskInstances")["task_instances"]
        return [task["rendered_fields"] for task in tasks]

    def started_by(self, run: DagRun) -> list[DagRun]:
        """The runs that a run's asset events have started."""
        events = self._get("/assets/events", source_dag_id=run.dag, source_run_id=run.run, limit=100)[
            "asset_events"
        ]
        return sorted(
            {DagRun(made["dag_id"], made["run_id"]) for event in events for made in event["created_dagruns"]}
        )

    def _get(self, path: str, **query: Any) -> Any:
        return self._send("GET", f"/api/v2{path}", params=query)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            return self._http.request(method, path, **options).raise_for_status().json()
        except httpx.HTTPStatusError as error:
            raise Failure(f"Airflow answers {error.response.status_code} to {method} {path}") from error
        except httpx.HTTPError as error:
            raise Failure(f"Airflow does not answer {method} {path}: {error or type(error).__name__}") from error


def _seconds(task: Mapping[str, Any]) -> float | None:
    if not (task["start_date"] and task["end_date"]):
        return None
    return (datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])).total_seconds()
