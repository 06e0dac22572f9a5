"""A client for the parts of Airflow's REST API (version 2) that the platform uses."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from martline.command import Failure
from martline.command.terminal import console

FINISHED = ("success", "failed")
PASSING_STATUSES = (500, 502, 503, 504)
"""Status codes of Airflow while its database restarts, and of a proxy while Airflow restarts."""
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 1.0
COMMANDS_ERROR = re.compile(r"\d\d:\d\d:\d\d,\d{3} ERROR +(.+)")
"""A log line of the platform's commands in a task's log."""


@dataclass(frozen=True)
class AirflowLogin:
    """The address of Airflow's web server, and the login."""

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


@dataclass(frozen=True)
class Dag:
    """A DAG: its id, its name on Airflow's pages, and whether it is paused."""

    name: str
    title: str
    is_paused: bool


@dataclass(frozen=True)
class RunTimes:
    """A run of a DAG: its state and its times, which are None if it has not begun or not ended."""

    run: str
    state: str
    started_at: datetime | None
    seconds: float | None


class AirflowClient:
    """A logged-in client; use it as a context manager.

    If Airflow does not answer within ``timeout`` seconds, or answers that it can't for now, requests are repeated
    for ``patience`` seconds. ``require_servers`` is called meanwhile; it raises if waiting has become pointless.
    """

    def __init__(
        self,
        login: AirflowLogin,
        require_servers: Callable[[], None] = lambda: None,
        patience: float = PATIENCE_SECONDS,
        timeout: float = 30,
    ) -> None:
        self.url = login.url
        self._require_servers = require_servers
        self._patience = patience
        # Airflow is on this machine or forwarded to it, so the environment's proxy must not be used.
        self._http = httpx.Client(base_url=login.url, timeout=timeout, trust_env=False)
        credentials = {"username": login.user, "password": login.password}
        token = self._send("POST", "/auth/token", json=credentials)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait_for_dags(self, names: set[str], seconds: float = 60) -> None:
        """Wait until Airflow knows the DAGs; fail with the name of a DAG file that can't be imported."""
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
                raise Failure(
                    f"Airflow has not found the DAGs {', '.join(sorted(names - known))}:"
                    " see the log of its DAG processor"
                )
            time.sleep(0.3)

    def import_pools(self, pools: Mapping[str, Mapping[str, Any]]) -> None:
        """Create the missing pools, from the file format of ``airflow pools import``."""
        known = {pool["name"] for pool in self._get("/pools", limit=100)["pools"]}
        for name in pools.keys() - known:
            self._make("/api/v2/pools", {"name": name, **pools[name]})

    def dags(self, most: int) -> list[Dag]:
        """The DAGs, sorted by name."""
        found = self._get("/dags", limit=most, order_by="dag_id")["dags"]
        return [Dag(dag["dag_id"], dag["dag_display_name"], dag["is_paused"]) for dag in found]

    def last_runs(self, dag: str, most: int) -> list[RunTimes]:
        """The last runs of a DAG, newest first."""
        found = self._get(f"/dags/{dag}/dagRuns", limit=most, order_by="-run_after")["dag_runs"]
        return [
            RunTimes(
                run["dag_run_id"],
                run["state"],
                datetime.fromisoformat(run["start_date"]) if run["start_date"] else None,
                _seconds(run),
            )
            for run in found
        ]

    def runs(self, dag: str) -> dict[str, str]:
        """The state of each run of a DAG, by its id."""
        return {
            run["dag_run_id"]: run["state"] for run in self._get(f"/dags/{dag}/dagRuns", limit=100)["dag_runs"]
        }

    def trigger(self, run: DagRun, parameters: Mapping[str, Any]) -> None:
        """Start a run; an existing run with this name continues."""
        body = {"dag_run_id": run.run, "logical_date": None, "conf": dict(parameters)}
        self._make(f"/api/v2/dags/{run.dag}/dagRuns", body)

    def state(self, run: DagRun) -> str:
        """The state of a run."""
        return str(self._get(f"/dags/{run.dag}/dagRuns/{run.run}")["state"])

    def find(self, run: DagRun) -> str | None:
        """The state of a run, or None if there is none."""
        response = self._answer("GET", f"/api/v2/dags/{run.dag}/dagRuns/{run.run}", accepted=(404,))
        return None if response.status_code == 404 else str(response.json()["state"])

    def is_paused(self, dag: str) -> bool:
        """Whether the DAG is paused, so that its runs do not progress."""
        return bool(self._get(f"/dags/{dag}")["is_paused"])

    def parameters(self, dag: str) -> dict[str, Any]:
        """The default values of a DAG's parameters."""
        shown = self._get(f"/dags/{dag}/details")["params"]
        return {name: parameter["value"] for name, parameter in shown.items()}

    def pause(self, dag: str, *, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._answer("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": paused})

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
        """Why a try failed: the last error that its command has logged, or else Airflow's last error, or None."""
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
        """The rendered templates of each task of a run, as the web interface shows them."""
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

    def _make(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object whose name is in the body; a conflict means that it already exists."""
        self._answer("POST", path, accepted=(409,), json=body)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        response = self._answer(method, path, **options)
        try:
            return response.json()
        except ValueError as error:
            raise Failure(
                f"{self.url} does not answer {method} {path} as Airflow does: check what runs there"
            ) from error

    def _answer(
        self, method: str, path: str, *, accepted: tuple[int, ...] = (), **options: Any
    ) -> httpx.Response:
        """The answer, with a good status or one of ``accepted``; waits for passing errors to pass."""
        deadline = time.monotonic() + self._patience
        is_told = False
        while True:
            try:
                response = self._http.request(method, path, **options)
                if response.is_success or response.status_code in accepted:
                    return response
                cause = f"Airflow answers {response.status_code} to {method} {path}"
                passing = response.status_code in PASSING_STATUSES
            except httpx.HTTPError as error:
                cause = f"Airflow does not answer {method} {path}: {error or type(error).__name__}"
                passing = isinstance(error, httpx.TransportError)
            if not passing:
                raise Failure(cause)
            self._require_servers()
            if not self._patience:
                raise Failure(f"{cause}: see the log of its API server")
            if time.monotonic() > deadline:
                raise Failure(
                    f"{cause}; this has lasted for {self._patience:.0f} s: see the log of its API server"
                )
            if not is_told:
                console.print(f"  {cause}; trying again for {self._patience:.0f} s", markup=False, style="yellow")
                is_told = True
            time.sleep(PAUSE_SECONDS)


def _seconds(lasted: Mapping[str, Any]) -> float | None:
    """The seconds from the start to the end of a task or run."""
    start, end = lasted["start_date"], lasted["end_date"]
    if not (start and end):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
