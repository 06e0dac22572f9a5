"""The snapshot copies ranges of pages, in threads or on a Spark cluster, and each row once."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import psutil
import psycopg
import pytest
from tests.connections import to_source
from tests.processes import command_lines

from pg_to_mysql import PassingFailure
from pg_to_mysql.command_line.environment import mysql_from_environment
from pg_to_mysql.mysql.state_tables import TABLES
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres import export
from pg_to_mysql.postgres.catalogue import read_tables
from pg_to_mysql.postgres.connection import parameters_of
from pg_to_mysql.snapshot.copy import LEAST_FOR_SPARK
from pg_to_mysql.snapshot.ledger import Ledger
from pg_to_mysql.snapshot.ranges import Range, cut
from pg_to_mysql.snapshot.worker import Worker

Run = Callable[..., Any]


def sums(rows: Callable[[str], Any], table: str) -> Any:
    return rows(f"SELECT COUNT(*), SUM(id), SUM(LENGTH(body)), SUM(id * LENGTH(body)) FROM {table}")


@pytest.mark.parametrize("where", ["on this machine", "on a cluster"])
def test_a_large_table_is_copied_and_no_process_has_a_password_on_its_command_line(
    where: str,
    servers: dict[str, str],
    spark: dict[str, str],
    spark_cluster: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
    start: Any,
) -> None:
    kib = 8
    rows = LEAST_FOR_SPARK // (kib << 10) + 500
    source.execute("CREATE TABLE pages (id bigint PRIMARY KEY, body text NOT NULL)")
    source.execute("ALTER TABLE pages ALTER body SET STORAGE EXTERNAL")
    source.execute(
        "INSERT INTO pages SELECT n, repeat(chr(1000 + mod(n, 50)::int) || 'x' || chr(9) || chr(10), %s)"
        " FROM generate_series(1, %s) n",
        [(kib << 10) // 5, rows],
    )
    source.execute("CREATE TABLE small (id int PRIMARY KEY, body text); INSERT INTO small VALUES (1, NULL)")
    on_cluster = where == "on a cluster"
    replicating = start("replicate", env={**servers, **(spark_cluster if on_cluster else spark)})
    output: list[str] = []
    reading = threading.Thread(target=lambda: output.extend(replicating.communicate()))
    reading.start()
    commands: set[str] = set()
    while reading.is_alive():
        reading.join(0.2)
        with contextlib.suppress(psutil.Error):  # it has ended
            command = psutil.Process(replicating.pid)
            commands.update(command_lines([command, *command.children(recursive=True)]).values())
    assert replicating.returncode == 0, output[1]
    assert ("tasks on Spark" in output[1]) == on_cluster
    assert any("pyspark.daemon" in line for line in commands) == on_cluster
    assert any("java" in line for line in commands) == on_cluster
    for secret in (servers["PGPASSWORD"], servers["MYSQL_PWD"]):
        assert not any(secret in line for line in commands)
        assert secret not in output[1]
    expected = source.execute(
        "SELECT count(*), sum(id), sum(octet_length(body)), sum(id * octet_length(body)) FROM pages"
    )
    assert sums(query, "pages") == expected.fetchall()
    assert query("SELECT * FROM small") == [(1, None)]
    run("replication-compare", env=servers)


def test_partitions_children_views_and_empty_tables_are_copied_as_what_they_are(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE parts (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
        CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (1000);
        CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (1000) TO (9000) PARTITION BY HASH (id);
        CREATE TABLE parts_high_0 PARTITION OF parts_high FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE parts_high_1 PARTITION OF parts_high FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO parts SELECT n, 'p' || n FROM generate_series(1, 5000) n;
        CREATE TABLE no_parts (id int PRIMARY KEY) PARTITION BY HASH (id);
        CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
        INSERT INTO parent VALUES (1);
        INSERT INTO child VALUES (2);
        CREATE TABLE empty (id int PRIMARY KEY);
        CREATE VIEW seen AS SELECT * FROM parent;
        CREATE TABLE bloated (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = false);
        INSERT INTO bloated SELECT n, repeat('b', 1000) FROM generate_series(1, 40000) n;
        DELETE FROM bloated WHERE mod(id, 10000) <> 1;
    """)
    assert run("replicate", env=servers).result["copied"] == {
        "parts": 5000, "no_parts": 0, "parent": 1, "child": 1, "empty": 0, "bloated": 4,
    }  # fmt: skip
    assert query("SELECT id FROM bloated ORDER BY id") == [(1,), (10001,), (20001,), (30001,)]
    assert query("SELECT * FROM parent") == [(1,)]
    run("replication-compare", env=servers)


def test_nothing_to_copy_and_little_to_copy_need_no_spark_of_a_cluster(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    without = {**servers, "JAVA_HOME": "/nonexistent", "SPARK_MASTER": "spark://nowhere:7077"}
    assert run("replicate", env=without).result["copied"] == {"t": 1}
    assert run("replicate", env=without).result["copied"] == {}


def test_a_value_that_mysql_cannot_hold_stops_its_table_alone_and_the_key_is_named(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good SELECT generate_series(1, 100)")
    source.execute("CREATE TABLE bad (id int PRIMARY KEY, part text NOT NULL, body float)")
    source.execute("INSERT INTO bad SELECT n, 'p' || n, n FROM generate_series(1, 5000) n")
    source.execute("UPDATE bad SET body = 'Infinity' WHERE id = 3333")
    stopped = run("replicate", env=servers, check=False)
    assert stopped.status == 1
    assert "Not replicated: bad:" in stopped.log
    assert "id = 3333" in stopped.log
    assert query("SELECT COUNT(*) FROM good") == [(100,)]
    assert {name for (name,) in query("SHOW TABLES")} == {"good", *TABLES}
    source.execute("UPDATE bad SET body = 0 WHERE id = 3333")
    assert run("replicate", env=servers).result["copied"] == {"bad": 5000}
    run("replication-compare", env=servers)


def test_rows_that_move_while_they_are_copied_are_copied_once(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 60000) n")
    ended = threading.Event()

    def move() -> None:
        low = 0
        while not ended.is_set():
            low = (low + 1000) % 60000
            source.execute("UPDATE t SET body = body || 'y' WHERE id BETWEEN %s AND %s", [low, low + 1000])
            with source.transaction():
                source.execute("DELETE FROM t WHERE id = %s", [low + 7])
                source.execute("INSERT INTO t VALUES (%s, 'new')", [low + 7])

    moving = threading.Thread(target=move)
    moving.start()
    try:
        assert run("replicate", env=servers).result["copied"] == {"t": 60000}
    finally:
        ended.set()
        moving.join()
    run("replicate", env=servers)
    run("replication-compare", env=servers)


@pytest.fixture
def copying(
    servers: dict[str, str], source: psycopg.Connection, query: Any
) -> Iterator[Callable[[], tuple[Worker, list[Range]]]]:
    """Makes a snapshot's worker and the ranges of all tables. The rows of ``t`` are copied into ``staging_t``."""
    settings = mysql_from_environment(servers)
    with ExitStack() as stack:

        def copying() -> tuple[Worker, list[Range]]:
            query("CREATE TABLE ledger (staging VARCHAR(64), number INT UNSIGNED, rows_copied BIGINT UNSIGNED"
                  " NOT NULL DEFAULT 0, error LONGTEXT, PRIMARY KEY (staging, number))")  # fmt: skip
            tables, _ = read_tables(source, "public")
            target = stack.enter_context(closing(Target(settings)))
            for name, table in tables.items():
                target.create_table(f"staging_{name}", table)
            reader = stack.enter_context(export.snapshot(to_source(servers))).reader
            ranges = cut(reader, list(tables.values()), [f"staging_{name}" for name in tables])
            [(snapshot,)] = reader.execute("SELECT pg_export_snapshot()").fetchall()
            worker = Worker(snapshot, Ledger("ledger"), settings, parameters_of(reader))
            stack.callback(worker.close)
            return worker, ranges

        yield copying


def test_a_task_that_is_run_again_copies_nothing_twice(
    copying: Callable[[], tuple[Worker, list[Range]]], source: psycopg.Connection, query: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 60000) n")
    worker, ranges = copying()
    assert len(ranges) > 1
    worker.copy(ranges[:1])
    first = query("SELECT COUNT(*) FROM staging_t")[0][0]
    assert 0 < first < 60000
    worker.copy(ranges[:1])
    assert query("SELECT COUNT(*) FROM staging_t") == [(first,)]
    worker.copy(ranges)
    assert query("SELECT COUNT(*), SUM(id) FROM staging_t") == [(60000, 60000 * 60001 // 2)]
    assert query("SELECT SUM(rows_copied), MIN(error) FROM ledger") == [(60000, None)]


def test_a_table_that_is_being_altered_ends_the_copy_so_that_nobody_waits_for_the_rest_of_it(
    copying: Callable[[], tuple[Worker, list[Range]]], source: psycopg.Connection, query: Any
) -> None:
    for name in ("a", "b", "c"):
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} VALUES (1), (2)")
    worker, ranges = copying()
    with source.transaction():
        source.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(PassingFailure, match="A table is being altered"):
            worker.copy(ranges)
    assert query("SELECT * FROM ledger") == []
    worker.copy(ranges)
    assert query("SELECT SUM(rows_copied), MIN(error) FROM ledger") == [(6, None)]


@pytest.mark.pairs
def test_a_single_column_of_odd_texts_is_copied_as_it_is(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute(r"""
        CREATE TABLE t (name text PRIMARY KEY);
        INSERT INTO t VALUES (''), ('\.'), ('NULL'), ('null'), ('"'), ('""'), (','), (E'\n'), (E'a\n'), (E'\r'), ('\');
    """)
    assert run("replicate", env=servers).result["copied"] == {"t": 11}
    run("replication-compare", env=servers)


def test_rows_of_any_length_that_look_like_what_is_between_rows_are_copied_as_they_are(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    source.execute(r"""
        INSERT INTO t SELECT n, left(repeat((ARRAY['1,', E'\n1,', '"d', E'Z\x05\x04c'])[1 + mod(n, 4)], n), n)
        FROM generate_series(0, 2600) n;
        INSERT INTO t SELECT n, repeat('9', n) FROM generate_series(14600, 14800) n;
        INSERT INTO t SELECT 100000 + n, repeat(E'"\n', n) FROM generate_series(32760, 32770) n;
    """)
    assert run("replicate", env=servers).result["copied"] == {"t": 2601 + 201 + 11}
    run("replication-compare", env=servers)


def test_a_table_that_is_being_copied_is_neither_dropped_nor_written_anew(
    servers: dict[str, str], source: psycopg.Connection
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); SET lock_timeout = '200ms'")
    tables, _ = read_tables(source, "public")
    with export.locked(to_source(servers), "public", [tables["t"]]):
        for statement in ("VACUUM FULL t", "DROP TABLE t", "ALTER TABLE t ADD v int"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                source.execute(statement)
        source.execute("INSERT INTO t VALUES (1)")


def test_who_alters_a_table_while_it_is_copied_and_the_copy_do_not_wait_for_each_other(
    postgres: dict[str, str], source: psycopg.Connection
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    settings = to_source(postgres)
    with settings.connect() as connection:
        table = read_tables(connection, "public")[0]["t"]
    altering = threading.Thread(target=source.execute, args=["ALTER TABLE t ADD v int"])
    with export.locked(settings, "public", [table]), export.snapshot(settings) as moment:
        altering.start()
        with settings.connect(autocommit=True) as connection:
            while not connection.execute(
                "SELECT FROM pg_locks WHERE relation = 'public.t'::regclass AND NOT granted"
            ).rowcount:
                time.sleep(0.05)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            moment.reader.execute("SELECT FROM t")
    altering.join(timeout=60)
    assert [column.name for column in source.execute("SELECT * FROM t").description or ()] == ["id", "v"]
