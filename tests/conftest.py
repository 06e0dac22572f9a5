"""The servers of the tests: one embedded platform for the run, databases and topics of each test's own."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from filelock import FileLock
from psycopg import sql

from embedded import postgres as embedded_postgres
from embedded.platform import Platform

CHECKOUT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
# A shell's background command ignores SIGINT, and so do all that it starts: the tests interrupt theirs.
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


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Platform]:
    """A running platform, which the processes of a parallel run share; the last of them stops it."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    os.environ["MARTLINE_HOME"] = str(shared / "platform")
    users = shared / "users"
    platform = Platform(CHECKOUT)
    with FileLock(shared / "users.lock"):
        users.mkdir(exist_ok=True)
        platform.up(lambda _name, _seconds: None, with_airflow=False)
        (users / worker_id).touch()
    yield platform
    with FileLock(shared / "users.lock"):
        (users / worker_id).unlink()
        if not any(users.iterdir()):
            platform.down()


@pytest.fixture
def postgres(platform: Platform) -> Iterator[dict[str, str]]:
    """The settings of a fresh PostgreSQL database, whose owner may replicate."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    state = platform.state
    admin = {
        "host": "127.0.0.1",
        "port": state.ports["pgport"],
        "user": embedded_postgres.ADMIN,
        "password": state.secrets["postgres_admin"],
    }
    with psycopg.connect(**admin, dbname="postgres", autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(state.settings.pguser)
            )
        )
    yield {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(state.ports["pgport"]),
        "PGUSER": state.settings.pguser,
        "PGPASSWORD": state.secrets["pgpassword"],
        "PGDATABASE": name,
    }
    with psycopg.connect(**admin, dbname=name, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        slots = connection.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
        )
        for (slot,) in slots.fetchall():
            connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    with psycopg.connect(**admin, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def mysql(platform: Platform) -> Iterator[dict[str, str]]:
    """The settings of a fresh MySQL database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    state = platform.state
    admin = pymysql.connect(
        host="127.0.0.1",
        port=state.ports["mysql_tcp_port"],
        user="root",
        password=state.secrets["mysql_admin"],
    )
    with admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"GRANT ALL ON {name}.* TO '{state.settings.mysql_user}'@'127.0.0.1'")
        yield {
            "MYSQL_HOST": "127.0.0.1",
            "MYSQL_TCP_PORT": str(state.ports["mysql_tcp_port"]),
            "MYSQL_USER": state.settings.mysql_user,
            "MYSQL_PWD": state.secrets["mysql_pwd"],
            "MYSQL_DATABASE": name,
        }
        admin.ping()
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def kafka(platform: Platform) -> dict[str, str]:
    """The settings of the broker, with topics of this test's own."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": platform.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        "KAFKA_TOPIC_PREFIX": f"{uuid.uuid4().hex[:12]}_",
    }


@pytest.fixture
def spark(platform: Platform) -> dict[str, str]:
    """The settings of Spark in local mode."""
    environment = platform.environment()
    names = ("JAVA_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "SPARK_LOCAL_IP", "SPARK_MASTER")
    return {name: environment[name] for name in names}


@pytest.fixture
def run() -> Callable[..., Finished]:
    """Run a command of the platform to its end; ``check`` asks for exit status 0."""

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
