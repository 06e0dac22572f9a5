"""The demo: the four DAGs through the running scheduler."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from command import Failure
from embedded.airflow_client import FINISHED, AirflowClient, DagRun, Task
from embedded.settings import Settings

DAGS = ("shop_generate", "shop_events", "replicate", "build_marts")
POLL_SECONDS = 0.5
SEED = 1


@dataclass(frozen=True)
class Step:
    """A finished task and the result it left."""

    run: DagRun
    task: Task
    result: dict[str, object]


class Demo:
    """Runs the DAGs and follows them; ``watch`` is called with each task's change of state."""

    def __init__(
        self,
        airflow: AirflowClient,
        watch: Callable[[DagRun, Task], None],
        require_servers: Callable[[], None],
    ) -> None:
        self._airflow = airflow
        self._watch = watch
        self._require_servers = require_servers
        self._seen: set[tuple[DagRun, Task]] = set()

    def run(self, settings: Settings, scale: int) -> list[Step]:
        """Run what has not run yet at this scale, and return every task's result in order."""
        self._airflow.wait_for_dags(set(DAGS))
        generate = self._finish_named("shop_generate", scale, _sizes(settings, scale))
        events = self._finish_named("shop_events", scale, _events(settings, scale))
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
                    self._watch(run, task)
            state = self._airflow.state(run)
            if state in FINISHED:
                break
            self._require_servers()
            time.sleep(POLL_SECONDS)
        if state == "failed":
            failed = [task.name for task in self._airflow.tasks(run) if task.state == "failed"]
            raise Failure(f"The task {run.dag}.{failed[0]} failed")

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


def _sizes(settings: Settings, scale: int) -> dict[str, int]:
    return {
        "users": settings.shop_users * scale,
        "products": settings.shop_products * scale,
        "orders": settings.shop_orders * scale,
        "reviews": settings.shop_reviews * scale,
        "loyalty": settings.shop_loyalty * scale,
        "seed": SEED * scale,
    }


def _events(settings: Settings, scale: int) -> dict[str, int]:
    return {
        "users": settings.shop_user_events * scale,
        "reviews": settings.shop_review_events * scale,
        "seed": SEED * scale,
    }
