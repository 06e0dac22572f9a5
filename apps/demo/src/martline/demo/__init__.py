"""The four DAGs through a running Airflow, wherever it runs, and the report of what they made."""

from martline.demo.report import report
from martline.demo.run import Step, run_demo

__all__ = ["Step", "report", "run_demo"]
