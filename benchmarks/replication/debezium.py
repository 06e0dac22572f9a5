"""The product compared with Debezium and its JDBC sink: a snapshot and changes, on the same servers.

Kafka and Kafka Connect run as local processes. They are ready before anything is measured, so their start does
not count. The settings are those that made Debezium fastest; see :data:`SINK` and :data:`SOURCE`.
"""

import json
import secrets
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from benchmarks.measure import Measure
from benchmarks.replication.changes import change
from benchmarks.replication.commands import run
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import orders

from martline.command import port_is_free
from martline.embedded.artifacts import Artifact, cache_folder, download, fetch_programs

ROWS = 300_000
CHANGES, TRANSACTIONS = 300_000, 30_000
DATABASE = "orders"
THEIRS = "debezium"
"""The database in MySQL that Debezium fills; ours is :data:`DATABASE`."""
PINS = Path(__file__).with_name("debezium.json")
SOURCE = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "topic.prefix": "shop",
    "plugin.name": "pgoutput",
    "slot.name": "debezium",
    "publication.name": "debezium",
    "table.include.list": "public.orders",
    "snapshot.mode": "initial",
    "decimal.handling.mode": "precise",
    "max.batch.size": "16384",
    "max.queue.size": "65536",
    "producer.override.batch.size": "1048576",
    "producer.override.linger.ms": "20",
    "producer.override.compression.type": "lz4",
}
SINK = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
    "tasks.max": "1",
    "topics": "shop.public.orders",
    "insert.mode": "upsert",
    "delete.enabled": "true",
    "primary.key.mode": "record_key",
    "schema.evolution": "basic",
    "collection.name.format": "orders",
    "batch.size": "5000",
    "use.reduction.buffer": "true",
    "consumer.override.max.poll.records": "5000",
    "consumer.override.fetch.max.bytes": "52428800",
}
SINK_OPTIONS = "rewriteBatchedStatements=true&nullCatalogMeansCurrent=true"
KAFKA_HEAP, CONNECT_HEAP = "1g", "2g"
START_SECONDS = 120
ARRIVE_SECONDS = 1800
LOOK_SECONDS = 0.2
SUMS = "SELECT COUNT(*), SUM(order_id), SUM(total_amount) FROM orders"


def measure_debezium(servers: Servers, java_home: str, repeat: int) -> Iterator[Measure]:
    """Measure the seconds until MySQL has the rows. For the product, these are whole commands."""
    shape = orders(ROWS)
    servers.fresh_source(DATABASE)
    with servers.source(DATABASE) as source:
        shape.make(source)
    took = []
    for _ in range(repeat):
        servers.fresh_target(DATABASE)
        took.append(run(["replicate"], servers.environment(DATABASE)).seconds)
    servers.fresh_target(THEIRS)
    with _connect(java_home) as connect:
        began = time.monotonic()
        connect.add("source", SOURCE | _of_source(servers))
        connect.add("sink", SINK | _of_sink(servers))
        _wait_until_equal(servers, connect)
        snapshot = time.monotonic() - began
        yield _beside(f"snapshot of {ROWS:,} orders, beside Debezium", min(took), snapshot)

        change(servers, 0, TRANSACTIONS, total=CHANGES)
        began = time.monotonic()
        _wait_until_equal(servers, connect)
        changes = time.monotonic() - began
        memory = connect.memory()
    ended = run(["replicate"], servers.environment(DATABASE))
    assert ended.result["changes"] == CHANGES
    name = f"{CHANGES:,} changes in {TRANSACTIONS:,} transactions"
    yield _beside(f"{name}, from their end on, beside Debezium", ended.seconds, changes)
    yield Measure(
        f"{name}: memory",
        ended.memory.peak,
        "MiB",
        beside="Kafka and Kafka Connect with Debezium",
        beside_value=memory,
        of_ratio=True,
    )
    servers.fresh_source(DATABASE)


def _beside(name: str, product: float, debezium: float) -> Measure:
    return Measure(
        name,
        product,
        "s",
        beside="Debezium 3.3.1 and its JDBC sink, Kafka 3.9.2 and Connect running already",
        beside_value=debezium,
        of_ratio=True,
    )


def _of_source(servers: Servers) -> dict[str, str]:
    return {
        "database.hostname": servers.postgres["PGHOST"],
        "database.port": servers.postgres["PGPORT"],
        "database.user": servers.postgres["PGUSER"],
        "database.password": servers.postgres["PGPASSWORD"],
        "database.dbname": DATABASE,
    }


def _of_sink(servers: Servers) -> dict[str, str]:
    address = f"{servers.mysql['MYSQL_HOST']}:{servers.mysql['MYSQL_TCP_PORT']}"
    return {
        "connection.url": f"jdbc:mysql://{address}/{THEIRS}?{SINK_OPTIONS}",
        "connection.username": servers.mysql["MYSQL_USER"],
        "connection.password": servers.mysql["MYSQL_PWD"],
    }


class Connect:
    """A running Kafka Connect, and its broker."""

    def __init__(self, address: str, processes: list["subprocess.Popen[bytes]"]) -> None:
        self._address = address
        self._processes = processes

    def add(self, name: str, settings: Mapping[str, str]) -> None:
        """Start a connector."""
        httpx.post(
            f"{self._address}/connectors", json={"name": name, "config": settings}, timeout=60
        ).raise_for_status()

    def is_ready(self) -> bool:
        """Whether it already accepts connectors."""
        try:
            return httpx.get(f"{self._address}/connectors", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def require_running(self) -> None:
        """Raise :class:`RuntimeError` with the reason if a process or a connector has failed."""
        for process in self._processes:
            if process.poll() is not None:
                raise RuntimeError(f"Kafka or Kafka Connect has ended with status {process.returncode}")
        states: dict[str, Any] = httpx.get(
            f"{self._address}/connectors", params={"expand": "status"}, timeout=60
        ).json()
        for name, state in states.items():
            for task in state["status"]["tasks"]:
                if task["state"] == "FAILED":
                    raise RuntimeError(f"Debezium's {name} has failed: {task['trace']}")

    def memory(self) -> float:
        """The memory of both processes, in MiB."""
        return sum(psutil.Process(process.pid).memory_info().rss for process in self._processes) / 2**20


@contextmanager
def _connect(java_home: str) -> Iterator[Connect]:
    """A broker and Kafka Connect with Debezium's plugins, in a folder that is removed with them."""
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        pinned = {part: [Artifact(**pin) for pin in pins] for part, pins in json.loads(PINS.read_text()).items()}
        download([*pinned["connect"], *pinned["plugins"]], cache_folder())
        for plugin in pinned["plugins"]:
            with tarfile.open(cache_folder() / plugin.path) as archive:
                archive.extractall(folder / "plugins", filter="data")
        broker_port, controller_port, rest_port = _free_ports(3)
        _write(folder / "broker.properties", _broker(folder, broker_port, controller_port))
        _write(folder / "worker.properties", _worker(folder, broker_port, rest_port))
        java = str(Path(java_home) / "bin" / "java")
        kafka = [java, f"-Xmx{KAFKA_HEAP}", "-cp", ":".join(map(str, fetch_programs().kafka))]
        broker = str(folder / "broker.properties")
        format_it = [*kafka, "kafka.tools.StorageTool", "format", "-t", secrets.token_urlsafe(16), "-c", broker]
        subprocess.run(format_it, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        libraries = ":".join(str(cache_folder() / library.path) for library in pinned["connect"])
        processes = [stack.enter_context(_running([*kafka, "kafka.Kafka", broker], folder / "kafka.log"))]
        _wait_for(lambda: not port_is_free(broker_port), "Kafka")
        processes.append(
            stack.enter_context(
                _running(
                    [
                        *(java, f"-Xmx{CONNECT_HEAP}", "-cp", libraries),
                        "org.apache.kafka.connect.cli.ConnectStandalone",
                        str(folder / "worker.properties"),
                    ],
                    folder / "connect.log",
                )
            )
        )
        connect = Connect(f"http://127.0.0.1:{rest_port}", processes)
        _wait_for(connect.is_ready, "Kafka Connect")
        yield connect


def _broker(folder: Path, port: int, controller_port: int) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "kafka",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }


def _worker(folder: Path, broker_port: int, rest_port: int) -> dict[str, object]:
    converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "bootstrap.servers": f"127.0.0.1:{broker_port}",
        "key.converter": converter,
        "value.converter": converter,
        "key.converter.schemas.enable": "true",
        "value.converter.schemas.enable": "true",
        "connector.client.config.override.policy": "All",
        "offset.storage.file.filename": folder / "offsets",
        "offset.flush.interval.ms": 5000,
        "plugin.path": folder / "plugins",
        "listeners": f"HTTP://127.0.0.1:{rest_port}",
    }


def _write(file: Path, properties: Mapping[str, object]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _wait_for(is_ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} does not start")
        time.sleep(0.5)


def _wait_until_equal(servers: Servers, connect: Connect) -> None:
    with servers.source(DATABASE) as source:
        [expected] = source.execute(SUMS).fetchall()
    deadline = time.monotonic() + ARRIVE_SECONDS
    with servers.target(THEIRS) as target, target.cursor() as cursor:
        while True:
            cursor.execute("SHOW TABLES LIKE 'orders'")
            if cursor.fetchall():
                cursor.execute(SUMS)
                if cursor.fetchall() == (expected,):
                    return
            connect.require_running()
            if time.monotonic() > deadline:
                raise RuntimeError(f"Debezium has not delivered all rows within {ARRIVE_SECONDS} s")
            time.sleep(LOOK_SECONDS)
