"""If MySQL can't represent something of one table, or changes it, the other tables are still replicated."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs("each")

INDEXES = (
    "SELECT index_name, column_name, sub_part FROM information_schema.statistics WHERE table_schema = DATABASE()"
    " AND table_name = '{}' AND index_name <> 'PRIMARY' ORDER BY index_name, seq_in_index"
)
TOO_WIDE = ", ".join(f"c{n} text" for n in range(400))


def tables(query: Any) -> set[str]:
    return {name for (name,) in query("SHOW TABLES") if not name.startswith("_replication")}


def test_columns_that_are_in_indexes_and_in_the_key_are_widened(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("""
        CREATE TABLE t (code varchar(100), part numeric(6, 2), name varchar(100), long varchar(200), n int,
            moment timestamp(0), gone varchar(10), PRIMARY KEY (code, part));
        CREATE INDEX of_name ON t (name); CREATE INDEX of_long ON t (long); CREATE UNIQUE INDEX of_n ON t (n, name);
        CREATE INDEX of_key ON t (part, code); CREATE INDEX of_moment ON t (moment, gone, long);
        INSERT INTO t SELECT 'c' || n, n, 'n' || n, 'l' || n, n, '2020-01-01', 'g' FROM generate_series(1, 20) n;
    """)
    run("replicate", env=servers)
    source.execute("""
        ALTER TABLE t ALTER name TYPE text, ALTER long TYPE varchar(300), ALTER n TYPE bigint,
            ALTER code TYPE text, ALTER part TYPE numeric(12, 2), ALTER moment TYPE timestamp(3);
        ALTER TABLE t DROP gone; ALTER TABLE t RENAME name TO title;
        UPDATE t SET title = repeat('x', 2000), n = 5000000000 WHERE n = 1;
        UPDATE t SET code = repeat('k', 300) WHERE n = 2;
    """)
    assert run("replicate", env=servers).result["copied"] == {}
    of_t = query(INDEXES.format("t"))
    assert {(index, column) for index, column, _ in of_t} >= {
        ("of_name", "title"), ("of_long", "long"), ("of_n", "n"), ("of_n", "title"), ("of_key", "code"),
    }  # fmt: skip
    assert ("of_name", "title", 768) in of_t
    assert query("SELECT CHAR_LENGTH(title), n FROM t WHERE n > 100") == [(2000, 5000000000)]
    run("replication-compare", env=servers)


def test_an_index_that_mysql_cannot_have_is_left_out_with_a_warning(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    many = ", ".join(f"c{n} int" for n in range(70))
    source.execute(f"""
        CREATE TABLE t (id int PRIMARY KEY, a int, b text); CREATE TABLE good (id int PRIMARY KEY);
        CREATE INDEX "Idx" ON t (a); CREATE INDEX idx ON t (b); CREATE INDEX twice ON t (b, b text_pattern_ops);
        CREATE INDEX "GEN_CLUST_INDEX" ON t (a); CREATE INDEX "primary" ON t (a, b);
        CREATE TABLE many (id int PRIMARY KEY, {many});
        CREATE INDEX wide ON many ({", ".join(f"c{n}" for n in range(17))});
    """)
    for n in range(70):
        source.execute(f"CREATE INDEX of_{n} ON many (c{n})")
    log = run("replicate", env=servers).log
    for left_out in ("t is copied without the index idx,", "twice,", "GEN_CLUST_INDEX,", "wide,", "of_"):
        assert left_out in log
    assert tables(query) == {"t", "good", "many"}
    assert {index for index, _, _ in query(INDEXES.format("t"))} == {"Idx", "primary_"}
    assert len({index for index, _, _ in query(INDEXES.format("many"))}) >= 60
    run("replication-compare", env=servers)


def test_a_table_that_mysql_cannot_have_is_told_at_the_end_and_excluded_the_others_are_done(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(f"""
        CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good VALUES (1);
        CREATE TABLE wide (id int PRIMARY KEY, {TOO_WIDE});
        CREATE TABLE parts ("DB_ROW_ID" int PRIMARY KEY) PARTITION BY RANGE ("DB_ROW_ID");
    """)
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "wide: MySQL can't have the table wide" in refused.log
    assert "parts: MySQL can't have the table parts" in refused.log
    assert "unexpected" not in refused.log
    assert tables(query) == {"good"}
    source.execute("INSERT INTO good VALUES (2)")
    assert run("replicate", "--exclude", "wide", "--exclude", "parts", env=servers).result["changes"] == 1
    source.execute("CREATE TABLE other (id int PRIMARY KEY)")
    assert run("replicate", "other", env=servers).result["copied"] == {"other": 0}
    run("replication-compare", "good", "other", env=servers)


def test_a_column_that_mysql_cannot_add_stops_its_table_alone(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute('ALTER TABLE t ADD "DB_TRX_ID" int; INSERT INTO u VALUES (1)')
    stopped = run("replicate", env=servers, check=False)
    assert stopped.status == 1
    assert "t: MySQL can't follow its columns" in stopped.log
    assert query("SELECT * FROM u") == [(1,)]
    source.execute("INSERT INTO u VALUES (2)")
    assert run("replicate", "--exclude", "t", env=servers).result["changes"] == 1


def test_the_rules_of_a_run_do_not_reach_tables_that_it_did_not_name(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE m (id int PRIMARY KEY, f float8); INSERT INTO m VALUES (1, 'NaN')")
    source.execute("CREATE TABLE u (id int PRIMARY KEY, f float8); INSERT INTO u VALUES (1, 'NaN')")
    source.execute("CREATE TABLE old (id int PRIMARY KEY)")
    run("replicate", "old", env=servers)
    assert run("replicate", "m", env=servers, check=False).status == 1
    assert run("replicate", "u", "--unfit", "null", env=servers).result["copied"] == {"u": 1}
    # An existing table keeps its rules, even for added columns, and when it is copied again.
    source.execute("ALTER TABLE old ADD f float8; INSERT INTO old VALUES (1, 'NaN')")
    refused = run("replicate", "u", "--unfit", "null", env=servers, check=False)
    assert refused.status == 1
    assert "MySQL can't hold a value of the table old" in refused.log
    query("DROP TABLE u")
    source.execute("UPDATE old SET f = 1")
    assert run("replicate", "old", "--unfit", "text", env=servers).result["copied"]["u"] == 1
    assert query("SELECT * FROM u") == [(1, None)]
    assert query("SELECT * FROM old") == [(1, 1.0)]
    assert run("replicate", "m", "--unfit", "text", env=servers).result["copied"] == {"m": 1}
    assert query("SELECT * FROM m") == [(1, "NaN")]


def test_a_table_that_may_not_be_read_is_told_and_the_others_are_copied(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE secret (id int PRIMARY KEY)")
    source.execute("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    source.execute("CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9)")
    source.execute("REVOKE SELECT ON secret, part FROM CURRENT_USER")
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "may not read public.secret" in refused.log
    assert "may not read public.part" in refused.log
    assert tables(query) == {"t"}
    source.execute("GRANT SELECT ON secret, part TO CURRENT_USER")
    assert run("replicate", env=servers).result["copied"] == {"parts": 0, "secret": 0}


def test_a_change_that_mysql_cannot_have_stops_its_table_alone_until_the_next_run_copies_it(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE a (id int PRIMARY KEY, f float8); CREATE TABLE b (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute("INSERT INTO a VALUES (1, 'NaN'), (2, 2); INSERT INTO b VALUES (1)")
    stopped = run("replicate", env=servers, check=False)
    assert stopped.status == 1
    assert "MySQL can't hold a value of the table a" in stopped.log
    assert query("SELECT * FROM b") == [(1,)]
    assert query("SELECT * FROM a") == []
    source.execute("INSERT INTO b VALUES (2)")
    assert run("replicate", "--exclude", "a", env=servers).result["changes"] == 1
    source.execute("UPDATE a SET f = 1 WHERE id = 1")
    assert run("replicate", env=servers).result["copied"] == {"a": 2}
    assert query("SELECT * FROM a ORDER BY id") == [(1, 1.0), (2, 2.0)]
