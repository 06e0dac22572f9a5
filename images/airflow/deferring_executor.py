"""Airflow's LocalExecutor, for tasks that defer and soon resume."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from airflow.executors.local_executor import LocalExecutor

ENDED = ("success", "failed")


class DeferringExecutor(LocalExecutor):
    """Does not report that a task's process has ended if the same try already has another process.

    A process ends when its task defers, and the scheduler learns of it some seconds later. If the task runs again
    by then, the scheduler would take that for the task's end, and fail it (issues 67287 and 72716 of Airflow).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._processes: Counter[Any] = Counter()

    def _process_workloads(self, workload_list: Sequence[Any]) -> None:
        self._processes.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)

    def change_state(self, key: Any, state: Any, info: Any = None, remove_running: bool = True) -> None:
        """Report a process's state to the scheduler, unless the process has ended and has a successor."""
        if state in ENDED:
            self._processes[key] -= 1
            if self._processes[key] > 0:
                self.log.info("%s was deferred and runs again", key)
                return
            del self._processes[key]
        super().change_state(key, state, info, remove_running)
