"""`replicate --follow` continues after temporary failures, and says what it waits for."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.connections import to_mysql, to_postgres
from tests.servers import open_server

Run = Callable[..., Any]
SECONDS = 120


class Follower:
    """A running `replicate --follow`, and its log."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines.extend(iter(self.process.stderr.readline, ""))

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def says(self, words: str, times: int = 1) -> str:
        """Wait for line number ``times`` of those with these words, and return it."""
        wait_for(lambda: sum(words in line for line in self.lines) >= times, f"{words!r} in the log", self)
        return [line for line in self.lines if words in line][times - 1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log
        self._reader.join(10)
        assert "--debug shows the traceback" not in self.log


def wait_for(is_so: Callable[..., bool], what: str, follower: Follower, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert follower.process.poll() is None, follower.log
        assert time.monotonic() < deadline, f"no {what}: {follower.log}"
        time.sleep(0.1)


@pytest.fixture
def follow(servers: dict[str, str], start: Callable[..., Any]) -> Callable[..., Follower]:
    """Start a follower, and wait until it follows."""

    def follow(*arguments: object, env: dict[str, str] | None = None) -> Follower:
        return followed(start, *arguments, env=env or servers)

    return follow


def followed(start: Callable[..., Any], *arguments: object, env: dict[str, str]) -> Follower:
    follower = Follower(start("replicate", "--follow", *arguments, env=env))
    follower.says("following: ")
    return follower


@contextmanager
def transaction(settings: dict[str, str], statement: str) -> Iterator[psycopg.Connection]:
    """An open transaction in PostgreSQL that has run this statement."""
    with to_postgres(settings, application_name="a long report") as connection, connection.transaction():
        connection.execute(statement)
        yield connection


@contextmanager
def waiting_to_publish(
    servers: dict[str, str], source: psycopg.Connection, follow: Callable[..., Follower], statement: str
) -> Iterator[Follower]:
    """A follower of ``t`` that can't publish the new table ``fresh``, because a transaction ran this statement."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    follower = follow()
    source.execute("CREATE TABLE fresh (id int PRIMARY KEY)")
    with transaction(servers, statement):
        follower.says("waiting for a lock on a table that is to be published")
        yield follower


@pytest.mark.pairs
def test_terminated_sessions_are_opened_again_and_every_change_arrives_once(
    pair: tuple[str, str],
    server: Callable[[str], Any],
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    follow: Callable[..., Follower],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    follower = follow()
    for number in range(1, 4):
        with server(pair[0]).admin() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                [servers["PGDATABASE"], source.info.backend_pid],
            )
        follower.says("following again", 2 * number - 1)
        source.execute(f"INSERT INTO t VALUES ({number}, 0)")
        source.execute("UPDATE t SET v = v + 1")
        wait_for(lambda n=number: len(query("SELECT * FROM t")) == n, "row", follower)
        with server(pair[1]).admin() as admin, admin.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE user = %s", [servers["MYSQL_USER"]]
            )
            [(mine,)] = query("SELECT CONNECTION_ID()")
            for (victim,) in cursor.fetchall():
                if victim != mine:
                    cursor.execute(f"KILL {victim}")
        follower.says("following again", 2 * number)
    wait_for(lambda: query("SELECT * FROM t ORDER BY id") == [(1, 3), (2, 2), (3, 1)], "changes", follower)
    assert "trying again in 1 s" in follower.log
    follower.stop()


def test_a_source_that_is_read_only_for_a_while_does_not_end_it(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    follow: Callable[..., Follower],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    follower = follow()
    source.execute(f"ALTER DATABASE {servers['PGDATABASE']} SET default_transaction_read_only = on")
    with to_postgres(servers) as admin:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
            [source.info.backend_pid],
        )
        follower.says("trying again")
        time.sleep(3)
        admin.execute(f"ALTER DATABASE {servers['PGDATABASE']} RESET default_transaction_read_only")
    source.execute("INSERT INTO t VALUES (1)")
    wait_for(lambda: query("SELECT * FROM t") == [(1,)], "row", follower)
    follower.stop()


def test_both_servers_restart_while_it_follows(tmp_path: Path, start: Callable[..., Any], run: Run) -> None:
    postgres, mysql = open_server("postgresql-18", tmp_path / "pg"), open_server("mariadb-11.4", tmp_path / "my")
    try:
        postgres.start()
        mysql.start()
        with postgres.database() as of_source, mysql.database() as of_target:
            settings = {**of_source, **of_target}
            with to_postgres(settings) as source:
                source.execute("CREATE TABLE t (id int PRIMARY KEY)")
            follower = followed(start, env=settings)
            for number, stopped in enumerate((postgres, mysql), 1):
                stopped.kill()
                follower.says("trying again in 2 s", number)
                stopped.start()
                with to_postgres(settings) as source:
                    source.execute(f"INSERT INTO t VALUES ({number})")
                follower.says("following again", number)
                with to_mysql(settings) as target, target.cursor() as cursor:
                    wait_for(lambda n=number, c=cursor: c.execute("SELECT * FROM t") == n, "row", follower)
            with mysql.admin() as admin, admin.cursor() as cursor:
                cursor.execute("SET GLOBAL read_only = ON")
                with to_postgres(settings) as source:
                    source.execute("INSERT INTO t VALUES (9)")
                assert "read" in follower.says("trying again in 2 s", 3)
                assert run("replicate", env=settings, check=False).status == 1
                cursor.execute("SET GLOBAL read_only = OFF")
            follower.says("following again", 3)
            run("replication-compare", env=settings)
            follower.stop()
    finally:
        postgres.remove()
        mysql.remove()


@pytest.mark.pairs
def test_a_reader_with_an_open_transaction_holds_up_an_alteration_but_no_other_reader(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    run: Run,
    start: Callable[..., Any],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    run("replicate", env=servers)
    source.execute("ALTER TABLE t ADD c int; INSERT INTO t VALUES (2, 3)")
    with to_mysql(servers) as reader, reader.cursor() as cursor:
        reader.begin()
        cursor.execute("SELECT * FROM t")
        process = Follower(start("replicate", env=servers))
        told = process.says("waiting for their end")
        assert "MySQL can't change t " in told
        slowest = 0.0
        for _ in range(15):
            began = time.monotonic()
            assert query("SELECT COUNT(*) FROM t") == [(1,)]
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.2)
        assert slowest < 10  # each attempt to alter the table holds readers up for a second
        assert process.process.poll() is None
        reader.rollback()
    assert process.process.wait(SECONDS) == 0, process.log
    assert query("SELECT * FROM t ORDER BY id") == [(1, None), (2, 3)]


@pytest.mark.pairs
def test_a_new_table_waits_for_an_open_transaction_while_other_changes_arrive(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    run: Run,
    follow: Callable[..., Follower],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    follower = follow()
    with transaction(servers, "INSERT INTO other VALUES (1)") as holder:
        source.execute("CREATE TABLE fresh (id int PRIMARY KEY, v int); INSERT INTO fresh VALUES (0, 0)")
        told = follower.says(f"process {holder.info.backend_pid} (")  # other tests' transactions come first
        assert "a snapshot waits in PostgreSQL for the end of" in told
        assert "a long report" in told
        for number in range(3):
            source.execute(f"INSERT INTO t VALUES ({number}); UPDATE fresh SET v = v + 1")
            wait_for(lambda n=number: len(query("SELECT * FROM t")) == n + 1, "row", follower)

        def lag() -> float:
            status = run("replication-status", env=servers).result
            assert status["tables"]["fresh"]["state"] == "copying"
            return float(status["lag_seconds"])

        wait_for(lambda: lag() < 6, "small lag", follower)  # it is told every five seconds
        source.execute("INSERT INTO fresh VALUES (1, 1)")
    follower.says("copied fresh")
    source.execute("UPDATE fresh SET v = v + 1")
    wait_for(lambda: query("SELECT * FROM fresh ORDER BY id") == [(0, 4), (1, 2)], "changes", follower)
    run("replication-compare", env=servers)
    follower.stop()


def test_changes_of_a_table_that_is_copied_beside_arrive_exactly_once(
    servers: dict[str, str], source: psycopg.Connection, run: Run, follow: Callable[..., Follower]
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)")
    follower = follow()
    ended = threading.Event()

    def change() -> None:
        with to_postgres(servers) as connection:
            number = 0
            while not ended.is_set():
                number += 1
                with connection.transaction():
                    for name in names:
                        connection.execute(f"UPDATE {name} SET v = v + 1 WHERE id = {number % 500}")
                        connection.execute(f"DELETE FROM {name} WHERE id = {number % 800}")
                        connection.execute(f"INSERT INTO {name} VALUES ({10_000 + number}, 0)")

    names = [f"fresh{n}" for n in range(3)]
    for name in names:
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)")
        source.execute(f"INSERT INTO {name} SELECT n, 0 FROM generate_series(1, 5000) n")
    changing = threading.Thread(target=change)
    changing.start()
    try:
        for name in names:
            follower.says(f"copied {name}")
        run("replication-compare", env=servers)
    finally:
        ended.set()
        changing.join()
    run("replication-compare", env=servers)
    follower.stop()


def test_a_stopped_follower_does_not_wait_for_the_snapshot_of_a_new_table(
    servers: dict[str, str], source: psycopg.Connection, run: Run, follow: Callable[..., Follower]
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    follower = follow()
    with transaction(servers, "INSERT INTO t VALUES (1)"):
        source.execute("CREATE TABLE fresh (id int PRIMARY KEY)")
        follower.says("a snapshot waits in PostgreSQL")
        follower.stop()
    assert run("replicate", env=servers).result["copied"] == {"fresh": 0}


def test_tables_that_are_new_when_it_starts_hold_up_no_changes_of_the_others(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    run: Run,
    follow: Callable[..., Follower],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute("CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)")
    with transaction(servers, "INSERT INTO other VALUES (1)"):
        follower = follow()
        source.execute("INSERT INTO t VALUES (1)")
        wait_for(lambda: query("SELECT * FROM t") == [(1,)], "row", follower)
        follower.says("a snapshot waits in PostgreSQL")
    follower.says("copied fresh")
    follower.stop()


def test_tables_that_cannot_be_copied_are_told_of_and_hold_up_neither_changes_nor_other_new_tables(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    run: Run,
    follow: Callable[..., Follower],
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run("replicate", env=servers)
    query("CREATE TABLE taken (precious int)")
    source.execute("CREATE TABLE keyless (v int); CREATE TABLE taken (id int PRIMARY KEY)")
    follower = follow()
    assert "keyless is not followed" in follower.log
    source.execute("INSERT INTO t VALUES (1)")
    wait_for(lambda: query("SELECT * FROM t") == [(1,)], "row", follower)
    assert "MySQL has a table taken that did not come from" in follower.says("taken can't be copied yet")
    source.execute("CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)")
    follower.says("copied fresh")
    assert query("DESCRIBE taken")[0][0] == "precious"
    query("DROP TABLE taken")
    follower.says("copied taken")
    run("replication-compare", "t", "fresh", "taken", env=servers)
    follower.stop()


def test_a_lock_of_a_new_table_that_keeps_it_from_being_published_holds_up_no_changes(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    follow: Callable[..., Follower],
) -> None:
    with waiting_to_publish(servers, source, follow, "LOCK TABLE fresh IN SHARE ROW EXCLUSIVE MODE") as follower:
        for number in range(10):
            source.execute(f"INSERT INTO t VALUES ({number})")
            wait_for(lambda n=number: len(query("SELECT * FROM t")) > n, "row", follower)
    follower.says("copied fresh")
    follower.stop()


def test_a_new_table_that_is_renamed_while_its_publication_waits_for_it_is_copied_with_its_new_name(
    servers: dict[str, str],
    source: psycopg.Connection,
    follow: Callable[..., Follower],
) -> None:
    with waiting_to_publish(servers, source, follow, "ALTER TABLE fresh RENAME TO renamed") as follower:
        pass
    follower.says("fresh can't be copied yet")
    follower.says("copied renamed")
    follower.stop()
