"""Runs the four DAGs through Airflow, wherever it runs, and reports the results."""

from martline.demo.report import report
from martline.demo.run import Step, run_demo

__all__ = ["Step", "report", "run_demo"]
