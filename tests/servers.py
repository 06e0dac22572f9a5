"""Servers that tests start, kill and restart: PostgreSQL and MySQL or MariaDB, as processes or containers."""

import os
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymysql
import pytest
import trustme
from psycopg import sql
from tests.ports import free_port
from tests.postgres_binaries import postgres_programs

from martline.embedded import mariadb
from martline.embedded.artifacts import fetch_programs
from martline.embedded.server import as_ordinary_user
from martline.embedded.settings import Settings
from martline.embedded.state import State

START_SECONDS = 180
POSTGRES_SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "50",
    "max_connections": "100",
    "shared_buffers": "32MB",
    # Without fsync, a killed process still loses nothing that it has written. Only a crashed machine would.
    "fsync": "off",
}
MYSQL_SETTINGS = {"local-infile": "1", "innodb-buffer-pool-size": "64M", "performance-schema": "0"}


class PostgreSQL:
    """A server that is reached over TCP, with databases for tests."""

    def __init__(self, port: int, password: str, admin: str = "postgres") -> None:
        self.port = port
        self._admin_login: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "user": admin,
            "password": password,
        }

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A superuser's connection that commits each statement."""
        return psycopg.connect(**self._admin_login, dbname=database, autocommit=True, connect_timeout=10)

    def is_ready(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.admin().close()
            return True
        return False

    @contextmanager
    def database(self) -> Iterator[dict[str, str]]:
        """The settings of a fresh database, whose owner is a separate role that may replicate."""
        name, password = f"test_{uuid.uuid4().hex[:12]}", secrets.token_hex(8)
        with self.admin() as admin:
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(sql.Identifier(name), password)
            )
            admin.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
        try:
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": name,
                "PGPASSWORD": password,
                "PGDATABASE": name,
            }
        finally:
            with self.admin(name) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                admin.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                    " WHERE database = current_database()"
                )
            with self.admin() as admin:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


class MySQL:
    """A MySQL or MariaDB server that is reached over TCP, with databases for tests."""

    def __init__(self, port: int, password: str, host_of_users: str) -> None:
        self.port = port
        self._password = password
        self._host_of_users = host_of_users

    def admin(self) -> "pymysql.Connection[Any]":
        """A superuser's connection that commits each statement."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            password=self._password,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
        )

    def is_ready(self) -> bool:
        with suppress(pymysql.MySQLError):
            self.admin().close()
            return True
        return False

    @contextmanager
    def database(self) -> Iterator[dict[str, str]]:
        """The settings of a fresh database, with a separate user that has all privileges only on it."""
        name, password = f"test_{uuid.uuid4().hex[:12]}", secrets.token_hex(8)
        user = f"'{name}'@'{self._host_of_users}'"
        with self.admin() as admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            cursor.execute(f"CREATE USER {user} IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL ON {name}.* TO {user}")
        try:
            yield {
                "MYSQL_HOST": "127.0.0.1",
                "MYSQL_TCP_PORT": str(self.port),
                "MYSQL_USER": name,
                "MYSQL_PWD": password,
                "MYSQL_DATABASE": name,
            }
        finally:
            with self.admin() as admin, admin.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name}")
                cursor.execute(f"DROP USER {user}")


class _Process:
    """A server as a local process. Everything that must outlive the test's process is in ``folder``."""

    def __init__(self, folder: Path, is_ready: Callable[[], bool], command: Sequence[str]) -> None:
        self._log = folder / "log"
        self._pid = folder / "pid"
        self._is_ready = is_ready
        self._command = command

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL"))}
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._pid.write_text(str(process.pid))
        _wait_until(self._is_ready, lambda: process.poll() is None, lambda: self._log.read_text()[-2000:])

    def kill(self) -> None:
        """Send SIGKILL to the server and all its children."""
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(int(self._pid.read_text()))
            server.suspend()  # so that it starts no process that the list lacks
            processes = [server, *server.children(recursive=True)]
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=30)

    # The data is thrown away, so the server need not stop cleanly.
    remove = kill


class _Container:
    """A server in a container, from an image that works like the official ones."""

    def __init__(self, name: str, is_ready: Callable[[], bool], arguments: Sequence[str]) -> None:
        self._name = name
        self._is_ready = is_ready
        self._arguments = arguments

    def start(self, environment: dict[str, str] | None = None) -> None:
        if environment is None:
            _docker("start", self._name)
        else:
            _docker("run", "--detach", "--name", self._name, *self._arguments, env=environment)
        _wait_until(
            self._is_ready,
            lambda: _docker("inspect", "--format", "{{.State.Running}}", self._name).strip() == "true",
            lambda: _docker("logs", "--tail", "20", self._name),
        )

    def kill(self) -> None:
        """Send SIGKILL to the container's processes."""
        _docker("kill", self._name)

    def write(self, user: str, path: str, content: bytes) -> None:
        """Write a file in the container that only ``user`` can read."""
        inside = ["sh", "-c", 'umask 077 && cat > "$1"', "sh", path]
        command = ["docker", "exec", "--interactive", "--user", user, self._name, *inside]
        subprocess.run(command, input=content, check=True, capture_output=True)

    def shell(self, script: str) -> str:
        """Run a shell script in the container as root, and return its output."""
        return _docker("exec", self._name, "sh", "-c", script)

    def remove(self) -> None:
        _docker("rm", "--force", "--volumes", self._name)


class PostgreSQLProcess(PostgreSQL):
    """PostgreSQL as a local process."""

    def __init__(self, version: int, folder: Path) -> None:
        super().__init__(*_port_and_password(folder))
        programs, data = postgres_programs(version), folder / "data"
        if not data.exists():
            password = folder / "password"
            data.mkdir(mode=0o700)
            initdb = (str(programs / "initdb"), "--pgdata", str(data), "--username=postgres", "--no-sync")
            options = (f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
            subprocess.run(as_ordinary_user([*initdb, *options], data), check=True, capture_output=True)
        settings = {
            **POSTGRES_SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._data, self._kept = data, folder / "kept"
        self._process = _Process(folder, self.is_ready, as_ordinary_user(command, data))
        self.start, self.kill, self.remove = self._process.start, self._process.kill, self._process.remove

    def keep(self) -> None:
        """Copy the data folder, while the server is not running."""
        subprocess.run(["rm", "-rf", self._kept], check=True)
        subprocess.run(["cp", "-a", self._data, self._kept], check=True)

    def put_back(self) -> None:
        """Restore the copy of the data folder, while the server is not running."""
        subprocess.run(["rm", "-rf", self._data], check=True)
        subprocess.run(["cp", "-a", self._kept, self._data], check=True)

    def become_standby(self) -> None:
        """Make the next start that of a standby, which follows no server and can be promoted."""
        subprocess.run(as_ordinary_user(["touch", str(self._data / "standby.signal")], self._data), check=True)


class MariaDBProcess(MySQL):
    """MariaDB as the embedded platform runs it, with more options."""

    def __init__(self, folder: Path, *options: str) -> None:
        port, password = _port_and_password(folder)
        super().__init__(port, password, "127.0.0.1")
        passwords = {name: secrets.token_hex(8) for name in ("mysql_pwd", "mysql_dashboard")} | {
            "mysql_admin": password
        }
        state = State(folder, Settings(), {"mysql_tcp_port": port}, passwords)
        for needed in (state.logs, state.folder / "run", state.folder / "data", state.runtime):
            needed.mkdir(mode=0o700, exist_ok=True)
        programs = fetch_programs().mariadb
        mariadb.prepare(state, programs)
        command = [*mariadb.server(state, programs).command, *options]
        self._process = _Process(folder, self.is_ready, command)
        self._runtime = state.runtime
        self.start, self.kill = self._process.start, self._process.kill

    def remove(self) -> None:
        self._process.remove()
        shutil.rmtree(self._runtime)


class PostgreSQLContainer(PostgreSQL):
    """PostgreSQL from its official image; ``options`` are options of ``docker run``."""

    def __init__(self, image: str, folder: Path, *options: str) -> None:
        super().__init__(*_port_and_password(folder))
        settings = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        arguments = ("--env", "POSTGRES_PASSWORD", "--publish", f"127.0.0.1:{self.port}:5432", *options, image)
        self._container = _Container(_container_name(folder), self.is_ready, (*arguments, "postgres", *settings))
        self.kill, self.remove = self._container.kill, self._container.remove
        self.shell = self._container.shell
        self._first: dict[str, str] | None = {"POSTGRES_PASSWORD": self._admin_login["password"]}

    def start(self) -> None:
        first, self._first = self._first, None
        self._container.start(first)

    def require_tls(self, certificate: trustme.LeafCert) -> None:
        """From now on, refuse connections without TLS."""
        with self.admin() as admin:
            [(data,)] = admin.execute("SHOW data_directory").fetchall()
            pem = certificate.private_key_and_cert_chain_pem.bytes()
            self._container.write("postgres", f"{data}/server.pem", pem)
            self._container.write("postgres", f"{data}/pg_hba.conf", b"hostssl all all all scram-sha-256\n")
            for name, value in (("ssl", "on"), ("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.pem")):
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            admin.execute("SELECT pg_reload_conf()")


class MySQLContainer(MySQL):
    """MySQL from its official image; ``options`` are options of ``docker run``."""

    def __init__(self, image: str, folder: Path, *options: str) -> None:
        port, password = _port_and_password(folder)
        super().__init__(port, password, "%")
        settings = [f"--{name}={value}" for name, value in MYSQL_SETTINGS.items()]
        arguments = ("--env", "MYSQL_ROOT_PASSWORD", "--publish", f"127.0.0.1:{port}:3306", *options, image)
        self._container = _Container(_container_name(folder), self.is_ready, (*arguments, *settings))
        self.kill, self.remove = self._container.kill, self._container.remove
        self.shell = self._container.shell
        self._first: dict[str, str] | None = {"MYSQL_ROOT_PASSWORD": password}

    def start(self) -> None:
        first, self._first = self._first, None
        self._container.start(first)

    def require_tls(self, authority: trustme.CA, certificate: trustme.LeafCert) -> None:
        """From now on, refuse connections without TLS."""
        files = {
            "ssl_ca": authority.cert_pem,
            "ssl_cert": certificate.cert_chain_pems[0],
            "ssl_key": certificate.private_key_pem,
        }
        with self.admin() as admin, admin.cursor() as cursor:
            for name, blob in files.items():
                self._container.write("mysql", f"/var/lib/mysql/{name}.pem", blob.bytes())
                cursor.execute(f"SET GLOBAL {name} = '{name}.pem'")
            cursor.execute("ALTER INSTANCE RELOAD TLS")
            cursor.execute("SET GLOBAL require_secure_transport = ON")


Server = PostgreSQL | MySQL
IMAGES = {"postgresql-17": "postgres:17", "mysql-9.7": "mysql:9.7"}


def open_server(
    name: str, folder: Path
) -> PostgreSQLProcess | PostgreSQLContainer | MariaDBProcess | MySQLContainer:
    """The server ``name``, not started, with its files in ``folder``. Skips the test if it is not available."""
    if name in IMAGES:
        _require_image(IMAGES[name])
    folder.mkdir(parents=True, exist_ok=True)
    if name == "mariadb-11.4":
        return MariaDBProcess(folder)
    if name == "mysql-9.7":
        return MySQLContainer(IMAGES[name], folder)
    if name == "postgresql-17":
        return PostgreSQLContainer(IMAGES[name], folder)
    return PostgreSQLProcess(int(name.removeprefix("postgresql-")), folder)


def _port_and_password(folder: Path) -> tuple[int, str]:
    """The port and password of the folder's server, which are chosen once."""
    port, password = folder / "port", folder / "password"
    if not port.exists():
        port.write_text(str(free_port()))
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(8))
    return int(port.read_text()), password.read_text()


def _container_name(folder: Path) -> str:
    name = folder / "container"
    if not name.exists():
        name.write_text(f"martline-test-{uuid.uuid4().hex[:12]}")
    return name.read_text()


def _require_image(image: str) -> None:
    try:
        _docker("image", "inspect", image)
    except FileNotFoundError:
        pytest.skip(f"{image} needs Docker, which is not installed")
    except AssertionError as error:
        pytest.skip(f"{image} is not on this machine: `docker pull {image}` gets it ({error})")


def _docker(*arguments: str, env: dict[str, str] | None = None) -> str:
    command = ["docker", *arguments]
    run = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr.strip()
    return run.stdout


def _wait_until(is_ready: Callable[[], bool], is_running: Callable[[], bool], log: Callable[[], str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        assert is_running(), log()
        assert time.monotonic() < deadline, log()
        time.sleep(0.1)


def wait_for_server(is_ready: Callable[[], bool], log: Path) -> None:
    """Wait until the server that writes this log is ready."""
    _wait_until(is_ready, lambda: True, lambda: log.read_text()[-2000:])
