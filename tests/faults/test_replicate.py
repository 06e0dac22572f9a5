"""`replicate` killed at random moments always ends equal: nothing lost, nothing twice."""

import random
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pymysql

KILLS = 24
NEW_ROWS = 60_000


def rows_of_source(source: psycopg.Connection, table: str) -> list[tuple[Any, ...]]:
    return source.execute(f"SELECT id, value, words FROM {table} ORDER BY id").fetchall()


def rows_of_target(target: "pymysql.Connection[Any]", table: str) -> list[tuple[Any, ...]]:
    with target.cursor() as cursor:
        cursor.execute(f"SELECT id, value, words FROM {table} ORDER BY id")
        return list(cursor.fetchall())


def create(source: psycopg.Connection, table: str) -> None:
    source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, value int NOT NULL, words text)")
    source.execute(
        f"INSERT INTO {table} SELECT n, n, repeat('w', mod(n, 50)) FROM generate_series(1, {NEW_ROWS}) n"
    )


def change(source: psycopg.Connection, tables: list[str], chance: random.Random) -> None:
    """A few transactions over all tables: inserts, updates, updates of the key, deletes."""
    for _ in range(10):
        with source.transaction():
            for table in tables:
                low = chance.randrange(NEW_ROWS)
                source.execute(f"UPDATE {table} SET value = value + 1 WHERE id BETWEEN {low} AND {low + 200}")
                source.execute(f"DELETE FROM {table} WHERE id BETWEEN {low + 90} AND {low + 110}")
                source.execute(
                    f"INSERT INTO {table} SELECT max(id) + 1, 0, 'new' FROM {table} ON CONFLICT DO NOTHING"
                )
                source.execute(f"UPDATE {table} SET id = (SELECT max(id) + 1 FROM {table}) WHERE id = {low}")


def test_a_killed_replication_goes_on_where_it_was(
    postgres: dict[str, str], mysql: dict[str, str], run: Callable[..., Any], start: Callable[..., Any]
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    servers = {**postgres, **mysql}
    source = psycopg.connect(
        host=postgres["PGHOST"],
        port=postgres["PGPORT"],
        user=postgres["PGUSER"],
        password=postgres["PGPASSWORD"],
        dbname=postgres["PGDATABASE"],
        autocommit=True,
    )
    target = pymysql.connect(
        host=mysql["MYSQL_HOST"],
        port=int(mysql["MYSQL_TCP_PORT"]),
        user=mysql["MYSQL_USER"],
        password=mysql["MYSQL_PWD"],
        database=mysql["MYSQL_DATABASE"],
        autocommit=True,
    )
    tables: list[str] = []
    killed = 0
    with source, target:
        while killed < KILLS:
            if killed % 6 == 0 and len(tables) == killed // 6:
                tables.append(f"t{len(tables)}")
                create(source, tables[-1])
            change(source, tables, chance)
            process = start("replicate", env=servers)
            time.sleep(chance.uniform(0.2, 1.5))
            if process.poll() is None:
                process.kill()
                killed += 1
            else:
                assert process.returncode == 0, process.stderr.read()
            process.wait()
        run("replicate", env=servers)
        for table in tables:
            assert rows_of_target(target, table) == rows_of_source(source, table)
        run("replication-compare", env=servers)
        with target.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            assert {name for (name,) in cursor.fetchall()} == {*tables, "_replication", "_replication_tables"}
