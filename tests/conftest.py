"""The servers of the tests: one embedded platform for the run, separate databases and topics for each test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock
from tests.connections import to_mysql, to_postgres
from tests.servers import MySQL, PostgreSQL, Server, open_server

from martline.embedded.platform import Platform

CHECKOUT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
# The servers on which replication is tested. With --all-pairs, the others are used too.
PAIRS = [("postgresql-18", "mariadb-11.4"), ("postgresql-17", "mysql-9.7")]
MORE_PAIRS = [
    ("postgresql-16", "mariadb-11.4"),
    ("postgresql-15", "mysql-9.7"),
    ("postgresql-14", "mariadb-11.4"),
]
# A background command of a shell ignores SIGINT, and so do its children, but the tests must interrupt theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Finished:
    """A command that has ended: its exit status, log and result."""

    status: int
    log: str
    output: str

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.output.splitlines()[-1]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scale", type=int, default=1, help="How many times the usual work the random tests do.")
    parser.addoption(
        "--all-pairs", action="store_true", help="Run the tests of replication on all pairs of servers."
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the pairs of servers on which a test marked ``pairs`` runs.

    It runs on one of :data:`PAIRS`, which its name chooses, so that each pair has half of the tests. Marked
    ``pairs("each")`` it runs on each of them, and marked ``pairs("all")``, or when the command line asks for it, on
    all others too.
    """
    if marker := metafunc.definition.get_closest_marker("pairs"):
        pairs = [PAIRS[zlib.crc32(metafunc.function.__name__.encode()) % len(PAIRS)]]
        if marker.args:
            pairs = PAIRS
        if "all" in marker.args or metafunc.config.getoption("all_pairs"):
            pairs = PAIRS + MORE_PAIRS
        metafunc.parametrize("pair", pairs, indirect=True, ids="-".join)


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> int:
    """How many times its usual work a random test should do."""
    return int(pytestconfig.getoption("scale"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the processes of a parallel run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@contextmanager
def _in_use(
    folder: Path, worker_id: str, start: Callable[[], object], stop: Callable[[], object]
) -> Iterator[None]:
    """Share something among the processes of a parallel run. The first process starts it, the last stops it."""
    users = folder.with_name(f"{folder.name}.users")
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    with lock:
        users.mkdir(exist_ok=True)
        if not any(users.iterdir()):
            start()
        (users / worker_id).touch()
    try:
        yield
    finally:
        with lock:
            (users / worker_id).unlink()
            if not any(users.iterdir()):
                stop()


@pytest.fixture(scope="session")
def platform(shared: Path, worker_id: str) -> Iterator[Platform]:
    """A running platform."""
    os.environ["MARTLINE_HOME"] = str(shared / "platform")
    platform = Platform(CHECKOUT)

    def start() -> None:
        platform.up(lambda _name, _seconds: None, with_airflow=False)

    with _in_use(shared / "platform", worker_id, start, platform.down):
        # Made again, because it has changed by starting.
        yield Platform(CHECKOUT)


@pytest.fixture(scope="session")
def server(platform: Platform, shared: Path, worker_id: str) -> Iterator[Callable[[str], Server]]:
    """Returns a running server by its name, which may be one of the platform's."""
    ports, passwords = platform.state.ports, platform.state.secrets
    servers: dict[str, Server] = {
        "postgresql-18": PostgreSQL(ports["pgport"], passwords["postgres_admin"]),
        "mariadb-11.4": MySQL(ports["mysql_tcp_port"], passwords["mysql_admin"], "127.0.0.1"),
    }
    with ExitStack() as stack:

        def running(name: str) -> Server:
            if name not in servers:
                with FileLock(shared / f"{name}.opening"):
                    opened = open_server(name, shared / name)
                stack.enter_context(_in_use(shared / name, worker_id, opened.start, opened.remove))
                servers[name] = opened
            return servers[name]

        yield running


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The names of the PostgreSQL and the MySQL server that the test runs on."""
    return getattr(request, "param", PAIRS[0])


@pytest.fixture
def postgres(server: Callable[[str], PostgreSQL], pair: tuple[str, str]) -> Iterator[dict[str, str]]:
    """The settings of a fresh PostgreSQL database, whose owner may replicate."""
    with server(pair[0]).database() as settings:
        yield settings


@pytest.fixture
def mysql(server: Callable[[str], MySQL], pair: tuple[str, str]) -> Iterator[dict[str, str]]:
    """The settings of a fresh MySQL database."""
    with server(pair[1]).database() as settings:
        yield settings


@pytest.fixture
def servers(postgres: dict[str, str], mysql: dict[str, str]) -> dict[str, str]:
    """The settings of both databases, as the commands of the replication read them."""
    return {**postgres, **mysql}


@pytest.fixture
def source(servers: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A connection to PostgreSQL that commits each statement."""
    with to_postgres(servers) as connection:
        yield connection


@pytest.fixture
def query(servers: dict[str, str]) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Query MySQL."""
    with to_mysql(servers) as connection:

        def query(statement: str) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        yield query


@pytest.fixture
def kafka(platform: Platform) -> dict[str, str]:
    """The settings of the broker, with separate topics for this test."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": platform.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        "KAFKA_TOPIC_PREFIX": f"{uuid.uuid4().hex[:12]}_",
    }


@pytest.fixture
def spark(platform: Platform) -> dict[str, str]:
    """The settings of Spark in local mode."""
    environment = platform.environment()
    names = (
        "JAVA_HOME",
        "SPARK_CONF_DIR",
        "SPARK_LOCAL_DIRS",
        "SPARK_LOCAL_IP",
        "SPARK_MASTER",
        "PYSPARK_PYTHON",
    )
    return {name: environment[name] for name in names}


@pytest.fixture
def spark_cluster(spark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The settings of a Spark cluster: a master and two workers, which the driver starts as processes."""
    folder = tmp_path / "spark"
    shutil.copytree(spark["SPARK_CONF_DIR"], folder)
    with (folder / "spark-defaults.conf").open("a") as defaults:
        defaults.write(f"spark.authenticate.secret {uuid.uuid4().hex}\n")
    return {**spark, "SPARK_CONF_DIR": str(folder), "SPARK_MASTER": "local-cluster[2,1,1024]"}


@pytest.fixture(params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings with which one of the engines computes the marts."""
    if request.param == "duckdb":
        return {}
    settings: dict[str, str] = request.getfixturevalue("spark_cluster")
    return {**settings, "SPARK_MASTER": "local-cluster[1,2,1024]"}


@pytest.fixture
def run() -> Callable[..., Finished]:
    """Run a command of the platform to its end; ``check`` requires exit status 0."""

    def run(
        command: str, *arguments: object, env: Mapping[str, str] | None = None, check: bool = True
    ) -> Finished:
        process = subprocess.run(
            _command(command, arguments), env=_environment(env), capture_output=True, text=True, timeout=300
        )
        if check:
            assert process.returncode == 0, process.stderr
        return Finished(process.returncode, process.stderr, process.stdout)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command of the platform; it is killed when the test ends."""
    processes = []

    def start(command: str, *arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            _command(command, arguments),
            env=_environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def _command(command: str, arguments: tuple[object, ...]) -> list[str]:
    return [str(PROGRAMS / command), *map(str, arguments)]


def _environment(settings: Mapping[str, str] | None) -> dict[str, str]:
    foreign = ("PG", "MYSQL_", "KAFKA_", "SPARK_", "AIRFLOW_", "SHOP_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**inherited, **(settings or {})}
