"""Airflow's LocalExecutor, for tasks that defer and are soon taken up again."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from airflow.executors.local_executor import LocalExecutor

ENDED = ("success", "failed")


class DeferringExecutor(LocalExecutor):
    """Keeps to itself that a task's process has ended once the same try has another one.

    A process ends when its task defers, and the scheduler hears of it some seconds later. If the task runs again
    by then, it would take that for the end of the task, and fail it (issues 67287 and 72716 of Airflow).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._processes: Counter[Any] = Counter()

    def _process_workloads(self, workload_list: Sequence[Any]) -> None:
        self._processes.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)

    def change_state(self, key: Any, state: Any, info: Any = None, remove_running: bool = True) -> None:
        """Note a process's state for the scheduler, unless it is the end of one that has a successor."""
        if state in ENDED:
            self._processes[key] -= 1
            if self._processes[key] > 0:
                self.log.info("%s was deferred and runs again", key)
                return
            del self._processes[key]
        super().change_state(key, state, info, remove_running)
