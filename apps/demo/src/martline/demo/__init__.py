"""The four DAGs through a running Airflow, wherever it runs, and the report of what they made."""

from martline.demo.airflow_client import FINISHED, AirflowClient, AirflowLogin, DagRun, Task
from martline.demo.report import Login, print_logins, report
from martline.demo.run import Sizes, Step, run_demo
from martline.demo.terminal import console, results

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
