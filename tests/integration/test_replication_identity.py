"""A replica belongs to one source. Any other source is refused, and nothing is dropped, skipped or copied."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.connections import to_postgres
from tests.servers import PostgreSQLProcess

Run = Callable[..., Any]

FIRST_STATE = (
    """CREATE TABLE _replication (
        slot VARCHAR(63) PRIMARY KEY,
        applied_lsn BIGINT UNSIGNED NOT NULL,
        applied_changes BIGINT UNSIGNED NOT NULL DEFAULT 0,
        equal_at DATETIME(6)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
    """CREATE TABLE _replication_tables (
        slot VARCHAR(63) NOT NULL,
        name VARCHAR(64) NOT NULL,
        layout LONGTEXT NOT NULL,
        altering LONGTEXT,
        stopped LONGTEXT,
        snapshot_lsn BIGINT UNSIGNED,
        rows_copied BIGINT UNSIGNED,
        copied_at DATETIME(6),
        PRIMARY KEY (slot, name)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
)
"""The state tables as the first version of the program created them."""


def as_the_first_version(query: Any) -> None:
    """Bring the state in MySQL to what the first version of the program would have written."""
    replicas = query("SELECT slot, applied_lsn, applied_changes FROM _replication")
    columns = "slot, name, layout, stopped, snapshot_lsn, rows_copied"
    tables = query(f"SELECT {columns} FROM _replication_tables")
    query("DROP TABLE _replication, _replication_tables, _replication_version")
    for statement in FIRST_STATE:
        query(statement)
    for slot, lsn, changes in replicas:
        query(f"INSERT INTO _replication VALUES ('{slot}', {lsn}, {changes}, NULL)")
    for slot, name, layout, _, lsn, rows in tables:
        literal = layout.replace("'", "''")
        query(
            f"INSERT INTO _replication_tables ({columns}) VALUES ('{slot}', '{name}', '{literal}', NULL, {lsn}, {rows})"
        )


@pytest.mark.pairs
def test_the_state_of_the_first_version_is_upgraded_and_its_copies_go_on(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, words text)")
    source.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    run("replicate", env=servers)
    as_the_first_version(query)
    source.execute("UPDATE t SET words = 'changed' WHERE id = 1")
    result = run("replicate", env=servers).result
    assert (result["copied"], result["changes"]) == ({}, 1)
    assert query("SELECT * FROM t ORDER BY id") == [(1, "changed"), (2, "two")]


def test_the_copies_of_the_first_version_are_not_taken_for_those_of_a_database_without_their_tables(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE SCHEMA crm")
    run("replicate", env=servers)
    as_the_first_version(query)
    refused = run("replication-compare", "--schema", "crm", env=servers, check=False)
    assert refused.status == 1
    assert "has none of the tables that the slot" in refused.log
    assert query("SELECT * FROM t") == [(1,)]
    assert run("replicate", env=servers).result["copied"] == {}


@pytest.mark.pairs
def test_another_schema_is_refused_by_every_command_and_nothing_is_dropped(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 1000)")
    source.execute("CREATE SCHEMA crm; CREATE TABLE crm.leads (id int PRIMARY KEY)")
    run("replicate", env=servers)
    for command in ("replicate", "replication-compare"):
        refused = run(command, "--schema", "crm", env=servers, check=False)
        assert refused.status == 1
        assert (
            "its schema is crm instead of public; give the schema crm a replica of its own with another slot"
            in refused.log
        )
    status = run("replication-status", "--schema", "crm", env=servers)
    assert "its schema is crm" in status.result["other_source"]
    assert "its schema is crm" in status.log
    assert query("SELECT COUNT(*) FROM orders") == [(1000,)]
    assert run("replication-status", env=servers).result["other_source"] is None
    assert run("replicate", "--schema", "crm", "--slot", "crm", env=servers).result["copied"] == {"leads": 0}


def test_a_database_that_was_dropped_and_made_anew_is_refused_until_one_starts_over(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, server: Callable[[str], Any]
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, words text); INSERT INTO t VALUES (1, 'first')")
    run("replicate", env=servers)
    name = servers["PGDATABASE"]
    source.close()
    with server("postgresql-18").admin() as admin:
        admin.execute(f"SELECT pg_drop_replication_slot('replication_{name}')")
        # PostgreSQL may still be ending the program's session, which has a temporary slot.
        while admin.execute("SELECT FROM pg_replication_slots WHERE database = %s", [name]).rowcount:
            time.sleep(0.05)
        admin.execute(f"DROP DATABASE {name}")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    for command in ("replicate", "replication-compare"):
        refused = run(command, env=servers, check=False)
        assert refused.status == 1
        assert "its database's oid is" in refused.log
        assert "--start-over" in refused.log
    status = run("replication-status", env=servers)
    assert "its database's oid is" in status.result["other_source"]
    assert status.result["lag_bytes"] is None
    assert query("SELECT * FROM t") == [(1, "first")]
    with to_postgres(servers) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, words text); INSERT INTO t VALUES (2, 'second')")
    assert run("replicate", "--start-over", env=servers).result["copied"] == {"t": 1}
    assert query("SELECT * FROM t") == [(2, "second")]
    run("replication-compare", env=servers)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PostgreSQLProcess]:
    """A PostgreSQL server for this test only, whose folder can be copied while it is stopped."""
    server = PostgreSQLProcess(18, tmp_path)
    server.start()
    yield server
    server.remove()


def test_a_source_that_was_put_back_is_refused_also_when_its_log_has_grown_longer_than_before(
    own: PostgreSQLProcess, mysql: dict[str, str], query: Any, run: Run
) -> None:
    with own.database() as settings:
        env = {**settings, **mysql}
        with to_postgres(settings) as source:
            source.execute("CREATE TABLE t (id int PRIMARY KEY, words text); INSERT INTO t VALUES (1, 'x')")
        run("replicate", env=env)
        own.kill()
        own.keep()
        own.start()
        with to_postgres(settings) as source:
            source.execute("INSERT INTO t SELECT n, 'lost' FROM generate_series(100, 2000) n")
        run("replicate", env=env)
        own.kill()
        own.put_back()
        own.start()
        with to_postgres(settings) as source:
            source.execute("INSERT INTO t VALUES (6, 'new')")
        refused = run("replicate", env=env, check=False)
        assert (refused.status, "was restored to an earlier moment" in refused.log) == (1, True)
        assert "was restored" in run("replication-status", env=env).result["other_source"]
        with to_postgres(settings) as source:
            source.execute("INSERT INTO t SELECT n, 'new' FROM generate_series(100, 9000) n")
        for command in ("replicate", "replication-compare"):
            refused = run(command, env=env, check=False)
            assert (refused.status, "its log has continued from there" in refused.log) == (1, True), refused.log
        assert query("SELECT COUNT(*) FROM t") == [(1902,)]
        assert run("replicate", "--start-over", env=env).result["copied"] == {"t": 8903}
        run("replication-compare", env=env)


def test_a_source_is_refused_that_was_put_back_to_a_moment_after_the_last_transaction(
    own: PostgreSQLProcess, mysql: dict[str, str], query: Any, run: Run
) -> None:
    with own.database() as settings:
        env = {**settings, **mysql}
        with to_postgres(settings) as source:
            source.execute("CREATE TABLE t (id int PRIMARY KEY, words text)")
            run("replicate", env=env)
            source.execute("INSERT INTO t VALUES (1, 'x')")
        run("replicate", env=env)
        own.kill()
        own.keep()
        own.start()
        with to_postgres(settings) as source:  # none of this is replicated
            source.execute("CREATE TEMPORARY TABLE u (n int); CREATE UNLOGGED TABLE v (n int)")
            source.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 10000000))")
        assert run("replicate", env=env).result["changes"] == 0
        own.kill()
        own.put_back()
        own.start()
        with to_postgres(settings) as source:
            source.execute("INSERT INTO t VALUES (2, 'skipped')")
            source.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 20000000))")
        refused = run("replicate", env=env, check=False)
        assert (refused.status, "its log has continued from there" in refused.log) == (1, True), refused.log
        assert query("SELECT COUNT(*) FROM t") == [(1,)]


def test_a_server_that_was_promoted_is_refused_and_so_is_a_standby(
    own: PostgreSQLProcess, mysql: dict[str, str], query: Any, run: Run
) -> None:
    with own.database() as settings:
        env = {**settings, **mysql}
        with to_postgres(settings) as source:
            source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
        run("replicate", env=env)
        own.kill()
        own.become_standby()
        own.start()
        for command in ("replicate", "replication-compare", "replication-status"):
            refused = run(command, env=env, check=False)
            assert (refused.status, "is a standby" in refused.log) == (1, True), refused.log
        with own.admin() as admin:
            admin.execute("SELECT pg_promote()")
        refused = run("replicate", env=env, check=False)
        assert (refused.status, "its timeline is 2 instead of 1" in refused.log) == (1, True), refused.log
        assert query("SELECT * FROM t") == [(1,)]


def test_a_schema_that_there_is_not_is_named(servers: dict[str, str], run: Run) -> None:
    refused = run("replicate", "--schema", "nowhere", env=servers, check=False)
    assert (refused.status, "has no schema nowhere" in refused.log) == (2, True), refused.log


def make_tables(source: psycopg.Connection, *names: str) -> None:
    for name in names:
        source.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, words text); INSERT INTO {name} VALUES (1, 'one')"
        )


def copies(query: Any) -> set[str]:
    return {name for (name,) in query("SHOW TABLES") if not name.startswith("_replication")}


@pytest.mark.pairs
def test_many_tables_that_are_gone_are_dropped_only_if_their_number_is_confirmed(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, "a", "b", "c", "d", "e", "f")
    run("replicate", env=servers)
    source.execute("DROP TABLE a; INSERT INTO f VALUES (2, 'two')")
    run("replication-compare", env=servers)
    assert copies(query) == {"a", "b", "c", "d", "e", "f"}  # a comparison drops nothing
    run("replicate", env=servers)
    assert copies(query) == {"b", "c", "d", "e", "f"}
    source.execute("DROP TABLE b, c, d, e; INSERT INTO f VALUES (3, 'three')")
    for env in (servers, {**servers, "REPLICATION_DROP_GONE": "3"}):
        refused = run("replicate", env=env, check=False)
        assert refused.status == 1
        assert "no longer has 4 of the tables that MySQL has copies of: b, c, d, e" in refused.log
        assert "--drop-gone 4" in refused.log
    assert copies(query) == {"b", "c", "d", "e", "f"}
    assert query("SELECT COUNT(*) FROM f") == [(3,)]  # the remaining table is still replicated
    run("replication-compare", env=servers)
    run("replicate", env={**servers, "REPLICATION_DROP_GONE": "4"})
    assert copies(query) == {"f"}


def test_an_emptied_schema_and_a_schema_that_is_gone_drop_nothing(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, "a", "b")
    run("replicate", env=servers)
    source.execute("DROP TABLE a, b")
    refused = run("replicate", env=servers, check=False)
    assert (refused.status, "a, b; to drop that many copies" in refused.log) == (1, True), refused.log
    source.execute("DROP SCHEMA public")
    refused = run("replicate", env=servers, check=False)
    assert (refused.status, "has no schema public" in refused.log) == (2, True), refused.log
    assert copies(query) == {"a", "b"}


def test_the_copy_of_a_table_that_was_made_anew_stays_until_the_new_copy_is_there(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, "a", "b")
    run("replicate", env=servers)
    source.execute("DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY, amount numeric)")
    source.execute("INSERT INTO a VALUES (7, 'NaN')")
    refused = run("replication-compare", env=servers, check=False)
    assert (refused.status, "run `replicate` first" in refused.log) == (1, True), refused.log
    assert run("replicate", env=servers, check=False).status == 1  # MySQL can't have the value
    assert query("SELECT * FROM a") == [(1, "one")]
    source.execute("UPDATE a SET amount = 5")
    assert run("replicate", env=servers).result["copied"] == {"a": 1}
    run("replication-compare", env=servers)


def test_a_table_takes_the_name_of_one_that_is_gone(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, "a", "b", "c")
    run("replicate", env=servers)
    source.execute("DROP TABLE a; ALTER TABLE b RENAME TO a; INSERT INTO a VALUES (2, 'two')")
    refused = run("replication-compare", env=servers, check=False)
    assert (refused.status, "run `replicate` first" in refused.log) == (1, True), refused.log
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT * FROM a ORDER BY id") == [(1, "one"), (2, "two")]
    assert copies(query) == {"a", "c"}
    run("replication-compare", env=servers)


@pytest.mark.pairs
def test_two_replicas_in_one_database_do_not_take_each_others_tables(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, "orders")
    source.execute(
        "CREATE SCHEMA crm; CREATE TABLE crm.orders (id int PRIMARY KEY); CREATE TABLE crm.leads (id int)"
    )
    source.execute("ALTER TABLE crm.leads ADD PRIMARY KEY (id)")
    run("replicate", env=servers)
    query("DROP TABLE orders")  # it still belongs to the first replica
    crm = ("--schema", "crm", "--slot", "crm")
    refused = run("replicate", *crm, env=servers, check=False)
    assert refused.status == 1
    assert "orders: MySQL's table of that name belongs to the replica of the slot replication_" in refused.log
    assert copies(query) == {"leads"}
    source.execute("ALTER TABLE crm.leads RENAME TO orders2; ALTER TABLE crm.orders RENAME TO gone")
    assert run("replicate", *crm, env=servers).result["copied"] == {"gone": 0}
    assert run("replicate", env=servers).result["copied"] == {"orders": 1}
    assert copies(query) == {"orders", "orders2", "gone"}
