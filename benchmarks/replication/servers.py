"""The two servers between which the benchmark replicates, without other data, and their own clients."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pymysql
import trustme

from martline.embedded.artifacts import fetch_programs
from martline.embedded.platform import Platform

POSTGRES_IMAGE = "postgres:17"
POSTGRES_OPTIONS = ["wal_level=logical", "max_wal_size=4GB", "shared_buffers=512MB"]
MYSQL_IMAGE = "mysql:9.7"
MYSQL_OPTIONS = ["local-infile=ON", "innodb-buffer-pool-size=1G", "innodb-redo-log-capacity=2G"]
START_SECONDS = 120
SETTLE_SECONDS = 60
REACH_SECONDS = 5
RELOAD_SECONDS = 1


@dataclass
class Servers:
    """The addresses of the servers, as the environment of the commands contains them."""

    postgres: dict[str, str]
    mysql: dict[str, str]
    psql: list[str] = field(default_factory=list)
    """The command line of PostgreSQL's client; empty if there is none."""
    mysql_client: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    certify: Callable[[], None] | None = None
    """Makes PostgreSQL encrypt its connections; MySQL does so anyway. None if that is not available."""

    def environment(self, database: str) -> dict[str, str]:
        """The environment of the commands, with a database of this name on each side."""
        return {**self.postgres, **self.mysql, "PGDATABASE": database, "MYSQL_DATABASE": database}

    @contextmanager
    def over_tls(self) -> Iterator[None]:
        """Make the commands and the clients use only encrypted connections."""
        assert self.certify
        self.certify()
        plain = self.postgres, self.mysql
        self.postgres = {**self.postgres, "PGSSLMODE": "require"}
        self.mysql = {**self.mysql, "MYSQL_SSL_MODE": "REQUIRED"}
        try:
            yield
        finally:
            self.postgres, self.mysql = plain

    def source(self, database: str) -> psycopg.Connection:
        """A connection to PostgreSQL that commits each statement."""
        return connect(self.postgres, database)

    def target(self, database: str | None = None) -> "pymysql.Connection":
        """A connection to MySQL that commits each statement."""
        return pymysql.connect(
            host=self.mysql["MYSQL_HOST"],
            port=int(self.mysql["MYSQL_TCP_PORT"]),
            user=self.mysql["MYSQL_USER"],
            password=self.mysql["MYSQL_PWD"],
            database=database,
            autocommit=True,
        )

    def fresh_source(self, database: str) -> None:
        """Create an empty database in PostgreSQL."""
        self.drop_slots(database)
        with self.source("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {database}")

    def drop_slots(self, database: str) -> None:
        """Drop the database's replication slots."""
        with self.source("postgres") as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
                [database],
            )

    def drop_slot(self, name: str) -> None:
        """Drop one slot, if it exists."""
        with self.source("postgres") as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                [name],
            )

    def fresh_target(self, database: str) -> None:
        """Create an empty database in MySQL."""
        self.drop_slots(database)
        self.fresh_database(database)
        self.settle()

    def fresh_database(self, database: str) -> None:
        """Create an empty database in MySQL, of which PostgreSQL knows nothing."""
        with self.target() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")
            cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

    def settle(self) -> None:
        """Let both servers write their changed pages, so that this does not slow down the next run."""
        with self.source("postgres") as source:
            source.execute("CHECKPOINT")
        with self.target() as target, target.cursor() as cursor:
            deadline = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < deadline and _dirty_pages(cursor):
                time.sleep(0.5)

    def described(self) -> dict[str, str]:
        """The versions and settings of the servers."""
        with self.source("postgres") as source, self.target() as target, target.cursor() as cursor:
            [(postgres,)] = source.execute("SELECT version()").fetchall()
            cursor.execute("SELECT CONCAT(@@version_comment, ' ', @@version)")
            [(mysql,)] = cursor.fetchall()
        return {"postgresql": postgres, "mysql": mysql, "settings": " ".join(self.settings) or "embedded"}


def connect(postgres: Mapping[str, str], database: str) -> psycopg.Connection:
    """A connection to PostgreSQL that commits each statement; the settings are those of the commands."""
    return psycopg.connect(
        host=postgres["PGHOST"],
        port=postgres["PGPORT"],
        user=postgres["PGUSER"],
        password=postgres["PGPASSWORD"],
        dbname=database,
        autocommit=True,
    )


def _dirty_pages(cursor: pymysql.cursors.Cursor) -> int:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
    [(_, pages)] = cursor.fetchall()
    return int(pages)


@contextmanager
def servers() -> Iterator[Servers]:
    """PostgreSQL and MySQL in containers; without Docker or the images, the embedded platform's servers."""
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        if all(_has_image(image) for image in (POSTGRES_IMAGE, MYSQL_IMAGE)):
            with _containers(Path(name)) as made:
                yield made
        else:
            with _embedded(Path(name)) as made:
                yield made


def _has_image(image: str) -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


@contextmanager
def _containers(folder: Path) -> Iterator[Servers]:
    password = secrets.token_hex(16)
    started: list[str] = []

    def start(image: str, port: int, arguments: Sequence[str], **environment: str) -> tuple[str, str]:
        name = f"martline-bench-{image.split(':')[0]}-{os.getpid()}"
        started.append(name)
        # The values come from docker's own environment, so that no command line shows them.
        variables = [argument for variable in environment for argument in ("--env", variable)]
        command = ["docker", "run", "--detach", "--name", name, "--shm-size=1g", f"--publish=127.0.0.1::{port}"]
        _run([*command, *variables, image, *arguments], env={**os.environ, **environment})
        return _address(name, port)

    try:
        postgres_host, postgres_port = start(
            POSTGRES_IMAGE,
            5432,
            [argument for option in POSTGRES_OPTIONS for argument in ("-c", option)],
            POSTGRES_PASSWORD=password,
        )
        mysql_host, mysql_port = start(
            MYSQL_IMAGE, 3306, [f"--{option}" for option in MYSQL_OPTIONS], MYSQL_ROOT_PASSWORD=password
        )
        made = Servers(
            postgres={
                "PGHOST": postgres_host,
                "PGPORT": postgres_port,
                "PGUSER": "postgres",
                "PGPASSWORD": password,
            },
            mysql={
                "MYSQL_HOST": mysql_host,
                "MYSQL_TCP_PORT": mysql_port,
                "MYSQL_USER": "root",
                "MYSQL_PWD": password,
            },
            settings=POSTGRES_OPTIONS + MYSQL_OPTIONS,
        )
        _wait(made)
        made.psql = _client(started[0], "psql", folder / "psql")
        made.mysql_client = _client(started[1], "mysql", folder / "mysql")
        made.certify = partial(_certify, made, started[0], folder)
        yield made
    finally:
        if started:
            subprocess.run(["docker", "rm", "--force", "--volumes", *started], stdout=subprocess.DEVNULL)


def _address(container: str, port: int) -> tuple[str, str]:
    """The container's own address if it can be reached, because Docker's port forwarding takes processor time."""
    address = _run(
        ["docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container]
    )
    deadline = time.monotonic() + REACH_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except ConnectionRefusedError:
            pass  # the container can be reached, and the server is about to start
        except OSError:
            time.sleep(0.1)  # the container's network is about to start, or can't be reached from here
            continue
        return address, str(port)
    return "127.0.0.1", _run(["docker", "port", container, f"{port}/tcp"]).split(":")[-1]


def _certify(made: Servers, container: str, folder: Path) -> None:
    """Give PostgreSQL a certificate, so that it accepts encrypted connections too."""
    certificate = trustme.CA().issue_cert(made.postgres["PGHOST"])
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.key").chmod(0o600)
    for name in ("server.crt", "server.key"):
        _run(["docker", "cp", str(folder / name), f"{container}:/{name}"])
        _run(["docker", "exec", "--user", "root", container, "chown", "postgres", f"/{name}"])
    with made.source("postgres") as connection:
        for setting, value in (("ssl_cert_file", "/server.crt"), ("ssl_key_file", "/server.key"), ("ssl", "on")):
            connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(RELOAD_SECONDS)


def _client(container: str, name: str, folder: Path) -> list[str]:
    """The command line of a client, which is copied from its container with its libraries to run here."""
    folder.mkdir()
    script = (
        f"program=$(readlink -f $(which {name})); case $program in *.pl|*/pg_wrapper) "
        f"program=$(ls /usr/lib/postgresql/*/bin/{name});; esac; "
        "tar --create --dereference --absolute-names --transform='s,.*/,,' "
        "$program $(ldd $program | grep -o '/[^ ]*')"
    )
    archive = subprocess.run(
        ["docker", "exec", container, "sh", "-c", script], stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive.stdout, check=True)
    [loader] = folder.glob("ld-linux*")
    return [str(loader), "--library-path", str(folder), str(folder / name)]


@contextmanager
def _embedded(folder: Path) -> Iterator[Servers]:
    os.environ["MARTLINE_HOME"] = str(folder / "platform")
    platform = Platform(Path.cwd())
    platform.up(lambda _name, _seconds: None, with_airflow=False)
    try:
        state = platform.state
        made = Servers(
            postgres={
                "PGHOST": "127.0.0.1",
                "PGPORT": str(state.ports["pgport"]),
                "PGUSER": "postgres",
                "PGPASSWORD": state.secrets["postgres_admin"],
            },
            mysql={
                "MYSQL_HOST": "127.0.0.1",
                "MYSQL_TCP_PORT": str(state.ports["mysql_tcp_port"]),
                "MYSQL_USER": "root",
                "MYSQL_PWD": state.secrets["mysql_admin"],
            },
        )
        if psql := shutil.which("psql"):
            made.psql = [psql]
        made.mysql_client = [str(next(fetch_programs().mariadb.rglob("bin/mariadb")))]
        yield made
    finally:
        platform.down()


def _wait(made: Servers) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            made.source("postgres").close()
            made.target().close()
            return
        except (psycopg.Error, pymysql.Error):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _run(command: Sequence[str], **options: object) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()  # type: ignore[call-overload, no-any-return]
