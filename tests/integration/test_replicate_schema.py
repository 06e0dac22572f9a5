"""MySQL's tables follow PostgreSQL's while changes stream, between real servers."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.connections import to_mysql

Run = Callable[..., Any]


def columns(query: Any, table: str) -> dict[str, str]:
    """The columns of a table in MySQL and their types."""
    return {row[0]: row[1] for row in query(f"DESCRIBE `{table}`")}


def test_columns_that_are_added_renamed_widened_and_dropped_between_changes_are_followed(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a varchar(5), b int, c text, d numeric(6, 2))")
    source.execute("INSERT INTO t SELECT n, 'a', n, 'c', n FROM generate_series(1, 5) n")
    run("replicate", env=servers)
    source.execute("INSERT INTO t VALUES (6, 'old', 6, 'c', 6)")
    source.execute("ALTER TABLE t ADD e varchar(10) DEFAULT 'fast'; UPDATE t SET e = 'set', b = 66 WHERE id = 6")
    source.execute("UPDATE t SET c = 'gone soon' WHERE id = 1; ALTER TABLE t DROP c")
    source.execute("ALTER TABLE t RENAME a TO \"A, the first\"; INSERT INTO t VALUES (7, 'new', 7, 7, 'e7')")
    assert run("replicate", env=servers).result["copied"] == {}
    # PostgreSQL rewrites all rows here, and then no longer says which values the added columns had.
    source.execute("ALTER TABLE t ALTER b TYPE bigint, ALTER d TYPE numeric(10, 2)")
    run("replicate", env=servers)
    source.execute(
        "ALTER TABLE t ALTER \"A, the first\" TYPE varchar(50), ADD f int[] DEFAULT '{1,2}', ADD g bool"
    )
    source.execute("INSERT INTO t VALUES (8, repeat('x', 40), 1e15, 12345678, 'e8', '{}', true)")
    source.execute("DELETE FROM t WHERE id = 2")
    result = run("replicate", env=servers).result
    assert result["copied"] == {}
    assert query("SELECT * FROM t ORDER BY id")[0] == (1, "a", 1, 1, "fast", "{1,2}", None)
    assert query("SELECT * FROM t ORDER BY id")[-1] == (8, "x" * 40, 10**15, 12345678, "e8", "{}", 1)
    assert list(columns(query, "t")) == ["id", "A, the first", "b", "d", "e", "f", "g"]
    assert run("replication-compare", env=servers).result["rows_compared"] == 7


def test_a_change_of_columns_without_a_change_of_rows_is_followed_too(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'v')")
    run("replicate", env=servers)
    source.execute("ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD x bytea DEFAULT '\\x00ff', ADD y timestamptz")
    run("replicate", env=servers)
    assert query("SELECT * FROM t") == [(1, "v", b"\x00\xff", None)]
    assert list(columns(query, "t")) == ["id", "w", "x", "y"]
    run("replication-compare", env=servers)


def test_a_column_that_came_and_went_between_two_runs_is_left_out_of_the_changes_that_have_it(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    run("replicate", env=servers)
    source.execute("ALTER TABLE t ADD passing int; INSERT INTO t VALUES (1, 'v', 7); ALTER TABLE t DROP passing")
    source.execute("INSERT INTO t VALUES (2, 'w')")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY id") == [(1, "v"), (2, "w")]


def test_columns_may_exchange_their_names_within_one_transaction(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'a', 'b')")
    run("replicate", env=servers)
    with source.transaction():
        source.execute("INSERT INTO t (id, a, b) VALUES (2, 'a2', 'b2')")
        source.execute("ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b")
        source.execute("INSERT INTO t (id, a, b) VALUES (3, 'a3', 'b3')")
    run("replicate", env=servers)
    assert query("SELECT id, a, b FROM t ORDER BY id") == [(1, "b", "a"), (2, "b2", "a2"), (3, "a3", "b3")]
    run("replication-compare", env=servers)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE t ADD moment timestamptz DEFAULT clock_timestamp()", "written all rows anew"),
        ("ALTER TABLE t ALTER v TYPE int USING length(v)", "type of its column v has changed"),
        ("ALTER TABLE t ALTER v TYPE text USING upper(v)", "computed the column v anew"),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (other)", "its key has changed"),
        (
            "ALTER TABLE t DROP v; ALTER TABLE t ADD v text; UPDATE t SET v = 'n'",
            "dropped",
        ),
    ],
)
def test_what_cannot_be_followed_stops_the_table_alone_until_it_is_copied_again(
    change: str,
    reason: str,
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, other int NOT NULL, v text); INSERT INTO t VALUES (1, 1, 'v')"
    )
    source.execute("CREATE TABLE u (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute(f"INSERT INTO u VALUES (1); {change}; INSERT INTO u VALUES (2)")
    stopped = run("replicate", env=servers, check=False)
    assert stopped.status == 1
    assert reason in stopped.log
    assert "--recopy" in stopped.log
    assert query("SELECT * FROM u") == [(1,), (2,)]
    assert query("SELECT name, stopped IS NULL FROM _replication_tables ORDER BY name") == [("t", 0), ("u", 1)]
    source.execute("INSERT INTO u VALUES (3)")
    assert run("replicate", env=servers, check=False).status == 1
    assert run("replicate", "--recopy", "t", env=servers).result["copied"] == {"t": 1}
    assert run("replication-compare", env=servers).result["rows_compared"] == 4


def test_a_table_that_is_stopped_follows_its_name_and_can_be_copied_again(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE old (id int PRIMARY KEY, v int); INSERT INTO old VALUES (1, 1)")
    run("replicate", env=servers)
    source.execute("ALTER TABLE old ALTER v TYPE int USING v + 1; ALTER TABLE old RENAME TO new")
    stopped = run("replicate", env=servers, check=False)
    assert "new: PostgreSQL may have computed the column v anew" in stopped.log
    source.execute("ALTER TABLE new RENAME TO newer")
    stopped = run("replicate", env=servers, check=False)
    assert "newer: PostgreSQL may have computed the column v anew" in stopped.log
    run("replicate", "--recopy", "newer", env=servers)
    assert query("SELECT * FROM newer") == [(1, 2)]
    assert {name for (name,) in query("SHOW TABLES") if not name.startswith("_")} == {"newer"}


def test_tables_are_made_dropped_and_renamed_as_in_postgresql(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)"
    )
    source.execute("INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); INSERT INTO c VALUES (3)")
    run("replicate", env=servers)
    source.execute("INSERT INTO a VALUES (11); ALTER TABLE a RENAME TO old; ALTER TABLE b RENAME TO a")
    source.execute("DROP TABLE c; INSERT INTO a VALUES (22); CREATE TABLE c (id text PRIMARY KEY)")
    assert run("replicate", env=servers).result["copied"] == {"c": 0}
    assert query("SELECT * FROM old ORDER BY id") == [(1,), (11,)]
    assert query("SELECT * FROM a ORDER BY id") == [(2,), (22,)]
    assert {name for (name,) in query("SHOW TABLES") if not name.startswith("_")} == {"a", "old", "c"}
    run("replication-compare", env=servers)


def test_comments_and_the_indexes_that_mysql_can_hold_are_made(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b varchar(20), c int, d jsonb)")
    source.execute("COMMENT ON TABLE t IS 'it''s a \\ \"table\"'; COMMENT ON COLUMN t.a IS 'слова 🛒'")
    source.execute(
        'CREATE INDEX of_a ON t (a, c); CREATE UNIQUE INDEX "of b" ON t (b); CREATE INDEX of_c ON t (c)'
    )
    source.execute("CREATE INDEX lower_a ON t (lower(a)); CREATE INDEX partly ON t (c) WHERE c > 1")
    source.execute(
        "CREATE INDEX of_d ON t USING gin (d); INSERT INTO t VALUES (1, 'a', 'b', 2), (2, 'a', NULL, 2)"
    )
    log = run("replicate", env=servers).log
    for left_out in ("lower_a, which is over", "partly, which is partial", "of_d, which is of the kind gin"):
        assert left_out in log
    indexes = query("SELECT DISTINCT index_name, non_unique FROM information_schema.statistics"
                    " WHERE table_schema = DATABASE() AND table_name = 't' ORDER BY 1")  # fmt: skip
    assert indexes == [("of b", 1), ("of_a", 1), ("of_c", 1), ("PRIMARY", 0)]
    comments = query("SELECT table_comment FROM information_schema.tables"
                     " WHERE table_schema = DATABASE() AND table_name = 't'")  # fmt: skip
    assert comments == [('it\'s a \\ "table"',)]
    run("replication-compare", env=servers)


def test_an_alteration_that_a_killed_run_had_begun_is_finished(
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'v')")
    run("replicate", env=servers)
    [(before,)] = query("SELECT layout FROM _replication_tables")
    source.execute(
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD x int DEFAULT 7; INSERT INTO t VALUES (2, 'w', 8)"
    )
    run("replicate", env=servers)
    [(after,)] = query("SELECT layout FROM _replication_tables")
    for killed in ("", "ALTER TABLE t RENAME COLUMN w TO v, DROP COLUMN x, DROP COLUMN y"):
        with to_mysql(servers) as connection:
            connection.cursor().execute(
                "UPDATE _replication_tables SET layout = %s, altering = %s", [before, after]
            )
        query(killed or "DO 0")
        source.execute("ALTER TABLE t ADD IF NOT EXISTS y int; INSERT INTO t SELECT max(id) + 1, 'z', 9 FROM t")
        run("replicate", env=servers)
        assert list(columns(query, "t")) == ["id", "w", "x", "y"]
    assert query("SELECT altering FROM _replication_tables") == [(None,)]
