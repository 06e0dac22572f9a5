"""The comparison and the repair over keys of several types, between real servers."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.servers import MySQL

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs("each")
KEYS = {
    "integers": ("a bigint", "n", "{0}"),
    "texts": ("a text", "'k' || n", "k{0}"),
    "pairs": ("a varchar(9), b int", "'k' || mod(n, 7), n", "k{1},{0}"),
    "uuids": ("a uuid", "lpad(n::text, 32, '0')::uuid", "00000000-0000-0000-0000-{0:012}"),
    "moments": ("a timestamptz", "timestamptz '2024-01-01Z' + n * interval '1 day'", "2024-01-{2:02} 00:00:00"),
}
"""For each table: its key columns, the key of row ``n``, and how it is shown (from n, n modulo 7, the day)."""


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
    # These rows get keys that PostgreSQL does not have.
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


PACKET = 4 << 20
"""Bytes. It is enough for other tests that run at the same time."""


@pytest.fixture
def small_packets(server: Callable[[str], MySQL], pair: tuple[str, str]) -> Iterator[None]:
    """Limit the texts that MySQL's sessions can make to PACKET."""
    with server(pair[1]).admin() as admin, admin.cursor() as cursor:
        cursor.execute("SET @before = @@GLOBAL.max_allowed_packet")
        cursor.execute(f"SET GLOBAL max_allowed_packet = {PACKET}")
        yield
        cursor.execute("SET GLOBAL max_allowed_packet = @before")


LARGE_ROWS = {
    1: ("{half}", "{half}", "NULL"),
    2: ("NULL", "''", "{half}::bytea"),
    3: ("{half} || {half}", "NULL", "({half} || {half})::bytea"),
    4: ("''", "NULL", "NULL"),
    5: ("NULL", "''", "''"),
}
"""Rows and values whose texts are larger than MySQL's packets, and rows that could be confused with them."""


def test_rows_that_are_larger_than_a_packet_of_mysql_are_compared_and_repaired(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, small_packets: None
) -> None:
    half = f"repeat('half', {PACKET // 4 * 6 // 10})"
    source.execute("CREATE TABLE large (id int PRIMARY KEY, a text, b text, c bytea)")
    for key, values in LARGE_ROWS.items():
        source.execute(f"INSERT INTO large VALUES ({key}, {', '.join(values).format(half=half)})")
    run("replicate", env=servers)
    assert run("replication-compare", env=servers).result["rows_compared"] == 5
    query("UPDATE large SET a = INSERT(a, 1, 1, 'H') WHERE id IN (1, 3)")
    query("UPDATE large SET a = '', b = NULL, c = INSERT(c, 1, 1, 'H') WHERE id = 2")
    # A row whose text is too large, and one with NULL.
    query(f"UPDATE large SET c = REPEAT('x', {PACKET - 100}) WHERE id = 4")
    query("UPDATE large SET c = NULL WHERE id = 5")
    compared = run("replication-compare", env=servers, check=False)
    assert compared.status == 1
    for key, columns in ((1, "a"), (2, "a, b, c"), (3, "a"), (4, "c"), (5, "c")):
        assert f"large {key} has other values in MySQL: {columns}\n" in compared.log
    query("DELETE FROM large WHERE id = 3")
    query(f"INSERT INTO large VALUES (6, REPEAT('x', {PACKET}), REPEAT('x', {PACKET}), NULL)")
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 6
    assert run("replication-compare", env=servers).result["rows_compared"] == 5
    in_source = "SELECT id, encode(sha256(a::bytea), 'hex'), encode(sha256(b::bytea), 'hex'),"
    in_source += " encode(sha256(c), 'hex') FROM large ORDER BY id"
    digests = "SELECT id, SHA2(a, 256), SHA2(b, 256), SHA2(c, 256) FROM large ORDER BY id"
    assert query(digests) == source.execute(in_source).fetchall()


def test_a_key_that_postgresql_cannot_have_is_found_in_mysql_and_removed(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE moods (a mood PRIMARY KEY)")
    source.execute("CREATE TABLE t (a uuid PRIMARY KEY); CREATE TABLE texts (a text PRIMARY KEY)")
    source.execute("INSERT INTO moods VALUES ('sad'), ('happy'); INSERT INTO texts VALUES ('a')")
    source.execute("INSERT INTO t VALUES ('00000000-0000-0000-0000-000000000000')")
    run("replicate", env=servers)
    query("UPDATE moods SET a = 'angry' WHERE a = 'sad'")
    query("INSERT INTO t VALUES ('none')")
    query("INSERT INTO texts VALUES (CONCAT('a', CHAR(0), ',', CHAR(0)))")
    compared = run("replication-compare", env=servers, check=False)
    for line in ("moods angry is in MySQL alone", "moods sad is missing in MySQL", "t none is in MySQL alone"):
        assert line in compared.log
    assert "4 rows differ" in compared.log
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 4
    run("replication-compare", env=servers)


def test_a_row_that_is_twice_in_mysql_is_found_and_repaired(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'b'), (2, 'b')")
    run("replicate", env=servers)
    query("ALTER TABLE t DROP PRIMARY KEY")
    query("INSERT INTO t VALUES (1, 'b')")
    compared = run("replication-compare", env=servers, check=False)
    assert "t 1 is there more than once in MySQL" in compared.log
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 1
    assert query("SELECT * FROM t ORDER BY a") == [(1, "b"), (2, "b")]


def test_rows_that_are_twice_in_mysql_in_place_of_others_are_found_and_repaired(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, 'b' FROM generate_series(1, 5) n"
    )
    run("replicate", env=servers)
    query("ALTER TABLE t DROP PRIMARY KEY")
    query("UPDATE t SET a = 1 WHERE a IN (2, 3)")
    query("UPDATE t SET a = 4 WHERE a = 5")
    assert query("SELECT a FROM t ORDER BY a") == [(1,), (1,), (1,), (4,), (4,)]
    compared = run("replication-compare", env=servers, check=False)
    for line in (
        "t 1 is there more than once",
        "t 2 is missing",
        "t 4 is there more than once",
        "t 5 is missing",
    ):
        assert line in compared.log
    assert run("replication-compare", "--repair", env=servers).result["rows_repaired"] == 5
    assert query("SELECT * FROM t ORDER BY a") == [(n, "b") for n in range(1, 6)]
