"""The demo: runs the four DAGs through Airflow's scheduler."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from martline.airflow_client import FINISHED, AirflowClient, DagRun, Task
from martline.command import Failure
from martline.command.terminal import console

DAGS = ("shop_generate", "shop_events", "replicate", "build_marts")
NEXT = {"shop_events": "replicate", "replicate": "build_marts"}
"""Which DAG each DAG's asset starts, among those that the demo waits for."""
POLL_SECONDS = 0.5
SECONDS_TO_START = 120
"""How long to wait for the scheduler to start a run for an asset; it takes a few seconds, if it does so at all.
"""
SECONDS_WITHOUT_A_WORD = 15
SEED = 1
STATE_COLOURS = {"success": "green", "failed": "red", "up_for_retry": "yellow", "running": "blue"}


@dataclass(frozen=True)
class Step:
    """A finished task and its result."""

    run: DagRun
    task: Task
    result: dict[str, object]


def run_demo(
    airflow: AirflowClient, scale: int, require_servers: Callable[[], None] = lambda: None
) -> list[Step]:
    """Run what has not run yet at this scale, show it, and return every task's result in order.

    ``require_servers`` is called while tasks run; it raises if waiting has become pointless.
    """
    return _Demo(airflow, require_servers).run(scale)


class _Demo:
    """Runs the DAGs, follows them, and shows each task's change of state."""

    def __init__(self, airflow: AirflowClient, require_servers: Callable[[], None]) -> None:
        self._airflow = airflow
        self._require_servers = require_servers
        self._seen: set[tuple[DagRun, Task]] = set()

    def run(self, scale: int) -> list[Step]:
        self._airflow.wait_for_dags(set(DAGS))
        # The replication after the events brings all rows. An earlier one would cause the marts to be built
        # twice.
        with self._held("replicate"):
            generate = self._finish_named("shop_generate", scale)
        runs = [generate, self._finish_named("shop_events", scale)]
        for run in runs:  # the list grows during the loop, because each run may have started others
            runs += [started for started in self._await_started(run) if started not in runs]
        return [step for run in runs for step in self._steps(run)]

    @contextmanager
    def _held(self, dag: str) -> Iterator[None]:
        """Keep Airflow from starting a DAG in this block; a DAG that was paused stays paused."""
        if self._airflow.is_paused(dag):
            yield
            return
        self._airflow.pause(dag, paused=True)
        try:
            yield
        finally:
            self._airflow.pause(dag, paused=False)

    def _finish_named(self, dag: str, scale: int) -> DagRun:
        """Bring the demo's own run of a DAG to its end: a new run, a running one, or one that is done."""
        run, state = self._attempt(dag, f"demo-{scale}")
        if state is None:
            self._airflow.trigger(run, self._scaled(dag, scale))
        self._finish(run)
        return run

    def _scaled(self, dag: str, scale: int) -> dict[str, int]:
        """The DAG's default sizes, multiplied by the scale, and the demo's own seed."""
        sizes = {name: value for name, value in self._airflow.parameters(dag).items() if name != "seed"}
        return {**{name: value * scale for name, value in sizes.items()}, "seed": SEED * scale}

    def _attempt(self, dag: str, name: str) -> tuple[DagRun, str | None]:
        """The first run by this name, or it and a number, that has not failed; and its state if it exists."""
        run = DagRun(dag, name)
        attempt = 1
        while (state := self._airflow.find(run)) == "failed":
            attempt += 1
            run = DagRun(dag, f"{name}-{attempt}")
        return run, state

    def _finish(self, run: DagRun) -> None:
        waiting = _Waiting()
        while True:
            tasks = self._airflow.tasks(run)
            for task in tasks:
                if task.state and (run, task) not in self._seen:
                    self._seen.add((run, task))
                    self._show(run, task)
                    waiting = _Waiting()
            state = self._airflow.state(run)
            if state in FINISHED:
                break
            self._require_progress(run.dag)
            waiting.tell(f"{run.dag} is {state}: {_unfinished(tasks)}")
            time.sleep(POLL_SECONDS)
        if state == "failed":
            failed = [task for task in self._airflow.tasks(run) if task.state == "failed"]
            if not failed:  # somebody has marked the run as failed
                raise Failure(f"The run {run.run} of {run.dag} failed: see {self._airflow.url}")
            raise Failure(f"The task {run.dag}.{failed[0].name} failed: {self._cause(run, failed[0])}")

    def _require_progress(self, dag: str) -> None:
        """Raise :class:`Failure` if waiting for a run of this DAG is pointless."""
        self._require_servers()
        if self._airflow.is_paused(dag):
            raise Failure(
                f"The DAG {dag} is paused, and the demo waits for it: unpause it in "
                f"{self._airflow.url}/dags/{dag}, and run the demo again, which continues from there"
            )

    def _show(self, run: DagRun, task: Task) -> None:
        state = task.state or ""
        took = "" if task.seconds is None else f" [dim]{task.seconds:.1f} s[/]"
        console.print(f"  {run.dag}: {task.name} [{STATE_COLOURS.get(state, 'dim')}]{state}[/]{took}")
        if state == "up_for_retry":
            console.print(f"    {self._cause(run, task)}", markup=False, style="yellow")

    def _cause(self, run: DagRun, task: Task) -> str:
        return self._airflow.last_error(run, task) or "its log says why"

    def _await_started(self, run: DagRun) -> list[DagRun]:
        """Wait for the runs that this run's asset event starts, and return them."""
        if run.dag not in NEXT:
            return []
        started = self._started(run)
        for next_run in started:
            self._finish(next_run)
        return started

    def _started(self, run: DagRun) -> list[DagRun]:
        """The run that the scheduler has started for the run's asset, within seconds.

        The scheduler starts nothing for an event that came while the next DAG was paused, and does not repeat a
        failed run. In these cases the demo starts the run.
        """
        dag = NEXT[run.dag]
        deadline = time.monotonic() + SECONDS_TO_START
        waiting = _Waiting(SECONDS_TO_START / 5)
        while True:
            started = self._airflow.started_by(run)
            if good := [next_run for next_run in started if self._airflow.find(next_run) != "failed"]:
                return good
            ours, state = self._attempt(dag, f"after-{run.dag}-{run.run}")
            if state:
                return [ours]
            self._require_progress(dag)
            if started or time.monotonic() > deadline:
                console.print(
                    f"  {dag} {'has failed' if started else 'was not started'} after {run.dag}: starting it"
                )
                self._airflow.trigger(ours, {})
                return [ours]
            waiting.tell(f"Airflow is to start {dag} after {run.dag}")
            time.sleep(POLL_SECONDS)

    def _steps(self, run: DagRun) -> list[Step]:
        return [Step(run, task, self._airflow.result(run, task.name)) for task in self._airflow.tasks(run)]


class _Waiting:
    """Logs what is waited for when nothing has happened for a while, and then less and less often."""

    def __init__(self, seconds: float = SECONDS_WITHOUT_A_WORD) -> None:
        self._began = time.monotonic()
        self._next_word = seconds

    def tell(self, what: str) -> None:
        waited = time.monotonic() - self._began
        if waited > self._next_word:
            console.print(f"  waiting for {waited:.0f} s: {what}", markup=False, style="dim")
            self._next_word *= 2


def _unfinished(tasks: Sequence[Task]) -> str:
    states = [f"{task.name} is {task.state or 'not scheduled yet'}" for task in tasks if task.state != "success"]
    return ", ".join(states) or "its tasks are done"
