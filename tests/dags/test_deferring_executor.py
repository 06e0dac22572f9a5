"""The executor of the cluster's Airflow, with its real queues and processes."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "images" / "airflow"
PROGRAM = """
import sys, time, uuid
from types import SimpleNamespace

from airflow.executors.base_executor import BaseExecutor
from airflow.models.taskinstancekey import TaskInstanceKey
from {module} import {name}


def run_workload(workload, **_):
    time.sleep(workload.seconds)


def process(seconds):
    workload = Workload()
    workload.seconds = seconds
    executor.queued_tasks[KEY] = workload
    executor.trigger_tasks(open_slots=2)


class Workload:
    key, running_state, success_state, failure_state = ("dag", "task"), None, "success", "failed"
    display_name = "a task"


KEY = Workload.key
BaseExecutor.run_workload = staticmethod(run_workload)
executor = {name}(parallelism=2)
executor.start()
process(0)
time.sleep(1)  # the first process has ended, and nobody has looked
process(3)
executor.sync()
print("early", executor.get_event_buffer())
executor.end()
print("late", executor.get_event_buffer())
"""


def run_twice(module: str, name: str, home: Path) -> str:
    """Let a task's try have two processes, of which the first has ended when the second begins."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module, name=name)],
        env={"PYTHONPATH": str(FOLDER), "AIRFLOW_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("module", "name", "early"),
    [
        ("deferring_executor", "DeferringExecutor", "{}"),
        # What is mended: once this fails, Airflow's own will do.
        ("airflow.executors.local_executor", "LocalExecutor", "{('dag', 'task'): ('success', None)}"),
    ],
)
def test_the_end_of_a_deferred_process_is_not_that_of_the_task_that_runs_again(
    module: str, name: str, early: str, tmp_path: Path
) -> None:
    output = run_twice(module, name, tmp_path)
    assert f"early {early}" in output
    assert "late {('dag', 'task'): ('success', None)}" in output
