"""Types, and values that MySQL can't hold, between real servers."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs("each")
MANY_DIGITS = "1" + "2" * 99
UNFIT = {
    "exact": ("numeric(20, 2)", ["NaN"]),
    "free": ("numeric", ["NaN", "Infinity", "-Infinity", MANY_DIGITS, "1e-31", "-1e36"]),
    "large": ("double precision", ["NaN", "Infinity", "-Infinity"]),
    "single": ("real", ["NaN", "Infinity", "-Infinity"]),
    "day": ("date", ["20000-01-01", "infinity", "-infinity", "0044-03-15 BC"]),
    "moment": ("timestamp", ["20000-01-01 10:00:00", "infinity", "-infinity", "0044-03-15 00:00:00 BC"]),
    "instant": ("timestamptz", ["20000-01-01 10:00:00+00", "infinity", "-infinity", "0044-03-15 00:00:00+00 BC"]),
}
"""Columns, their types, and values that MySQL can't hold."""
FITTING = {
    "exact": "1.50", "free": "1.5", "large": "1.5", "single": "1.5", "day": "2024-02-29",
    "moment": "2024-02-29 10:11:12.5", "instant": "2024-02-29 10:11:12.5+00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("copied", "identity", "body"),
    [
        (True, "DEFAULT", "'small'"),
        (False, "DEFAULT", "'small'"),
        (False, "FULL", "'small'"),
        # A change does not contain a large value that stays the same.
        (False, "DEFAULT", "body"),
        (False, "FULL", "body"),
    ],
)
def test_a_value_that_mysql_cannot_hold_is_told_with_table_column_and_key(
    copied: bool,
    identity: str,
    body: str,
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    source.execute("CREATE TABLE t (part text, reading float, id int, body text, PRIMARY KEY (part, id))")
    source.execute(f"ALTER TABLE t ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY {identity}")
    source.execute("INSERT INTO t SELECT 'p' || n, n, n, repeat('x', 9000) FROM generate_series(1, 40) n")
    if not copied:
        run("replicate", env=servers)
    source.execute(
        f"UPDATE t SET body = {body}, reading = CASE id WHEN 33 THEN float 'Infinity' ELSE 0 END WHERE id > 5"
    )
    stopped = run("replicate", env=servers, check=False)
    assert stopped.status == 1
    assert "value of the table t" in stopped.log
    assert "reading" in stopped.log
    assert "where part = p33, id = 33" in stopped.log
    source.execute("UPDATE t SET reading = 0")
    if copied:
        run("replicate", env=servers)
        run("replication-compare", env=servers)


def make_unfit(source: psycopg.Connection) -> int:
    """Make a table of rows with one value each that MySQL can't hold, and one other row; return their number."""
    definitions = ", ".join(f"{name} {kind}" for name, (kind, _) in UNFIT.items())
    source.execute(
        f"CREATE TABLE IF NOT EXISTS t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {definitions})"
    )
    source.execute("TRUNCATE t RESTART IDENTITY")
    rows = [FITTING | {name: value} for name, (_, values) in UNFIT.items() for value in values] + [FITTING]
    places = ", ".join(["%s"] * len(FITTING))
    with source.transaction():
        for row in rows:
            source.execute(f"INSERT INTO t ({', '.join(row)}) VALUES ({places})", list(row.values()))
    return len(rows)


@pytest.mark.parametrize(
    ("rules", "null"),
    [
        (["null"], set(UNFIT)),
        (["text"], set()),
        (["null", "t.day=text", "t.free=text"], set(UNFIT) - {"day", "free"}),
        (["text", "t.moment=null"], {"moment"}),
    ],
)
def test_unfit_values_become_null_or_text_by_copy_and_by_change_alike(
    rules: list[str], null: set[str], servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("SET timezone = 'UTC'")
    count = make_unfit(source)
    arguments = [argument for rule in rules for argument in ("--unfit", rule)]
    assert run("replicate", *arguments, env=servers).result["copied"] == {"t": count}
    shown = "SELECT id, " + ", ".join(f"CAST({name} AS CHAR)" for name in UNFIT) + " FROM t ORDER BY id"
    copied = query(shown)
    names = list(UNFIT)
    texts = ", ".join(f"{name}::text" for name in UNFIT)
    expected = source.execute(f"SELECT {texts} FROM t ORDER BY id").fetchall()
    unfit = [i for i, (_, values) in enumerate(UNFIT.values()) for _ in values]
    for (_, *values), wanted, i in zip(copied, expected, unfit, strict=False):
        assert values[i] == (None if names[i] in null else wanted[i])
    assert None not in copied[-1]
    run("replication-compare", env=servers)
    make_unfit(source)
    assert run("replicate", env=servers).result["changes"] == count + 1
    assert query(shown) == copied
    run("replication-compare", env=servers)


def test_a_number_wider_than_a_decimal_is_its_text(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, whole numeric(66, 0), small numeric(40, 31))")
    run("replicate", env=servers)
    whole, small = "-" + "9" * 66, "-" + "9" * 9 + "." + "9" * 31
    source.execute(f"INSERT INTO t VALUES (1, {whole}, {small})")
    run("replicate", env=servers)
    assert query("SELECT * FROM t") == [(1, whole, small)]
    assert run("replicate", "--recopy", "t", env=servers).result["copied"] == {"t": 1}
    assert query("SELECT * FROM t") == [(1, whole, small)]
    run("replication-compare", env=servers)
