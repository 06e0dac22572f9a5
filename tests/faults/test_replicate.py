"""`replicate` and both servers are killed at random moments: in the end, nothing is lost or doubled."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import psycopg
import pymysql
import pytest
from tests.connections import to_mysql, to_postgres
from tests.servers import open_server

pytestmark = [pytest.mark.pairs("each"), pytest.mark.timeout(0)]
ROUNDS = 12
ROWS = 20_000
ACCOUNTS = 200
TOTAL = 2 * ACCOUNTS * 50
Connect = Callable[[], Any]


@pytest.fixture
def servers(pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A PostgreSQL and a MySQL server for this test only, so that it can kill them."""
    with ExitStack() as stack:
        opened = []
        for name in pair:
            server = open_server(name, tmp_path_factory.mktemp(name))
            stack.callback(server.remove)
            server.start()
            opened.append(server)
        yield opened


def test_killed_anywhere_it_ends_equal_and_readers_see_whole_transactions_in_order(
    servers: list[Any], run: Callable[..., Any], start: Callable[..., Any], scale: int
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    postgres, mysql = servers
    with postgres.database() as source_settings, mysql.database() as target_settings:
        settings = {**source_settings, **target_settings}
        source, target = connectors(settings)
        create_accounts(source)
        started = time.monotonic()
        run("replicate", env=settings)
        usual_seconds = time.monotonic() - started
        tables: list[str] = []
        with background(watch_money, target):
            with background(move_money, source, seed):
                for number in range(ROUNDS * scale):
                    if number % 4 == 0 and number < 40:
                        tables.append(create_table(source, number))
                    change(source, tables, chance)
                    process = start("replicate", *chance.choice([(), ("--follow",)]), env=settings)
                    time.sleep(chance.uniform(0, 2 * usual_seconds))
                    victims = chance.choice(
                        [[process], [process], [postgres], [mysql], [process, postgres, mysql]]
                    )
                    for victim in victims:
                        victim.kill()
                    for server in servers:
                        if server in victims:
                            server.start()
                    process.kill()
                    _, log = process.communicate()
                    assert "copying its tables again" not in log
            run("replicate", env=settings)
        for table in ("checking", "saving", *tables):
            assert rows(target, table) == rows(source, table), f"{table} differs, seed {seed}"
        run("replication-compare", env=settings)
        left_over = {
            name
            for (name,) in rows(target, "information_schema.tables", "table_name", "table_schema = DATABASE()")
        }
        assert {name for name in left_over if not name.startswith("_replication")} == {
            "checking",
            "saving",
            *tables,
        }
        assert not {name for name in left_over if "staging" in name or name.endswith("_old")}


@pytest.mark.parametrize("transactional", [True, False])
def test_killed_in_a_large_transaction_it_goes_on_and_loses_and_doubles_nothing(
    transactional: bool, servers: list[Any], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    postgres, mysql = servers
    mode = "--transactional" if transactional else "--no-transactional"
    with postgres.database() as source_settings, mysql.database() as target_settings:
        settings = {**source_settings, **target_settings}
        source, target = connectors(settings)
        with source() as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
            run("replicate", env=settings)
            with connection.transaction():
                connection.execute("INSERT INTO t SELECT n, repeat('x', 2000) FROM generate_series(1, 30000) n")
                # If these were applied twice, other rows would be left.
                connection.execute("UPDATE t SET id = id + 100000 WHERE id % 3 = 0")
                connection.execute("INSERT INTO t SELECT n, 'again' FROM generate_series(3, 30000, 3) n")
                deleted = connection.execute("DELETE FROM t WHERE id % 7 = 0").rowcount
        process = start("replicate", mode, env=settings)
        while rows_under_way(mysql) < 5000 and rows(target, "t", "COUNT(*)") == [(0,)]:
            assert process.poll() is None
            time.sleep(0.2)  # MariaDB updates this information only every 0.1 s
        if not transactional:
            while rows(target, "t", "COUNT(*)") == [(0,)]:
                assert process.poll() is None
        process.kill()
        process.wait()
        [(seen,)] = rows(target, "t", "COUNT(*)")
        [(applied,)] = rows(target, "_replication", "applied_changes")
        assert (seen == applied == 0) if transactional else (seen > 0 and applied > 0)
        again = run("replicate", mode, env=settings).result
        assert again["changes"] + applied == 30_000 + 10_000 + 10_000 + deleted
        assert rows(target, "t") == rows(source, "t")
        run("replication-compare", env=settings)


def rows_under_way(mysql: Any) -> int:
    """How many rows the largest open transaction in MySQL has written."""
    with mysql.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(trx_rows_modified), 0) FROM information_schema.innodb_trx")
        return int(cursor.fetchone()[0])


def connectors(settings: dict[str, str]) -> tuple[Connect, Connect]:
    """How to connect to PostgreSQL and to MySQL. Each statement is a transaction."""
    return partial(to_postgres, settings), partial(to_mysql, settings)


def rows(connect: Connect, table: str, columns: str = "*", condition: str = "1 = 1") -> list[tuple[Any, ...]]:
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY 1")
        return list(cursor.fetchall())


def create_accounts(source: Connect) -> None:
    """Create two tables between which money moves. The sum over both is always the same."""
    with source() as connection:
        for table in ("checking", "saving"):
            connection.execute(
                f"CREATE TABLE {table} (id int PRIMARY KEY, amount int NOT NULL, moved bigint NOT NULL)"
            )
            connection.execute(f"INSERT INTO {table} SELECT n, 50, 0 FROM generate_series(1, {ACCOUNTS}) n")


def create_table(source: Connect, number: int) -> str:
    table = f"t{number}"
    with source() as connection:
        connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, value int NOT NULL, words text)")
        connection.execute(f"ALTER TABLE {table} ALTER words SET STORAGE EXTERNAL")
        connection.execute(
            f"INSERT INTO {table} SELECT n, n, repeat('w', mod(n, 50)) FROM generate_series(1, {ROWS}) n"
        )
    return table


def change(source: Connect, tables: list[str], chance: random.Random) -> None:
    """Run a few transactions on all tables: inserts, deletes, updates, even of keys and beside large values."""
    with source() as connection:
        for _ in range(chance.randrange(1, 8)):
            with connection.transaction():
                for table in tables:
                    low = chance.randrange(ROWS)
                    connection.execute(
                        f"UPDATE {table} SET value = value + 1 WHERE id BETWEEN {low} AND {low + 200}"
                    )
                    connection.execute(f"DELETE FROM {table} WHERE id BETWEEN {low + 90} AND {low + 110}")
                    connection.execute(
                        f"INSERT INTO {table} SELECT coalesce(max(id), 0) + 1, 0, repeat('large', 2000) FROM {table}"
                    )
                    connection.execute(
                        f"UPDATE {table} SET id = (SELECT max(id) + 1 FROM {table}) WHERE id = {low}"
                    )
        if chance.random() < 0.05:
            connection.execute(f"TRUNCATE {chance.choice(tables)}")
            connection.execute(f"INSERT INTO {chance.choice(tables)} VALUES (-1, 0, NULL) ON CONFLICT DO NOTHING")


def move_money(source: Connect, seed: int, stopped: threading.Event) -> None:
    """Run small transactions on both tables whenever PostgreSQL is up; it is killed now and then."""
    chance = random.Random(seed)
    while not stopped.is_set():
        with suppress(psycopg.Error), source() as connection:
            while not stopped.wait(0.02):
                amount = chance.randrange(-9, 9)
                with connection.transaction():
                    for table, change in (("checking", amount), ("saving", -amount)):
                        connection.execute(
                            f"UPDATE {table} SET amount = amount + {change} WHERE id = {chance.randint(1, ACCOUNTS)}"
                        )
                        connection.execute(f"UPDATE {table} SET moved = moved + 1 WHERE id = 1")
        stopped.wait(0.1)


def watch_money(target: Connect, stopped: threading.Event) -> None:
    """Check that a reader of MySQL never sees half a transaction, and never goes back in time."""
    both = "SELECT SUM(amount), MAX(moved) FROM {}"
    last = 0
    ended = False
    while not ended:
        with suppress(pymysql.MySQLError), target() as connection, connection.cursor() as cursor:
            while not ended:
                ended = stopped.wait(0.02)
                cursor.execute(f"{both.format('checking')} UNION ALL {both.format('saving')}")
                (checking, moved), (saving, moved_too) = cursor.fetchall()
                seen = f"{checking} and {saving} after {moved} and {moved_too} moves, {last} before"
                assert checking + saving == TOTAL, seen
                assert moved == moved_too, seen
                assert moved >= last, seen
                last = moved
        time.sleep(0.1)
    assert last > 0


@contextmanager
def background(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """Do the work in a thread until the block ends. If the work fails, the block fails."""
    stopped = threading.Event()
    failures: list[BaseException] = []

    def do() -> None:
        try:
            work(*arguments, stopped)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    if failures:
        raise failures[0]
