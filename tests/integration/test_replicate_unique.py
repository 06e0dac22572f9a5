"""Unique constraints in PostgreSQL (present or dropped) or only in MySQL cause no loss of rows in MySQL."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs("each")


def indexes(query: Any, table: str) -> dict[str, tuple[bool, str]]:
    """Whether each secondary index of a table in MySQL is unique, and its columns."""
    rows = query(
        "SELECT index_name, MIN(non_unique), GROUP_CONCAT(column_name ORDER BY seq_in_index)"
        f" FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = '{table}'"
        " AND index_name <> 'PRIMARY' GROUP BY index_name"
    )
    return {name: (plain == 0, columns) for name, plain, columns in rows}


def test_a_constraint_that_postgresql_drops_narrows_or_exchanges_values_of_loses_no_row(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, mail varchar(20) CONSTRAINT u UNIQUE, a int, b int, c int,"
        " UNIQUE (a, b)); CREATE INDEX of_c ON t (c)"
    )
    source.execute("INSERT INTO t VALUES (1, 'a', 1, 1, 0), (2, 'b', 1, 2, 0)")
    run("replicate", env=servers)
    assert indexes(query, "t") == {"u": (False, "mail"), "t_a_b_key": (False, "a,b"), "of_c": (False, "c")}
    source.execute("ALTER TABLE t DROP CONSTRAINT u; INSERT INTO t VALUES (3, 'a', 2, 1, 0)")
    source.execute("ALTER TABLE t DROP b; INSERT INTO t VALUES (4, 'a', 1, 0)")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY id") == [
        (1, "a", 1, 0),
        (2, "b", 1, 0),
        (3, "a", 2, 0),
        (4, "a", 1, 0),
    ]
    assert indexes(query, "t") == {"u": (False, "mail"), "of_c": (False, "c")}
    run("replication-compare", env=servers)


def test_unique_indexes_that_are_in_mysql_become_plain_before_a_row_is_written(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute('CREATE TABLE t (id int PRIMARY KEY, a text, b int, "it\'s `c`" int)')
    source.execute("INSERT INTO t VALUES (1, 'aa', 1, 1), (2, 'ab', 2, 2)")
    run("replicate", env=servers)
    query("CREATE TABLE of_the_user (id int UNIQUE)")
    query("CREATE UNIQUE INDEX `first, of a` ON t (a(2), b) COMMENT 'it''s, a'")
    query("CREATE UNIQUE INDEX of_b ON t (b DESC)")
    query("CREATE UNIQUE INDEX `of ``c``` ON t (`it's ``c```)")
    if "MariaDB" in query("SELECT VERSION()")[0][0]:
        query("ALTER TABLE t ADD UNIQUE INDEX hidden (b) IGNORED, ADD UNIQUE INDEX whole_text (a)")
    else:
        query("CREATE UNIQUE INDEX hidden ON t ((b + 1), (CAST(CONCAT(b, ',''') AS CHAR(9)))) INVISIBLE")
    source.execute("INSERT INTO t VALUES (3, 'aa', 1, 1)")
    log = run("replicate", env=servers).log
    assert "making the unique index `of_b` non-unique" in log
    found = indexes(query, "t")
    assert not found.pop("hidden")[0]
    assert found == {"first, of a": (False, "a,b"), "of_b": (False, "b"), "of `c`": (False, "it's `c`")}
    assert indexes(query, "of_the_user") == {"id": (True, "id")}
    assert query("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]
    assert "unique" not in run("replicate", env=servers).log
    query("CREATE UNIQUE INDEX again ON t (id)")
    query("UPDATE t SET b = b + 1")
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 3
    assert not indexes(query, "t")["again"][0]
