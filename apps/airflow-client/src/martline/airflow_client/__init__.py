"""Airflow's REST API, as the platform's commands and the demo use it."""

from martline.airflow_client.client import FINISHED, AirflowClient, AirflowLogin, Dag, DagRun, RunTimes, Task

__all__ = ["FINISHED", "AirflowClient", "AirflowLogin", "Dag", "DagRun", "RunTimes", "Task"]
