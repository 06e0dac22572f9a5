"""Airflow's REST API, as the platform's commands and the demo use it."""

from martline.airflow_client.client import FINISHED, AirflowClient, AirflowLogin, DagRun, Task

__all__ = ["FINISHED", "AirflowClient", "AirflowLogin", "DagRun", "Task"]
