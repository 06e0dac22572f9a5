"""A Kafka for one test, on a separate ZooKeeper, as the embedded platform runs them. The test can kill it."""

import os
import random
import secrets
import shutil
import subprocess
from pathlib import Path

import psutil
from tests.servers import wait_for_server

from martline.command import port_is_free
from martline.embedded import kafka
from martline.embedded.artifacts import fetch_programs
from martline.embedded.java import java_home
from martline.embedded.settings import Settings
from martline.embedded.state import State


class KafkaServer:
    """A broker that tests kill and start again, and its ZooKeeper, which keeps running."""

    def __init__(self, folder: Path) -> None:
        free = [port for port in random.sample(range(12_000, 32_000), 100) if port_is_free(port)]
        ports = {"kafka_port": free[0], "zookeeper_port": free[1]}
        self._state = State(folder, Settings(), ports, {"zookeeper": secrets.token_hex(8)})
        for needed in (self._state.logs, folder / "run", folder / "data", self._state.runtime):
            needed.mkdir(mode=0o700, exist_ok=True)
        kafka.prepare(self._state)
        java, programs = java_home(self._state), fetch_programs().kafka
        self._zookeeper = kafka.zookeeper(self._state, java, programs)
        self._broker = kafka.kafka(self._state, java, programs)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def settings(self) -> dict[str, str]:
        """The environment with the broker's address."""
        return kafka.environment(self._state)

    def start(self) -> None:
        """Start what is not running. A killed broker can return only when ZooKeeper has forgotten it."""
        for server in (self._zookeeper, self._broker):
            process = self._processes.get(server.name)
            if process is None or process.poll() is not None:
                log = self._state.logs / f"{server.name}.log"
                wait_for_server(self._zookeeper.is_ready if server is self._broker else lambda: True, log)
                with log.open("ab") as output:
                    self._processes[server.name] = subprocess.Popen(
                        server.command, stdout=output, stderr=output, env=os.environ, start_new_session=True
                    )
                wait_for_server(server.is_ready, log)

    def kill(self) -> None:
        """Send SIGKILL to the broker."""
        self._kill(self._broker.name)

    def remove(self) -> None:
        """Stop both, and remove their data."""
        for name in list(self._processes):
            self._kill(name)
        shutil.rmtree(self._state.runtime, ignore_errors=True)
        shutil.rmtree(self._state.folder, ignore_errors=True)

    def _kill(self, name: str) -> None:
        process = self._processes[name]
        process.kill()
        psutil.wait_procs([psutil.Process(process.pid)] if psutil.pid_exists(process.pid) else [], timeout=30)
        process.wait()
