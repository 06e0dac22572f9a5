"""
The snapshot is killed at random moments, with threads or on a Spark cluster: tables are complete or absent, and
the next run completes them.
"""

import os
import random
import re
import time
from typing import Any

import psutil
import psycopg
from tests.processes import command_lines

from pg_to_mysql.mysql.state_tables import TABLES
from pg_to_mysql.snapshot.copy import LEAST_FOR_SPARK

KILLS = 12
MOST_TABLES = 8
ROWS = 30_000
SUMS = "SELECT COUNT(*), SUM(id), SUM(LENGTH(body)) FROM {}"


def of_the_users(query: Any) -> set[str]:
    return {name for (name,) in query("SHOW TABLES")} - set(TABLES)


def test_a_killed_copy_leaves_whole_tables_and_nothing_that_the_next_run_does_not_clear(
    postgres: dict[str, str],
    mysql: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Any,
    start: Any,
    scale: int,
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    servers = {**postgres, **mysql}
    made: list[str] = []
    killed = number = 0
    while killed < KILLS * scale:
        for _ in range(2):
            if len(made) == MOST_TABLES:
                source.execute(f"DROP TABLE {made.pop(0)}")
            number += 1
            made.append(f"t{number}")
            source.execute(f"CREATE TABLE {made[-1]} (id int PRIMARY KEY, body text)")
            source.execute(
                f"INSERT INTO {made[-1]} SELECT n, repeat('x', mod(n, 1000)) FROM generate_series(1, {ROWS}) n"
            )
        # A killed run may have dropped no copy, so more are gone than a run drops without confirmation.
        process = start("replicate", "--drop-gone", number, env=servers)
        time.sleep(chance.uniform(0.5, 2.5))
        if process.poll() is None:
            process.kill()
            killed += 1
        else:
            assert process.returncode == 0, process.stderr.read()
        process.wait()
        # Not the tables that PostgreSQL has dropped: MySQL may still be dropping one for the killed program.
        for name in of_the_users(query) & set(made):
            assert query(f"SELECT COUNT(*) FROM {name}") == [(ROWS,)]
    run("replicate", "--drop-gone", number, env=servers)
    assert of_the_users(query) == set(made)
    for name in made:
        expected = source.execute(SUMS.format(name)).fetchall()
        assert query(SUMS.format(name)) == expected


def test_a_killed_executor_is_no_harm_and_what_a_killed_driver_leaves_the_next_run_ends(
    postgres: dict[str, str],
    mysql: dict[str, str],
    spark_cluster: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Any,
    start: Any,
) -> None:
    servers = {**postgres, **mysql, **spark_cluster}
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text NOT NULL)")
    source.execute("ALTER TABLE t ALTER body SET STORAGE EXTERNAL")
    rows = 2 * LEAST_FOR_SPARK // 8000
    source.execute(f"INSERT INTO t SELECT n, repeat('12345678', 1000) FROM generate_series(1, {rows}) n")
    for victim in ("replicate", "SparkSubmit", "CoarseGrainedExecutorBackend"):
        process = start("replicate", env=servers)
        family = wait_for_workers(process)
        next(one for one, command in family.items() if victim in command).kill()
        _, log = process.communicate(timeout=120)
        _, alive = psutil.wait_procs(list(family), timeout=60)
        assert not alive
        if victim == "CoarseGrainedExecutorBackend":
            assert process.returncode == 0, log
            break
        assert process.returncode != 0, log
        if victim != "replicate":
            assert re.search("ERROR   Spark (can't copy the tables|does not start)", log), log
        assert "t" not in of_the_users(query)
    assert "t" in of_the_users(query)
    assert run("replicate", env=servers).result["copied"] == {}
    assert of_the_users(query) == {"t"}
    assert query("SELECT COUNT(*), SUM(id), SUM(LENGTH(body)) FROM t") == [
        (rows, rows * (rows + 1) // 2, rows * 8000)
    ]


def wait_for_workers(process: Any) -> dict[psutil.Process, str]:
    """The command and the processes below it with their command lines, once all of Spark's workers are there.

    While Spark is still starting a worker, it replaces a killed daemon, and the run continues.
    """
    deadline = time.monotonic() + 120
    while True:
        command = psutil.Process(process.pid)
        family = command_lines([command, *command.children(recursive=True)])
        # The daemon, and a worker for each core.
        if sum("pyspark.daemon" in line for line in family.values()) > (os.cpu_count() or 1):
            return family
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
