"""The demo: the four DAGs through the running scheduler."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from command import Failure
from demo.airflow_client import FINISHED, AirflowClient, DagRun, Task
from demo.terminal import console

DAGS = ("shop_generate", "shop_events", "replicate", "build_marts")
POLL_SECONDS = 0.5
SEED = 1
STATE_COLOURS = {"success": "green", "failed": "red", "up_for_retry": "yellow", "running": "blue"}


@dataclass(frozen=True)
class Sizes:
    """What the DAGs generate and send at scale 1."""

    users: int = 500
    products: int = 800
    orders: int = 3000
    reviews: int = 2000
    loyalty: int = 3000
    user_events: int = 200
    review_events: int = 200


@dataclass(frozen=True)
class Step:
    """A finished task and the result it left."""

    run: DagRun
    task: Task
    result: dict[str, object]


def run_demo(
    airflow: AirflowClient, sizes: Sizes, scale: int, require_servers: Callable[[], None] = lambda: None
) -> list[Step]:
    """Run what has not run yet at this scale, show it, and return every task's result in order.

    ``require_servers`` is called while tasks run; it raises when waiting has become pointless.
    """
    return _Demo(airflow, require_servers).run(sizes, scale)


class _Demo:
    """Runs the DAGs, follows them, and shows each task's change of state."""

    def __init__(self, airflow: AirflowClient, require_servers: Callable[[], None]) -> None:
        self._airflow = airflow
        self._require_servers = require_servers
        self._seen: set[tuple[DagRun, Task]] = set()

    def run(self, sizes: Sizes, scale: int) -> list[Step]:
        self._airflow.wait_for_dags(set(DAGS))
        generate = self._finish_named("shop_generate", scale, _rows(sizes, scale))
        events = self._finish_named("shop_events", scale, _events(sizes, scale))
        runs = [generate, events]
        for run in runs:  # grows while it is walked: each run may have started others
            runs += [started for started in self._await_started(run) if started not in runs]
        return [step for run in runs for step in self._steps(run)]

    def _finish_named(self, dag: str, scale: int, parameters: dict[str, int]) -> DagRun:
        """Finish the demo's own run of a DAG: a new one, one that runs already, or one that is done."""
        runs = self._airflow.runs(dag)
        name = f"demo-{scale}"
        attempt = 1
        while runs.get(name) == "failed":
            attempt += 1
            name = f"demo-{scale}-{attempt}"
        run = DagRun(dag, name)
        if name not in runs:
            self._airflow.trigger(run, parameters)
        self._finish(run)
        return run

    def _finish(self, run: DagRun) -> None:
        while True:
            for task in self._airflow.tasks(run):
                if task.state and (run, task) not in self._seen:
                    self._seen.add((run, task))
                    self._show(run, task)
            state = self._airflow.state(run)
            if state in FINISHED:
                break
            self._require_servers()
            time.sleep(POLL_SECONDS)
        if state == "failed":
            failed = next(task for task in self._airflow.tasks(run) if task.state == "failed")
            raise Failure(f"The task {run.dag}.{failed.name} failed: {self._cause(run, failed)}")

    def _show(self, run: DagRun, task: Task) -> None:
        state = task.state or ""
        took = "" if task.seconds is None else f" [dim]{task.seconds:.1f} s[/]"
        console.print(f"  {run.dag}: {task.name} [{STATE_COLOURS.get(state, 'dim')}]{state}[/]{took}")
        if state == "up_for_retry":
            console.print(f"    {self._cause(run, task)}", markup=False, style="yellow")

    def _cause(self, run: DagRun, task: Task) -> str:
        return self._airflow.last_error(run, task) or "its log says why"

    def _await_started(self, run: DagRun) -> list[DagRun]:
        """The runs that this one's asset event starts, finished; the scheduler makes them within seconds."""
        if run.dag == "build_marts":
            return []
        while not (started := self._airflow.started_by(run)):
            self._require_servers()
            time.sleep(POLL_SECONDS)
        for next_run in started:
            self._finish(next_run)
        return started

    def _steps(self, run: DagRun) -> list[Step]:
        return [Step(run, task, self._airflow.result(run, task.name)) for task in self._airflow.tasks(run)]


def _rows(sizes: Sizes, scale: int) -> dict[str, int]:
    return {
        "users": sizes.users * scale,
        "products": sizes.products * scale,
        "orders": sizes.orders * scale,
        "reviews": sizes.reviews * scale,
        "loyalty": sizes.loyalty * scale,
        "seed": SEED * scale,
    }


def _events(sizes: Sizes, scale: int) -> dict[str, int]:
    return {"users": sizes.user_events * scale, "reviews": sizes.review_events * scale, "seed": SEED * scale}
