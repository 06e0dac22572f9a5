"""The source is restored, promoted, emptied, recreated or exchanged: it is refused, or the replica ends equal."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.connections import to_mysql, to_postgres
from tests.servers import PostgreSQLProcess

pytestmark = pytest.mark.timeout(0)
Settings = dict[str, str]
LOGIN = {"PGUSER": "shop", "PGPASSWORD": "shop", "PGDATABASE": "shop"}
TABLES = ("a", "b", "c", "d", "e")


class Source:
    """Two servers with a database of the same name. The replica is set to the address of the first one."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.chance = chance
        self.servers = []
        for name in ("first", "second"):
            (folder / name).mkdir()
            server = PostgreSQLProcess(18, folder / name)
            server.start()
            with server.admin() as admin:
                admin.execute("CREATE ROLE shop LOGIN REPLICATION PASSWORD 'shop'")
                admin.execute("CREATE DATABASE shop OWNER shop")
            self.servers.append(server)

    @property
    def settings(self) -> Settings:
        return {**LOGIN, "PGHOST": "127.0.0.1", "PGPORT": str(self.servers[0].port)}

    def connect(self) -> psycopg.Connection:
        return to_postgres(self.settings)

    def make_tables(self) -> None:
        with self.connect() as connection:
            for table in TABLES:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY, value float8, words text)"
                )

    def change(self, most: int) -> None:
        """Run fewer than ``most`` transactions, each on rows of one table."""
        with self.connect() as connection:
            for _ in range(self.chance.randrange(most)):
                table = self.chance.choice(TABLES)
                low = self.chance.randrange(300)
                if self.chance.random() < 0.3:
                    connection.execute(f"DELETE FROM {table} WHERE id BETWEEN {low} AND {low + 20}")
                elif self.chance.random() < 0.1:  # WAL without a change
                    connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
                else:
                    connection.execute(
                        f"INSERT INTO {table} SELECT n, random(), repeat('w', 50)"
                        f" FROM generate_series({low}, {low + self.chance.randrange(200)}) n"
                        " ON CONFLICT (id) DO UPDATE SET value = excluded.value"
                    )

    # --- what happens to the source; before each call, everything has been replicated ---

    def is_restarted(self) -> None:
        self.servers[0].kill()
        self.servers[0].start()

    def is_put_back(self, replicate: Callable[[], object]) -> None:
        server = self.servers[0]
        if self.chance.random() < 0.5:
            self.change(20)
            replicate()
        server.kill()
        server.keep()
        server.start()
        self.change(40)
        replicate()
        server.kill()
        server.put_back()
        server.start()

    def is_promoted(self) -> None:
        server = self.servers[0]
        server.kill()
        server.become_standby()
        server.start()
        with server.admin() as admin:
            admin.execute("SELECT pg_promote()")

    def is_made_anew(self) -> None:
        with self.servers[0].admin() as admin:
            admin.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'shop'")
            admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            admin.execute("DROP DATABASE shop WITH (FORCE)")
            admin.execute("CREATE DATABASE shop OWNER shop")
        if self.chance.random() < 0.5:
            self.make_tables()

    def is_emptied(self) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP TABLE {', '.join(TABLES)}")

    def is_exchanged(self) -> None:
        self.servers.reverse()
        if self.chance.random() < 0.5:
            self.make_tables()


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def source(tmp_path: Path, chance: random.Random) -> Iterator[Source]:
    source = Source(tmp_path, chance)
    yield source
    for server in source.servers:
        server.remove()


def tables(connection: Any, query: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the tables whose names the query gives."""
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        found = {}
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM {name} ORDER BY id")
            found[name] = list(cursor.fetchall())
        return found


def test_a_source_that_is_not_what_it_was_is_refused_or_the_replica_ends_equal(
    source: Source,
    mysql: Settings,
    chance: random.Random,
    run: Callable[..., Any],
    start: Callable[..., Any],
    scale: int,
) -> None:
    def replicate(*options: str, check: bool = True) -> Any:
        return run("replicate", *options, env={**source.settings, **mysql}, check=check)

    def copies() -> dict[str, list[tuple[Any, ...]]]:
        return tables(
            to_mysql(mysql), "SHOW TABLES WHERE Tables_in_" + mysql["MYSQL_DATABASE"] + " NOT LIKE '\\_%'"
        )

    def originals() -> dict[str, list[tuple[Any, ...]]]:
        return tables(source.connect(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    events = [
        source.is_restarted,
        lambda: source.is_put_back(replicate),
        source.is_promoted,
        source.is_made_anew,
        lambda: source.is_put_back(replicate),
        source.is_emptied,
        source.is_exchanged,
    ]
    refusals = 0
    for event in events * scale:
        source.make_tables()
        source.change(20)
        replicate()
        source.change(20)
        interrupted = start("replicate", env={**source.settings, **mysql})
        time.sleep(chance.uniform(0, 2))
        interrupted.kill()
        interrupted.wait()
        last = originals()
        event()
        if originals():
            with suppress(psycopg.errors.UndefinedTable):
                source.change(chance.choice([1, 5, 80]))
        before = copies()
        finished = replicate(check=False)
        if finished.status:
            # What was committed before the tables were dropped is still applied to their copies.
            expected = last if "--drop-gone" in finished.log else before
            assert "--start-over" in finished.log or "--drop-gone" in finished.log, finished.log
            assert copies() == expected, finished.log
            refusals += 1
            replicate("--start-over", "--drop-gone", str(len(TABLES)))
        assert copies() == originals(), finished.log
        run("replication-compare", env={**source.settings, **mysql})
    assert refusals >= 4 * scale
