"""MariaDB: the replica and the marts. It speaks MySQL's protocol."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pymysql

from martline.command import Failure
from martline.dashboard.tables import role_statements
from martline.embedded.environment import inherited
from martline.embedded.server import Server
from martline.embedded.state import State, write_private

DASHBOARD = "dashboard"
"""The dashboard's role, which may only read the marts and the bookkeeping."""
# The scripts of MariaDB's own installer, in its order.
SYSTEM_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mariadb_sys_schema.sql",
)


def prepare(state: State, base: Path) -> None:
    """Create the data folder, once, and the script that sets users and passwords at each start."""
    write_private(state.run / "mariadb-init.sql", _users(state))
    data = state.data("mariadb")
    if data.exists():
        return
    partial = data.with_name("mariadb.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    script = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n" + "".join(
        (base / "share" / name).read_text(encoding="utf-8") for name in SYSTEM_TABLES
    )
    command = [*_program(base, state.plain(partial)), "--bootstrap"]
    run = subprocess.run(
        command,
        env=inherited(),
        umask=0o077,
        input=script,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if run.returncode != 0:
        log = state.logs / "mariadb.log"
        write_private(log, run.stdout + run.stderr)
        raise Failure(f"MariaDB's data folder {data} can't be made: see {log}")
    partial.rename(data)


def server(state: State, base: Path) -> Server:
    """The server process."""
    settings = {
        "bind-address": "127.0.0.1",
        "port": str(state.ports["mysql_tcp_port"]),
        "socket": str(state.runtime / "mariadb.sock"),
        "pid-file": str(state.runtime / "mariadb.pid"),
        "init-file": str(state.plain(state.run / "mariadb-init.sql")),
        "character-set-server": "utf8mb4",
        "default-time-zone": "+00:00",
        "local-infile": "1",
        "skip-name-resolve": "1",
        "skip-ssl": "1",  # otherwise it would spend seconds at each start on making a key
        "innodb-buffer-pool-size": "128M",
        "max-connections": "200",
        "performance-schema": "0",
    }
    command = _program(base, state.plain(state.data("mariadb"))) + [
        f"--{name}={value}" for name, value in settings.items()
    ]

    def is_ready() -> bool:
        try:
            pymysql.connect(
                host="127.0.0.1",
                port=state.ports["mysql_tcp_port"],
                user=state.settings.mysql_user,
                password=state.secrets["mysql_pwd"],
                database=state.settings.mysql_database,
                connect_timeout=5,
            ).close()
        except pymysql.MySQLError:
            return False
        return True

    return Server("mariadb", command, is_ready)


def environment(state: State) -> dict[str, str]:
    """The variables for the commands, with the names of MySQL's own clients."""
    return {
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_TCP_PORT": str(state.ports["mysql_tcp_port"]),
        "MYSQL_USER": state.settings.mysql_user,
        "MYSQL_DATABASE": state.settings.mysql_database,
        "MYSQL_PWD": state.secrets["mysql_pwd"],
    }


def _program(base: Path, data: Path) -> list[str]:
    command = [str(base / "bin" / "mariadbd"), "--no-defaults", f"--basedir={base}", f"--datadir={data}"]
    return [*command, "--user=root"] if os.geteuid() == 0 else command


def _users(state: State) -> str:
    """A script for ``init-file``, with one statement on each line."""
    database, user = state.settings.mysql_database, state.settings.mysql_user
    password, admin = _hash(state.secrets["mysql_pwd"]), _hash(state.secrets["mysql_admin"])
    dashboard = _hash(state.secrets["mysql_dashboard"])
    return "\n".join(
        (
            f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4;",
            f"CREATE USER IF NOT EXISTS '{user}'@'127.0.0.1';",
            f"ALTER USER '{user}'@'127.0.0.1' IDENTIFIED BY PASSWORD '{password}';",
            f"GRANT ALL ON `{database}`.* TO '{user}'@'127.0.0.1';",
            *(f"{statement};" for statement in role_statements(DASHBOARD, "127.0.0.1", database)),
            f"ALTER USER '{DASHBOARD}'@'127.0.0.1' IDENTIFIED BY PASSWORD '{dashboard}' ACCOUNT UNLOCK;",
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY PASSWORD '{admin}';",
            "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';",
            f"ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY PASSWORD '{admin}';",
            "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;",
            # The installer's scripts create more such users, for other names of this machine.
            "DELETE FROM mysql.global_priv WHERE User IN ('', 'root') AND Host NOT IN ('localhost', '127.0.0.1')"
            " AND COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') = '';",
            "FLUSH PRIVILEGES;",
            "",
        )
    )


def _hash(password: str) -> str:
    """The hash that the server stores; a failing statement is logged and must not show the password."""
    twice = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest()  # noqa: S324 - MySQL's own format
    return f"*{twice.upper()}"
