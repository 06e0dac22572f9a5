"""The network cuts, half-closes and delays connections: errors are sentences, and both sides end equal."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from tests.connections import to_mysql
from tests.proxy import Proxy

pytestmark = [pytest.mark.pairs, pytest.mark.timeout(0)]
ROUNDS = 6
ROWS = 50_000
LONGEST = 150
"""Seconds within which each run must end. It may have to wait for a lock that a lost session holds."""


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def proxies(servers: dict[str, str], chance: random.Random) -> Iterator[dict[str, Proxy]]:
    """A proxy in front of each server, by the name of the variable for its port."""
    with ExitStack() as stack:
        made = {name: Proxy(int(servers[name]), chance) for name in ("PGPORT", "MYSQL_TCP_PORT")}
        for proxy in made.values():
            stack.callback(proxy.close)
        yield made


def test_over_a_broken_network_each_run_ends_with_a_sentence_and_the_tables_are_equal_in_the_end(
    servers: dict[str, str],
    source: psycopg.Connection,
    proxies: dict[str, Proxy],
    run: Callable[..., Any],
    start: Callable[..., Any],
    chance: random.Random,
    scale: int,
) -> None:
    through = {**servers, **{name: str(proxy.port) for name, proxy in proxies.items()}}
    source.execute("CREATE TABLE t0 (id int PRIMARY KEY, value int NOT NULL, words text)")
    source.execute(f"INSERT INTO t0 SELECT n, n, repeat('w', 50) FROM generate_series(1, {ROWS}) n")
    run("replicate", env=servers)
    tables = ["t0"]
    for number in range(1, ROUNDS * scale + 1):
        change(source, tables, number, chance)
        follow = chance.random() < 0.5
        process = start("replicate", *(["--follow"] if follow else []), env=through)
        mishaps = chance.randint(1, 4)
        while mishaps and process.poll() is None:
            time.sleep(chance.uniform(0, 0.5))
            mishaps -= chance.choice(list(proxies.values())).misbehave() != "nothing"
        if follow and process.poll() is None:
            process.send_signal(signal.SIGTERM)
        require_sentence(process)
    run("replicate", env=servers)
    for table in tables:
        assert rows_of_mysql(servers, table) == source.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    run("replication-compare", env=servers)


def change(source: psycopg.Connection, tables: list[str], number: int, chance: random.Random) -> None:
    low = chance.randrange(ROWS)
    source.execute(f"UPDATE t0 SET value = value + 1 WHERE id BETWEEN {low} AND {low + 5000}")
    source.execute(f"DELETE FROM t0 WHERE id BETWEEN {low} AND {low + 10}")
    if number % 3 == 1:
        tables.append(f"t{number}")
        source.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, value int NOT NULL, words text)")
        source.execute(f"INSERT INTO t{number} SELECT n, n, repeat('w', 50) FROM generate_series(1, {ROWS}) n")


def require_sentence(process: "subprocess.Popen[str]") -> None:
    """The process ends in time, and if it fails, its error is a sentence."""
    _, log = process.communicate(timeout=LONGEST)
    # A second signal ends a program that has lost its connections in the meantime.
    assert process.returncode in (0, 1, -signal.SIGTERM), log
    assert "--debug shows the traceback" not in log
    assert "Traceback" not in log
    if process.returncode == 1:
        print(log.splitlines()[-1])


def rows_of_mysql(servers: dict[str, str], table: str) -> list[tuple[Any, ...]]:
    with to_mysql(servers) as target, target.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        return list(cursor.fetchall())
