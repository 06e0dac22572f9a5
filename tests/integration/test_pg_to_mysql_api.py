"""The replicator as a program uses it: one class, results with names, errors with types."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from tests.connections import to_source

from pg_to_mysql import (
    Failure,
    OtherSource,
    Plan,
    Replica,
    RowsDiffer,
    Run,
    Setting,
    Source,
    TablesLeftOut,
    WrongSettings,
)
from pg_to_mysql.command_line.environment import mysql_from_environment

pytestmark = pytest.mark.pairs


@pytest.fixture
def replica(servers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Replica:
    """A replica of the test's databases; the environment names others."""
    for name in ("PGHOST", "MYSQL_HOST"):
        monkeypatch.setenv(name, "nowhere.invalid")
    monkeypatch.setenv("SPARK_MASTER", "spark://nowhere.invalid:7077")
    return Replica(to_source(servers), mysql_from_environment(servers))


def test_a_run_tells_what_it_has_brought(replica: Replica, source: psycopg.Connection, query: Any) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    assert replica.replicate().copied.rows == {"t": 1}
    source.execute("INSERT INTO t VALUES (2, 'b')")
    run = replica.replicate()
    assert (run.copied.rows, run.applied.changes) == ({}, 1)
    assert query("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "b")]
    status = replica.status()
    assert (status.slot_state, status.other_source) == ("ready", None)
    assert (status.tables["t"].state, status.tables["t"].rows_copied) == ("copied", 1)


def test_the_two_steps_can_be_taken_by_themselves(
    replica: Replica, source: psycopg.Connection, query: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    source.execute("CREATE TABLE other (id int PRIMARY KEY)")
    assert replica.snapshot(["t"]).rows == {"t": 1}
    source.execute("INSERT INTO t VALUES (2)")
    assert query("SELECT * FROM t") == [(1,)]
    assert replica.apply().changes == 1
    assert query("SELECT * FROM t ORDER BY id") == [(1,), (2,)]


def test_a_value_that_mysql_cannot_hold_is_told_with_its_table_column_and_key(
    replica: Replica, source: psycopg.Connection, query: Any
) -> None:
    source.execute("CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good VALUES (1)")
    source.execute("CREATE TABLE bad (a int, b text, v date, PRIMARY KEY (a, b))")
    source.execute("INSERT INTO bad VALUES (1, 'x', '2026-01-01'), (2, 'y', '20000-01-01')")
    with pytest.raises(TablesLeftOut, match="bad: MySQL can't hold a value") as failure:
        replica.replicate()
    [refused] = failure.value.refusals
    assert (refused.table, refused.column, refused.key) == ("bad", "v", {"a": "2", "b": "y"})
    assert query("SELECT * FROM good") == [(1,)]


def test_rows_that_differ_have_their_keys_and_are_repaired(
    replica: Replica, source: psycopg.Connection, query: Any
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"
    )
    replica.replicate()
    query("UPDATE t SET v = 'B' WHERE id = 2")
    query("DELETE FROM t WHERE id = 3")
    with pytest.raises(RowsDiffer, match="2 rows differ: t 2 has other values in MySQL: v; t 3") as failure:
        replica.compare()
    assert failure.value.number == 2
    assert [(row.table, row.key) for row in failure.value.differences] == [("t", {"id": "2"}), ("t", {"id": "3"})]
    assert replica.repair().rows_repaired == 2
    assert replica.compare().rows == {"t": 3}


def test_it_follows_until_it_is_stopped(replica: Replica, source: psycopg.Connection, query: Any) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    stopped, begun = threading.Event(), threading.Event()
    runs: list[Run] = []
    following = threading.Thread(
        target=lambda: runs.append(replica.follow(Plan(tables=["t"]), stopped=stopped, begins=begun.set))
    )
    following.start()
    try:
        assert begun.wait(60)
        source.execute("INSERT INTO t VALUES (2)")
        deadline = time.monotonic() + 60
        while len(query("SELECT * FROM t")) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        stopped.set()
        following.join(60)
    [run] = runs
    assert (run.copied.rows, run.applied.changes) == ({"t": 1}, 1)


def test_another_source_and_wrong_settings_have_errors_of_their_own(
    replica: Replica, source: psycopg.Connection, servers: Mapping[str, str]
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY)"
    )
    replica.replicate()
    other = Replica(to_source(servers), mysql_from_environment(servers), schema="other")
    with pytest.raises(OtherSource, match="its schema is other instead of public"):
        other.replicate()
    with pytest.raises(WrongSettings, match="recopy is nonsense") as failure:
        replica.snapshot(recopy=["nonsense"])
    assert failure.value.settings == {Setting.RECOPY: None}
    with pytest.raises(WrongSettings, match="There is no table nonsense"):
        replica.snapshot(["nonsense"])
    with pytest.raises(WrongSettings, match="connection string can't be read"):
        Source("nonsense")
    with pytest.raises(Failure, match="PostgreSQL can't be reached"):
        Replica(Source("host=127.0.0.1 port=1"), mysql_from_environment(servers)).status()
