"""Operating a replica: the slot's log, metrics, roles with the least privileges, TLS."""

import os
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from tests.connections import to_mysql, to_postgres
from tests.servers import MySQLContainer, PostgreSQLContainer, open_server

from martline.command import port_is_free

Run = Callable[..., Any]


def test_a_slot_over_the_limit_is_warned_of_and_dropped_and_the_tables_are_copied_again(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1)")
    run("replicate", env=servers)
    source.execute("INSERT INTO t SELECT n, repeat('v', 100) FROM generate_series(2, 20000) n")
    warned = run("replication-status", "--warn-over", "1M", env=servers)
    assert "keeps" in warned.log
    assert "run `replicate`" in warned.log
    assert run("replication-status", "--drop-slot-over", "1G", env=servers).result["slot_state"] == "ready"
    # The source's disk is protected even while MySQL is down.
    dropped = run(
        "replication-status", "--drop-slot-over", "1MB", env={**servers, "MYSQL_TCP_PORT": "1"}, check=False
    )
    assert dropped.status == 1
    assert "dropped the slot" in dropped.log
    assert run("replication-status", env=servers).result["slot_state"] == "missing"
    again = run("replicate", env=servers)
    assert "copying its tables again" in again.log
    assert again.result["copied"] == {"t": 20000}
    run("replication-compare", env=servers)


def test_a_follower_tells_its_state_as_metrics(
    servers: dict[str, str], source: psycopg.Connection, run: Run, start: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    port = next(filter(port_is_free, range(21000, 22000)))
    start("replicate", "--follow", "--metrics-port", port, env=servers)
    wait_for(port, "replication_table_rows_copied", lambda value: value == 2)
    source.execute("INSERT INTO t VALUES (3), (4), (5)")
    committed = time.time()
    wait_for(port, "replication_changes_applied_total", lambda value: value >= 3)
    wait_for(port, "replication_lag_seconds", lambda value: value == 0)
    told = wait_for(port, "replication_last_commit_timestamp_seconds", lambda value: value > 0)
    assert abs(told - committed) < 5
    assert wait_for(port, 'replication_table_state{state="copied",table="t"}', lambda value: value == 1)
    assert wait_for(port, "replication_slot_retained_wal_bytes", lambda value: value > 0)
    # While another connection locks the table, nothing arrives, and the lag shows it.
    with to_mysql(servers) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        source.execute("INSERT INTO t VALUES (6)")
        wait_for(port, "replication_lag_seconds", lambda value: value > 2)
    wait_for(port, "replication_lag_seconds", lambda value: value == 0)


def wait_for(port: int, name: str, is_right: Callable[[float], bool]) -> float:
    """Wait until the metric's value is right, and return it."""
    deadline = time.monotonic() + 60
    value = None
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            text = ""
        found = re.search(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        value = float(found[1]) if found else None
        if value is not None and is_right(value):
            return value
        time.sleep(0.1)
    raise AssertionError(f"{name} is {value}")


@pytest.mark.pairs("each")
def test_the_least_privileges_are_enough(
    pair: tuple[str, str],
    server: Callable[[str], Any],
    servers: dict[str, str],
    source: psycopg.Connection,
    run: Run,
) -> None:
    role = f"r_{servers['PGDATABASE']}"
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE keyless (v text)")
    source.execute("INSERT INTO t VALUES (1, 'a')")
    host = "%" if pair[1] == "mysql-9.7" else "127.0.0.1"
    with server(pair[0]).admin(servers["PGDATABASE"]) as admin, server(pair[1]).admin() as admin_of_mysql:
        cursor = admin_of_mysql.cursor()

        def make_roles() -> None:
            admin.execute(run("replication-roles", "postgresql", "--role", role, env=servers).output)
            statements = run("replication-roles", "mysql", "--role", role, "--host", host, env=servers).output
            for statement in statements.strip().removesuffix(";").split(";\n"):
                cursor.execute(statement)

        make_roles()
        admin.execute(f"ALTER ROLE {role} PASSWORD 'secret'")
        cursor.execute(f"ALTER USER '{role}'@'{host}' IDENTIFIED BY 'secret' ACCOUNT UNLOCK")
        restricted = {
            **servers, "PGUSER": role, "PGPASSWORD": "secret", "MYSQL_USER": role, "MYSQL_PWD": "secret",
        }  # fmt: skip
        try:
            assert run("replicate", "t", env=restricted).result["copied"] == {"t": 1}
            source.execute("UPDATE t SET v = 'b'; INSERT INTO t VALUES (2, NULL); UPDATE keyless SET v = 'x'")
            assert run("replicate", "t", env=restricted).result["changes"] == 2
            run("replication-compare", "t", env=restricted)
            assert run("replication-status", env=restricted).result["slot_state"] == "ready"
            source.execute("CREATE TABLE younger (id int NOT NULL UNIQUE); INSERT INTO younger VALUES (1)")
            source.execute("ALTER TABLE younger REPLICA IDENTITY FULL")
            refused = run("replicate", "younger", env=restricted, check=False)
            assert refused.status == 1
            assert "replication-roles" in refused.log
            make_roles()
            assert run("replicate", "younger", env=restricted).result["copied"] == {"younger": 1}
            cursor.execute(f"SHOW GRANTS FOR '{role}'@'{host}'")
            everywhere = [grant for (grant,) in cursor.fetchall() if " ON *.* " in grant]
            assert [grant.split(" TO ")[0] for grant in everywhere] == ["GRANT USAGE ON *.*"]
        finally:
            cursor.execute(f"DROP USER '{role}'@'{host}'")
            admin.execute(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{role}'"
            )
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")


def test_both_servers_are_reached_over_tls_and_their_certificates_are_checked(tmp_path: Path, run: Run) -> None:
    authority, other = trustme.CA(), trustme.CA()
    trusted, untrusted = tmp_path / "trusted.pem", tmp_path / "untrusted.pem"
    authority.cert_pem.write_to_path(trusted)
    other.cert_pem.write_to_path(untrusted)
    postgres = open_server("postgresql-17", tmp_path / "postgres")
    mysql = open_server("mysql-9.7", tmp_path / "mysql")
    assert isinstance(postgres, PostgreSQLContainer)
    assert isinstance(mysql, MySQLContainer)
    try:
        for server in (postgres, mysql):
            server.start()
        certificate = authority.issue_cert("localhost")
        postgres.require_tls(certificate)
        mysql.require_tls(authority, certificate)
        with postgres.database() as source_settings, mysql.database() as target_settings:
            settings = {**source_settings, **target_settings, "PGHOST": "localhost", "MYSQL_HOST": "localhost"}
            checked = {
                **settings,
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": str(trusted),
                "MYSQL_SSL_MODE": "VERIFY_IDENTITY",
                "MYSQL_SSL_CA": str(trusted),
            }
            with to_postgres({**settings, "PGHOST": "localhost"}) as source:
                source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            assert run("replicate", env=checked).result["copied"] == {"t": 1}
            run("replication-compare", env=checked)
            # The address differs from the name in the certificate.
            for change, sentence in [
                ({"PGSSLMODE": "disable"}, "PostgreSQL can't be reached"),
                ({"PGSSLROOTCERT": str(untrusted)}, "certificate verify failed"),
                ({"PGHOST": "127.0.0.1"}, "PostgreSQL can't be reached"),
                ({"MYSQL_SSL_MODE": "DISABLED"}, "insecure transport"),
                ({"MYSQL_SSL_CA": str(untrusted)}, "certificate verify failed"),
                ({"MYSQL_HOST": "127.0.0.1"}, "IP address mismatch"),
            ]:
                failed = run("replicate", env={**checked, **change}, check=False)
                assert failed.status == 1, change
                assert sentence in failed.log
            run("replicate", env={**checked, "MYSQL_HOST": "127.0.0.1", "MYSQL_SSL_MODE": "VERIFY_CA"})
            run("replicate", env={**checked, "MYSQL_SSL_CA": "", "MYSQL_SSL_MODE": "REQUIRED"})
    finally:
        for server in (postgres, mysql):
            server.remove()


@pytest.mark.pairs("each")
def test_a_new_password_is_exchanged_without_tls(
    pair: tuple[str, str], servers: dict[str, str], run: Run
) -> None:
    # MySQL's caching_sha2_password then uses RSA, because the server has not cached the password yet.
    result = run("replication-status", env={**servers, "MYSQL_SSL_MODE": "DISABLED"}).result
    assert result["slot_state"] == "missing"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"MYSQL_SSL_MODE": "maybe"}, "MYSQL_SSL_MODE is 'maybe'"),
        ({"MYSQL_SSL_CA": "/no/such/file"}, "MYSQL_SSL_CA is '/no/such/file'"),
        ({"MYSQL_SSL_CA": os.devnull}, "can't be used"),
    ],
)
def test_a_wrong_setting_of_tls_is_named(
    settings: dict[str, str], sentence: str, servers: dict[str, str], run: Run
) -> None:
    ended = run("replication-status", env={**servers, **settings}, check=False)
    assert ended.status == 2
    assert sentence in ended.log


def test_metrics_without_a_follower_and_wrong_sizes_are_refused(servers: dict[str, str], run: Run) -> None:
    ended = run("replicate", "--metrics-port", "21999", env=servers, check=False)
    assert ended.status == 2
    assert "--metrics-port needs --follow" in ended.log
    ended = run("replication-status", "--drop-slot-over", "much", env=servers, check=False)
    assert ended.status == 2
    assert "'much' is not a size" in ended.log


def test_a_fault_of_postgresql_itself_is_told_in_a_sentence(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    # With such costs, PostgreSQL can't plan some queries on its catalogue.
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    for setting in ("cpu_operator_cost = 1.79769e+308", "geqo_threshold = 2", "enable_seqscan = off"):
        source.execute(f"ALTER DATABASE {servers['PGDATABASE']} SET {setting}")
    told = run("replicate", env=servers, check=False)
    source.execute(f"ALTER DATABASE {servers['PGDATABASE']} RESET ALL")
    assert told.status == 1
    assert "--debug shows the traceback" not in told.log
    assert "check PostgreSQL's log" in told.log
