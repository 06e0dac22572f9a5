"""A false server, or one that an attacker controls, gets neither files nor the password."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.false_servers import FalseMySQL, FalsePostgreSQL, false_server

from martline.command import Failure, MySQLSettings
from pg_to_mysql.mysql.loading import LoadingConnection

PASSWORD = "very secret"


def ask(server: MySQLSettings) -> None:
    with server.connect().cursor() as cursor:
        for _ in range(10):
            cursor.execute("SELECT 1")


def settings(port: int) -> MySQLSettings:
    return MySQLSettings("127.0.0.1", port, "someone", "shop", PASSWORD)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "pgpass"
    path.write_text("what nobody must see")
    return path


@pytest.mark.parametrize("answers_before", range(4))
def test_a_mysql_that_asks_for_a_file_in_answer_to_any_statement_gets_none(
    secret: Path, answers_before: int
) -> None:
    server = FalseMySQL(None, str(secret).encode(), answers_before)
    with false_server(server) as port, pytest.raises(Failure, match=r"file of this machine|Out of Sync"):
        ask(settings(port))
    assert not any(b"nobody" in packet for packet in server.received)


def test_a_mysql_that_asks_for_another_file_than_the_load_names_gets_none(secret: Path) -> None:
    sent: list[Any] = []
    server = FalseMySQL(None, str(secret).encode(), 1000)
    with false_server(server) as port:
        connection = settings(port).connect(LoadingConnection)
        server._answers_before = 0
        with pytest.raises(Failure, match="asks for a file of this machine"):
            connection.load("LOAD DATA LOCAL INFILE 'name' INTO TABLE t", "name", sent.append, 1 << 20)
        assert not connection.open
    assert not sent
    assert not any(b"nobody" in packet for packet in server.received)


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog", b"mysql_old_password"])
def test_a_mysql_without_tls_that_asks_for_the_password_in_clear_does_not_get_it(plugin: bytes) -> None:
    server = FalseMySQL(plugin, b"")
    with (
        false_server(server) as port,
        pytest.raises(Failure, match=r"password in clear .* ssl_mode=REQUIRED"),
    ):
        settings(port).connect()
    assert not server.received


def test_a_postgresql_without_tls_that_asks_for_the_password_in_clear_does_not_get_it(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    service = tmp_path / "service"
    service.write_text("[shop]\nsslmode=disable\n")
    server = FalsePostgreSQL()
    with false_server(server) as port:
        login = {
            "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "someone", "PGPASSWORD": PASSWORD,
            "PGDATABASE": "shop", "MYSQL_HOST": "127.0.0.1", "MYSQL_USER": "someone", "MYSQL_DATABASE": "shop",
        }  # fmt: skip
        for more, sentence in [
            ({}, "PGSSLMODE=require"),
            ({"PGSSLMODE": "prefer"}, "PGSSLMODE=require"),
            ({"PGSSLMODE": "disable", "PGREQUIREAUTH": "password"}, "PGSSLMODE=require"),
            ({"PGSSLMODE": "disable", "PGREQUIREAUTH": "!md5,!none"}, "PGSSLMODE=require"),
            # The environment has precedence over the service file.
            ({"PGSSLMODE": "require", "PGSERVICEFILE": str(service), "PGSERVICE": "shop"}, "SSL"),
        ]:
            ended = run("replication-status", env={**login, **more}, check=False)
            assert ended.status == 1
            assert sentence in ended.log, more
            assert "unexpected" not in ended.log
    assert set(server.received) <= {b""}
