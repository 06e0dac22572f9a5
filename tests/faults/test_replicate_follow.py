"""A follower is killed at random moments while tables are created and changed: both sides end equal."""

import random
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pg_to_mysql.mysql.state_tables import TABLES

KILLS = 6


@pytest.mark.pairs
@pytest.mark.timeout(0)
def test_a_follower_that_is_killed_loses_and_doubles_nothing_of_tables_that_it_copies_beside(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Callable[[str], Any],
    run: Callable[..., Any],
    start: Callable[..., Any],
    scale: int,
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    source.execute("CREATE TABLE t0 (id int PRIMARY KEY, v int); INSERT INTO t0 VALUES (1, 0)")
    run("replicate", env=servers)
    for number in range(1, KILLS * scale + 1):
        rows = chance.choice([1, 1000, 100_000])
        source.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v int)")
        source.execute(f"INSERT INTO t{number} SELECT n, 0 FROM generate_series(1, {rows}) n")
        follower = start("replicate", "--follow", env=servers)
        until = time.monotonic() + chance.uniform(0.5, 4)
        while time.monotonic() < until:
            for name in {"t0", f"t{number}", f"t{chance.randint(0, number)}"}:
                source.execute(f"UPDATE {name} SET v = v + 1 WHERE id < {chance.randint(2, 50)}")
                source.execute(f"INSERT INTO {name} SELECT coalesce(max(id), 0) + 1, 0 FROM {name}")
                source.execute(f"DELETE FROM {name} WHERE id = {chance.randint(2, 1000)}")
        assert follower.poll() is None, follower.stderr.read()
        follower.kill()
        follower.wait()
    run("replicate", env=servers)
    run("replication-compare", env=servers)
    left = {name for (name,) in query("SHOW TABLES")} - {f"t{number}" for number in range(KILLS * scale + 1)}
    assert left == set(TABLES)
