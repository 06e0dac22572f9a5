"""The platform: all servers of one state folder, started in the order of their dependencies."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from martline.airflow_client import AirflowClient
from martline.command import Failure
from martline.embedded import airflow, dashboard, kafka, mariadb, postgres, spark
from martline.embedded.artifacts import cache_folder, fetch_programs
from martline.embedded.environment import inherited
from martline.embedded.folder import Folder, state_folder
from martline.embedded.java import java_home
from martline.embedded.server import Server
from martline.embedded.settings import read_settings
from martline.embedded.state import make_folder, open_state, read_ports, require_disk
from martline.embedded.supervision import Supervisor

Report = Callable[[str, float], None]
"""Called with each server's name and the seconds until it was ready."""


class Platform:
    """The servers of one checkout (or of the folder in ``MARTLINE_HOME``)."""

    def __init__(self, checkout: Path) -> None:
        folder = make_folder(state_folder(checkout))
        self._checkout = checkout
        self._settings = read_settings(checkout / ".env")
        with Folder(folder).locked():
            self.state = open_state(folder, self._settings, about_to_start=False)
        self.supervisor = Supervisor(self.state)

    def up(self, report: Report, *, with_airflow: bool = True, with_dashboard: bool = True) -> bool:
        """Start what does not run; return False if all ran already. A failed start leaves nothing running."""
        with self.state.locked():
            if self._is_up():
                return False
            self.supervisor.stop()
            require_disk(self.state.folder)
            # Only now, when the servers that a killed supervisor left have released their ports.
            self.state = open_state(self.state.folder, self._settings, about_to_start=True)
            with _stopping_on_failure(self.supervisor):
                self._start(report, with_airflow, with_dashboard)
            return True

    def down(self) -> None:
        """Stop everything, including what a killed supervisor left."""
        with self.state.locked():
            self.supervisor.stop()

    def environment(self) -> dict[str, str]:
        """The variables that every program of the platform runs with."""
        return {**inherited(), **self._variables(java_home(self.state))}

    def _is_up(self) -> bool:
        # Servers on ports that are no longer known are useless.
        if not self.supervisor.is_running() or read_ports(self.state.folder) != self.state.ports:
            return False
        try:
            self.supervisor.require()
        except Failure:
            return False
        return True

    def _start(self, report: Report, with_airflow: bool, with_dashboard: bool) -> None:
        state = self.state
        state.make_runtime()
        programs = fetch_programs(state.plain(cache_folder()))
        java = java_home(state)
        environment = {**inherited(), **self._variables(java)}
        (state.folder / "airflow").mkdir(mode=0o700, exist_ok=True)
        kafka.prepare(state)
        spark.prepare(state)
        airflow.prepare(state)
        with ThreadPoolExecutor() as pool:
            for preparation in (
                pool.submit(postgres.prepare, state),
                pool.submit(mariadb.prepare, state, programs.mariadb),
            ):
                preparation.result()

        database = postgres.server(state)
        zookeeper = kafka.zookeeper(state, java, programs.kafka)
        broker = kafka.kafka(state, java, programs.kafka)
        replica = mariadb.server(state, programs.mariadb)
        pages = [dashboard.server(state, with_airflow=with_airflow)] if with_dashboard else []
        orchestration = airflow.servers(state) if with_airflow else []
        self.supervisor.launch([database, replica, *pages, zookeeper, broker, *orchestration], environment)

        def start(*servers: Server) -> None:
            for server in servers:
                started = time.monotonic()
                self.supervisor.start(server)
                report(server.name, time.monotonic() - started)

        def start_database_and_airflow() -> None:
            start(database)
            postgres.set_up(state)
            if with_airflow:
                airflow.migrate(state, environment)
                with ThreadPoolExecutor() as components:
                    list(components.map(start, orchestration))
                with AirflowClient(airflow.login(state), self.supervisor.require) as client:
                    client.import_pools(json.loads((self._checkout / "dags" / "pools.json").read_text()))

        # Inside, so that an interrupt does not wait for the threads; they end with the supervisor.
        with ThreadPoolExecutor() as lanes, _stopping_on_failure(self.supervisor):
            started = (
                lanes.submit(start_database_and_airflow),
                lanes.submit(start, replica, *pages),
                lanes.submit(start, zookeeper, broker),
            )
            for lane in as_completed(started):
                lane.result()

    def _variables(self, java: Path) -> dict[str, str]:
        state = self.state
        sizes = {
            name.upper(): str(value)
            for name, value in state.settings.model_dump().items()
            if name.startswith("shop_")
        }
        # A colon in the name would end the path in the list.
        programs = state.plain(Path(sys.prefix)) / "bin"
        return {
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "MARTLINE_PROFILE": "embedded",
            "REPLICATION_JOURNAL_MIB": "256",
            "MARTS_STATE": str(state.plain(state.data("marts"))),
            **sizes,
            **postgres.environment(state),
            **mariadb.environment(state),
            **kafka.environment(state),
            **spark.environment(state, java),
            **airflow.environment(state, self._checkout / "dags"),
        }


@contextmanager
def _stopping_on_failure(supervisor: Supervisor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        supervisor.stop()
        raise
