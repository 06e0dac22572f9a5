"""The comparison and the repair over keys of several types, between real servers."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs
KEYS = {
    "integers": ("a bigint", "n", "{0}"),
    "texts": ("a text", "'k' || n", "k{0}"),
    "pairs": ("a varchar(9), b int", "'k' || mod(n, 7), n", "k{1},{0}"),
    "uuids": ("a uuid", "lpad(n::text, 32, '0')::uuid", "00000000-0000-0000-0000-{0:012}"),
    "moments": ("a timestamptz", "timestamptz '2024-01-01Z' + n * interval '1 day'", "2024-01-{2:02} 00:00:00"),
}
"""Tables with the columns of their keys, the key of row ``n``, and how it is shown with n, n modulo 7, the day."""


def make_tables(source: psycopg.Connection, rows: int) -> None:
    for table, (columns, values, _) in KEYS.items():
        names = ", ".join(column.split()[0] for column in columns.split(", "))
        source.execute(f"CREATE TABLE {table} ({columns}, n int, v text, w text, PRIMARY KEY ({names}))")
        source.execute(f"INSERT INTO {table} SELECT {values}, n, 'v', 'w' FROM generate_series(1, {rows}) n")


def test_each_differing_key_is_named_with_what_differs_and_repaired(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, 30)
    run("replicate", env=servers)
    for table in KEYS:
        query(f"UPDATE {table} SET v = 'other' WHERE n = 5")
        query(f"UPDATE {table} SET v = NULL, w = '' WHERE n = 6")
        query(f"DELETE FROM {table} WHERE n = 8")
    compared = run("replication-compare", env=servers, check=False)
    assert compared.status == 1
    assert f"{3 * len(KEYS)} rows differ" in compared.log
    for table, (_, _, shown) in KEYS.items():
        for n, what in (
            (5, "has other values in MySQL: v"),
            (6, "has other values in MySQL: v, w"),
            (8, "is missing in MySQL"),
        ):
            assert f"{table} {shown.format(n, n % 7, n + 1)} {what}\n" in compared.log + "\n"
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 3 * len(KEYS)
    assert run("replication-compare", env=servers).result["rows_compared"] == 30 * len(KEYS)


def test_thousands_of_differences_are_found_and_repaired(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_tables(source, 8000)
    run("replicate", env=servers)
    for table in KEYS:
        query(f"UPDATE {table} SET v = 'other' WHERE n BETWEEN 1001 AND 3000")
        query(f"DELETE FROM {table} WHERE n > 7000")
    # The keys that rows have here are no others' in PostgreSQL.
    query("UPDATE integers SET a = a + 1000000 WHERE n BETWEEN 4001 AND 4500")
    query("UPDATE texts SET a = CONCAT(a, ' ') WHERE n BETWEEN 4001 AND 4500")
    query("UPDATE pairs SET b = b + 1000000 WHERE n BETWEEN 4001 AND 4500")
    compared = run("replication-compare", env=servers, check=False)
    assert compared.status == 1
    assert f"{5 * 3000 + 3 * 1000} rows differ" in compared.log
    assert "integers 1004001 is in MySQL alone" in compared.log
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 18_000
    assert run("replication-compare", env=servers).result["rows_compared"] == 8000 * len(KEYS)


def test_doubles_whose_shortest_texts_differ_between_the_servers_are_equal_also_as_keys(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    # MySQL shows the first as 2.557108983077679e16, which is half-way to the next double.
    source.execute("CREATE TABLE t (x double precision PRIMARY KEY, y double precision)")
    source.execute("INSERT INTO t VALUES (25571089830776792, -25571089830776792)")
    source.execute(
        "INSERT INTO t SELECT x, -x FROM (SELECT DISTINCT 10 ^ (15.5 + 25 * random()) AS x"
        " FROM generate_series(1, 3000)) AS numbers UNION SELECT 2::float8 ^ n, -(2::float8 ^ n)"
        " FROM generate_series(50, 140) n"
    )
    run("replicate", env=servers)
    assert run("replication-compare", env=servers).result["rows_compared"] > 3000
    query("UPDATE t SET y = y * (1 + 3e-16) WHERE x BETWEEN 1e16 AND 1e40")
    query("UPDATE t SET x = x * (1 + 3e-16) WHERE x BETWEEN 1e16 AND 1e17")
    changed = query("SELECT COUNT(*) FROM t WHERE x BETWEEN 1e16 AND 1e40")[0][0]
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] >= changed
    assert query("SELECT COUNT(*) FROM t WHERE y <> -x")[0][0] == 0
    run("replication-compare", env=servers)


def test_values_whose_text_depends_on_how_it_is_made_are_equal_after_a_copy_and_a_change(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TYPE address AS (street text, house text); CREATE TYPE mood AS ENUM ('sad', 'so, so')")
    source.execute(
        "CREATE DOMAIN home AS address; CREATE DOMAIN temper AS mood;"
        " CREATE FUNCTION loud(mood) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''!'''"
    )
    source.execute("CREATE CAST (mood AS text) WITH FUNCTION loud(mood)")
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a address, b home, c address[], d mood, e temper, f xml)")
    values = [
        "ROW(NULL, NULL), ROW(NULL, NULL), ARRAY[NULL, ROW(NULL, NULL)::address], 'sad', 'sad'",
        "NULL, NULL, NULL, NULL, NULL",
        "ROW(NULL, '5'), ROW(NULL, ''), '{}', 'so, so', 'so, so'",
        "ROW('', ''), ROW('NULL', ','), ARRAY[ROW('', NULL)::address], 'sad', NULL",
    ]
    xml = '\'<?xml version="1.0" encoding="UTF-8"?><a>é</a>\''
    try:
        source.execute(f"SELECT {xml}::xml")
    except psycopg.errors.FeatureNotSupported:
        xml = "NULL"
    for first in (0, 10):
        for n, row in enumerate(values, first):
            source.execute(f"INSERT INTO t VALUES ({n}, {row}, {xml})")
        run("replicate", env=servers)
    assert run("replication-compare", env=servers).result["rows_compared"] == 8
