"""Who may do what on the embedded platform, tried on its servers."""

import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import pymysql
import pytest
from tests.connections import to_postgres

from martline.embedded import postgres
from martline.embedded.artifacts import fetch_programs
from martline.embedded.platform import Platform


def shop(platform: Platform) -> dict[str, str]:
    environment = platform.environment()
    return {name: environment[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSFILE")}


def test_the_shops_role_gets_no_copy_of_the_servers_files(platform: Platform, tmp_path: Path) -> None:
    ended = subprocess.run(
        [postgres.PROGRAMS / "pg_basebackup", "--pgdata", tmp_path / "copy", "--no-password"],
        env=shop(platform),
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert "no pg_hba.conf entry for replication connection" in ended.stderr
    assert not (tmp_path / "copy" / "global").exists()


@pytest.mark.parametrize("replication", [{}, {"replication": "database"}])
def test_the_shops_role_gets_into_its_own_database_alone(platform: Platform, replication: dict[str, str]) -> None:
    password = platform.state.secrets["pgpassword"]
    settings = {**shop(platform), "PGPASSWORD": password}
    to_postgres(settings, **replication).close()
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        to_postgres({**settings, "PGDATABASE": "airflow"}, **replication)


def test_a_task_is_given_no_password_but_the_shops(platform: Platform) -> None:
    environment = platform.environment()
    passwords = Path(environment["PGPASSFILE"]).read_text().splitlines()
    assert [line.split(":")[3] for line in passwords] == ["shop"]
    secrets = platform.state.secrets
    known = {secrets[name] for name in secrets if name not in ("pgpassword", "mysql_pwd")}
    assert not [name for name, value in environment.items() if any(secret in value for secret in known)]


def test_zookeeper_does_nothing_for_a_stranger(platform: Platform) -> None:
    environment = platform.environment()
    port = platform.state.ports["zookeeper_port"]
    command = [
        str(Path(environment["JAVA_HOME"]) / "bin" / "java"),
        *("-cp", ":".join(map(str, fetch_programs().kafka)), "org.apache.zookeeper.ZooKeeperMain"),
        *("-server", f"127.0.0.1:{port}", "ls", "/brokers"),
    ]
    stranger = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "[ids, " not in stranger.stdout
    assert stranger.returncode != 0
    login = f"-Djava.security.auth.login.config={platform.state.run / 'kafka.jaas'}"
    kafka = subprocess.run(
        [command[0], login, *command[1:]], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "ids" in kafka.stdout


def test_everybody_needs_a_password_for_mariadb(platform: Platform) -> None:
    with pymysql.connect(
        host="127.0.0.1",
        port=platform.state.ports["mysql_tcp_port"],
        user="root",
        password=platform.state.secrets["mysql_admin"],
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT User, Host FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.account_locked') IS NOT TRUE"
            " AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0"
            " AND COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') = ''"
        )
        assert cursor.fetchall() == ()
        cursor.execute(
            "SELECT DISTINCT Host FROM mysql.global_priv WHERE Host NOT IN ('127.0.0.1', 'localhost', '')"
        )
        assert cursor.fetchall() == ()


def test_what_the_servers_write_is_for_its_owner_alone(platform: Platform) -> None:
    open_to_others = []
    for folder, _, files in os.walk(platform.state.folder):
        for file in files:
            path = Path(folder, file)
            with suppress(FileNotFoundError):  # the servers work, and remove files
                mode = path.lstat().st_mode
                # PostgreSQL's own folder belongs to another user if user namespaces can't be created.
                if stat.S_ISREG(mode) and mode & 0o007:
                    open_to_others.append(path)
    assert open_to_others == []
