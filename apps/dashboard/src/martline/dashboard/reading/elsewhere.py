"""The servers besides MySQL. Each is asked if the environment contains its address."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from martline.airflow_client import AirflowLogin
from martline.command import WrongSettings
from martline.dashboard.reading.airflow import AirflowReader, DagRuns
from martline.dashboard.reading.kafka import KafkaReader, Topic
from martline.dashboard.reading.postgres import PostgresReader, PostgresState
from martline.dashboard.reading.source import Source, Told
from pg_to_mysql.command_line.environment import source_from_environment

PAUSE_SECONDS = 2.0
AIRFLOW_PAUSE_SECONDS = 10.0
"""The pause between two readings, because each DAG's query costs Airflow processor time."""


@dataclass(frozen=True)
class Elsewhere:
    """The last answers of the servers besides MySQL; None for a server without an address."""

    postgres: Told[PostgresState] | None = None
    kafka: Told[dict[str, Topic]] | None = None
    airflow: Told[list[DagRuns]] | None = None

    def all(self) -> dict[str, Told[Any]]:
        """The answers of the servers that have an address, by name."""
        named = {"PostgreSQL": self.postgres, "Kafka": self.kafka, "Airflow": self.airflow}
        return {name: told for name, told in named.items() if told is not None}


class Sources:
    """The servers that are asked.

    PostgreSQL's address is in libpq's variables, and counts if ``PGDATABASE`` is set. Kafka's is in
    ``KAFKA_BOOTSTRAP_SERVERS``, with ``KAFKA_TOPIC_PREFIX``. Airflow's is in ``AIRFLOW_URL``, with
    ``AIRFLOW_USER`` and ``AIRFLOW_PASSWORD`` or ``AIRFLOW_PASSWORD_FILE``.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._postgres: Source[PostgresState] | None = None
        self._kafka: Source[dict[str, Topic]] | None = None
        self._airflow: Source[list[DagRuns]] | None = None
        if environment.get("PGDATABASE"):
            source = source_from_environment(environment)
            self._postgres = Source("PostgreSQL", PostgresReader(source), PAUSE_SECONDS)
        if servers := environment.get("KAFKA_BOOTSTRAP_SERVERS"):
            reader = KafkaReader(servers, environment.get("KAFKA_TOPIC_PREFIX", ""))
            self._kafka = Source("Kafka", reader, PAUSE_SECONDS)
        if environment.get("AIRFLOW_URL"):
            self._airflow = Source("Airflow", AirflowReader(airflow_login(environment)), AIRFLOW_PAUSE_SECONDS)

    def start(self) -> None:
        """Start to ask each server in its own thread."""
        for source in self._set():
            source.start()

    def stop(self) -> None:
        """End the threads soon."""
        for source in self._set():
            source.stop()

    def told(self) -> Elsewhere:
        """The servers' last answers."""
        return Elsewhere(
            self._postgres.told if self._postgres else None,
            self._kafka.told if self._kafka else None,
            self._airflow.told if self._airflow else None,
        )

    def _set(self) -> list[Source[Any]]:
        return [source for source in (self._postgres, self._kafka, self._airflow) if source is not None]


def airflow_login(environment: Mapping[str, str]) -> AirflowLogin:
    """Airflow's address, the user and the password.

    :raises WrongSettings: the user or the password is missing, or the file can't be read.
    """
    user, password = environment.get("AIRFLOW_USER"), environment.get("AIRFLOW_PASSWORD")
    file = environment.get("AIRFLOW_PASSWORD_FILE")
    if file:
        try:
            password = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongSettings(f"AIRFLOW_PASSWORD_FILE is {file!r}: no file there can be read") from error
    if not user or not password:
        raise WrongSettings(
            "AIRFLOW_URL is set without a login: set AIRFLOW_USER, and AIRFLOW_PASSWORD or AIRFLOW_PASSWORD_FILE"
        )
    return AirflowLogin(environment["AIRFLOW_URL"].rstrip("/"), user, password)
