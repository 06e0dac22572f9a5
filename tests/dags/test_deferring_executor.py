"""The executor of the cluster's Airflow, with its real queues and processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "images" / "airflow"
PROGRAM = """
import time

from airflow.executors.base_executor import BaseExecutor
from {module} import {name}


class Process:
    key, running_state, success_state, failure_state = ("dag", "task"), None, "success", "failed"
    display_name = "a task"

    def __init__(self, seconds):
        self.seconds = seconds

    def start(self):
        executor.queued_tasks[self.key] = self
        executor._process_workloads([self])


BaseExecutor.run_workload = staticmethod(lambda process, **_: time.sleep(process.seconds))
executor = {name}(parallelism=2)
executor.start()
try:
    Process(seconds=0).start()
    while executor.result_queue.empty():  # the first one has ended, and the scheduler has not heard of it
        time.sleep(0.1)
    Process(seconds=3).start()
    executor.sync()
    print("early", executor.get_event_buffer())
finally:
    executor.end()
print("late", executor.get_event_buffer())
"""


def run_twice(module: str, name: str, home: Path) -> str:
    """Give a try of a task two processes, of which the first has ended when the second begins."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module, name=name)],
        env={"PYTHONPATH": str(FOLDER), "AIRFLOW_HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("module", "name", "early"),
    [
        ("deferring_executor", "DeferringExecutor", "{}"),
        # The fault of Airflow's own executor. Once this case fails, that executor can be used again.
        ("airflow.executors.local_executor", "LocalExecutor", "{('dag', 'task'): ('success', None)}"),
    ],
)
def test_the_end_of_a_deferred_process_is_not_that_of_the_task_that_runs_again(
    module: str, name: str, early: str, tmp_path: Path
) -> None:
    output = run_twice(module, name, tmp_path)
    assert f"early {early}" in output
    assert "late {('dag', 'task'): ('success', None)}" in output
