"""Rows that PostgreSQL sends: how the copy ends, and that the connection can be used again."""

import io
import os
import re
import threading
from collections.abc import Iterator

import psycopg
import pytest
import trustme
from tests.connections import to_postgres
from tests.servers import PostgreSQLContainer, open_server

from martline.command import Failure, PassingFailure
from pg_to_mysql.postgres.copy_out import copy_out
from pg_to_mysql.postgres.export import import_snapshot

ROWS = b"COPY (SELECT n, repeat('x', 100) FROM generate_series(1, %d) n) TO STDOUT (FORMAT csv)"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQLContainer]:
    """A server that refuses connections without TLS."""
    server = open_server("postgresql-17", tmp_path_factory.mktemp("encrypted"))
    assert isinstance(server, PostgreSQLContainer)
    try:
        server.start()
        server.require_tls(trustme.CA().issue_cert("localhost"))
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["plain", "encrypted"])
def settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A database's settings, with and without TLS."""
    if request.param == "plain":
        yield request.getfixturevalue("postgres")
    else:
        with request.getfixturevalue("encrypted").database() as settings:
            yield settings


@pytest.fixture
def reader(settings: dict[str, str]) -> Iterator[psycopg.Connection]:
    with to_postgres(settings) as connection:
        yield connection


def copied(reader: psycopg.Connection, rows: int) -> list[int]:
    """Copy the rows, and return their numbers as MySQL would read them."""
    stream = io.BytesIO()
    assert copy_out(reader, ROWS % rows, stream) == rows
    lines = re.fullmatch(rb"(?:\d+,x{100}\n)*", stream.getvalue())
    assert lines
    return [int(number) for number in re.findall(rb"\d+", lines[0])]


@pytest.mark.parametrize("rows", [0, 1, 100_000])
def test_each_row_is_written_once_and_the_connection_can_be_used_again(
    reader: psycopg.Connection, rows: int
) -> None:
    for _ in range(2):
        assert copied(reader, rows) == list(range(1, rows + 1))
        assert reader.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        b"COPY (SELECT 1 / 0) TO STDOUT",
        b"COPY (SELECT repeat('x', 100), 1 / (99999 - n) FROM generate_series(1, 200000) n) TO STDOUT",
    ],
    ids=["at the first row", "after many rows"],
)
def test_an_error_of_the_server_is_told_and_the_connection_can_be_used_again(
    reader: psycopg.Connection, statement: bytes
) -> None:
    with pytest.raises(Failure, match=r"^PostgreSQL ends a copy: division by zero$"):
        copy_out(reader, statement, io.BytesIO())
    assert copied(reader, 10) == list(range(1, 11))


def test_a_statement_longer_than_the_sockets_buffer_is_sent_whole(reader: psycopg.Connection) -> None:
    comment = b"/*" + b"x" * (16 << 20) + b"*/ "
    assert copy_out(reader, comment + ROWS % 3, io.BytesIO()) == 3


def test_who_writes_may_fail_early_and_the_connection_can_be_used_again(reader: psycopg.Connection) -> None:
    class Broken(io.RawIOBase):
        def write(self, _: object) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        copy_out(reader, ROWS % 200_000, Broken())
    assert copied(reader, 10) == list(range(1, 11))


def test_a_server_that_ends_the_connection_fails_the_copy(
    reader: psycopg.Connection, settings: dict[str, str]
) -> None:
    reading, writing = os.pipe()
    pid = reader.info.backend_pid

    def end() -> None:
        os.read(reading, 10)  # it has begun
        with to_postgres(settings) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with os.fdopen(reading, "rb") as stream:
            while stream.read(1 << 20):
                pass

    ending = threading.Thread(target=end)
    ending.start()
    with os.fdopen(writing, "wb", buffering=0) as stream, pytest.raises(Failure, match="PostgreSQL"):
        copy_out(reader, ROWS % 5_000_000, stream)
    ending.join()


@pytest.mark.pairs
def test_a_snapshot_whose_exporter_has_ended_is_worth_another_try(
    servers: dict[str, str], source: psycopg.Connection
) -> None:
    with to_postgres(servers) as exporter, exporter.transaction():
        [(name,)] = exporter.execute("SELECT pg_export_snapshot()").fetchall()
    with source.transaction():
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(PassingFailure, match="connection that exported"):
            import_snapshot(source, name)
