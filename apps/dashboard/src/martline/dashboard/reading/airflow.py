"""Reads the last runs of each DAG from Airflow."""

from collections.abc import Sequence
from dataclasses import dataclass

from martline.airflow_client import AirflowClient, AirflowLogin, Dag, RunTimes
from martline.command import Failure

SECONDS = 10
"""The time that an answer may take."""
LAST_RUNS = 6
MOST_DAGS = 30


@dataclass(frozen=True)
class DagRuns:
    """A DAG and its last runs, the last one first."""

    dag: Dag
    runs: Sequence[RunTimes]


class AirflowReader:
    """Asks Airflow as a user who can only read. It logs in again when its login expires."""

    def __init__(self, login: AirflowLogin) -> None:
        self._login = login
        self._client: AirflowClient | None = None

    def read(self) -> list[DagRuns]:
        """The DAGs in the order of their names."""
        if self._client is not None:
            try:
                return self._read(self._client)
            except Failure:
                self.close()
        self._client = AirflowClient(self._login, patience=0, timeout=SECONDS)
        return self._read(self._client)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read(self, client: AirflowClient) -> list[DagRuns]:
        return [DagRuns(dag, client.last_runs(dag.name, LAST_RUNS)) for dag in client.dags(MOST_DAGS)]
