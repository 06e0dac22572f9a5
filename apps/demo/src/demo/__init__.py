"""The four DAGs through a running Airflow, wherever it runs, and the report of what they made."""

from demo.airflow_client import FINISHED, AirflowClient, AirflowLogin, DagRun, Task
from demo.report import Login, print_logins, report
from demo.run import Sizes, Step, run_demo
from demo.terminal import console, results

__all__ = [
    "FINISHED",
    "AirflowClient",
    "AirflowLogin",
    "DagRun",
    "Login",
    "Sizes",
    "Step",
    "Task",
    "console",
    "print_logins",
    "report",
    "results",
    "run_demo",
]
