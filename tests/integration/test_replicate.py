"""Copy, changes and comparison, between real servers."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs
ODD_TEXTS = [
    "",
    " ",
    "a ",
    "a",
    "NULL",
    "\\N",
    "null",
    '"',
    '""',
    "a,b",
    'quote " and, comma',
    "line\nbreak",
    "\r\n",
    "\t",
    "back\\slash",
    "Привет",
    "e\u0301 é",
    "🛒",
    "\\",
    "'",
    "%s",
    "`",
    "x" * 70_000,
]
EVERY_TYPE = """
CREATE TYPE mood AS ENUM ('sad', 'so, so', 'happy');
CREATE DOMAIN price AS numeric(10, 2) CHECK (value >= 0);
CREATE TABLE "Every Type, `select`" (
    "Id %" bigint PRIMARY KEY,
    small smallint, plain integer, big bigint, exact numeric(20, 6), whole numeric(5), free numeric, cost price,
    "real" real, "double" double precision, yes boolean, fixed char(5), short varchar(20), long varchar(5000),
    words text, bytes bytea, day date, clock time, moment timestamp, instant timestamptz, id uuid,
    document json, binary_document jsonb, feeling mood, list integer[], names text[], span interval,
    clock_zone timetz, "range" int4range, address inet, network cidr, bits bit varying(8), "{}" text
)
"""
EVERY_VALUE = [
    """(1, -32768, -2147483648, -9223372036854775808, -12345678901234.567891, 99999, 0.000000000000000000000000000001,
        0.50, 3.4028235e38, 1.7976931348623157e308, true, 'ab', 'x', 'y', 'z', '\\x00ff0a22', '0001-01-01', '00:00',
        '1000-01-01 00:00:00.000001', '2024-03-10 02:30:00.123456+05:30', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        '{"b": 1.0, "a": "\\u0416"}', '{"b": 1.0, "a": [1, null]}', 'so, so', '{1,NULL,3}', '{"a,b",NULL,"\\""}',
        '1 year -2 days 03:04:05.6', '10:11:12.5+03', '[1,5)', '10.0.0.1', '10.0.0.0/8', B'101', '<a b="c">&amp;</a>')""",
    """(2, 32767, 2147483647, 9223372036854775807, 0.000001, -1, 12345678901234567890123456789012345, 0,
        1.17549435e-38, 5e-324, false, '', '', '', '', '', '9999-12-31', '24:00', '9999-12-31 23:59:59.999999',
        '1970-01-01 00:00:00+00', '00000000-0000-0000-0000-000000000000', 'null', '[]', 'sad', '{}', '{}', '0',
        '00:00+00', 'empty', '::1', '::/0', B'', '<a/>')""",
    "(3" + ", NULL" * 32 + ")",
    """(4, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.1, true, 'abcde', '%', '%s', '\n', '\\x', '2000-02-29', '12:34:56.789',
        '2000-01-01', '2000-01-01 00:00:00-12', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"', '"x"', 'happy',
        '{{1,2},{3,4}}', '{NULL}', '-1 day', '23:59:59-12', '(,)', '192.168.0.0/16', '1.2.3.4/32', B'11111111', '')""",
]


@pytest.mark.pairs("all")
def test_every_type_arrives_by_copy_and_by_change_alike(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(EVERY_TYPE)
    table = '"Every Type, `select`"'
    for values in EVERY_VALUE:
        source.execute(f"INSERT INTO {table} VALUES {values}")
    assert run("replicate", env=servers).result["copied"] == {"Every Type, `select`": 4}
    copied = query("SELECT * FROM `Every Type, ``select``` ORDER BY 1")
    source.execute(f"TRUNCATE {table}")
    for values in EVERY_VALUE:
        source.execute(f"INSERT INTO {table} VALUES {values}")
    assert run("replicate", env=servers).result["changes"] == 5
    assert query("SELECT * FROM `Every Type, ``select``` ORDER BY 1") == copied
    names = [column.name for column in source.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]
    row = dict(zip(names, copied[0], strict=True))
    assert row["instant"].isoformat() == "2024-03-09T21:00:00.123456"
    assert row["bytes"] == b'\x00\xff\n"'
    assert row["fixed"] == "ab"
    assert row["document"] == '{"b": 1.0, "a": "\\u0416"}'
    assert row["double"] == 1.7976931348623157e308
    assert run("replication-compare", env=servers).result["rows_compared"] == 4


def test_odd_texts_arrive_by_copy_and_by_change_as_values_and_as_keys(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE copied (id int PRIMARY KEY, words text); CREATE TABLE keyed (words text PRIMARY KEY)"
    )
    with source.cursor() as cursor:
        cursor.executemany("INSERT INTO copied VALUES (%s, %s)", list(enumerate(ODD_TEXTS)))
    run("replicate", env=servers)
    assert [words for _, words in query("SELECT * FROM copied ORDER BY id")] == ODD_TEXTS
    with source.cursor() as cursor:
        cursor.execute("TRUNCATE copied")
        cursor.executemany("INSERT INTO copied VALUES (%s, %s)", list(enumerate(ODD_TEXTS)))
        cursor.executemany("INSERT INTO keyed VALUES (%s)", [(text,) for text in ODD_TEXTS if len(text) < 700])
    run("replicate", env=servers)
    assert [words for _, words in query("SELECT * FROM copied ORDER BY id")] == ODD_TEXTS
    assert {words for (words,) in query("SELECT * FROM keyed")} == {text for text in ODD_TEXTS if len(text) < 700}
    run("replication-compare", env=servers)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", "'NaN'"),
        ("double precision", "'NaN'"),
        ("double precision", "'infinity'"),
        ("numeric", "1e-31"),
        ("numeric", "1e36"),
        ("date", "'20000-01-01'"),
        ("date", "'infinity'"),
        ("date", "'0044-03-15 BC'"),
        ("timestamp", "'20000-01-01'"),
        ("timestamptz", "'infinity'"),
        ("timestamptz", "'0044-03-15 BC'"),
    ],
)
def test_a_value_that_mysql_cannot_hold_stops_the_run_and_names_the_column(
    kind: str, value: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(f"CREATE TABLE readings (id int PRIMARY KEY, reading {kind}); INSERT INTO readings VALUES (1)")
    run("replicate", env=servers)
    source.execute(f"UPDATE readings SET reading = {value}")
    changed = run("replicate", env=servers, check=False)
    assert changed.status == 1
    assert "readings" in changed.log
    assert "reading'" in changed.log or "`reading`" in changed.log
    assert query("SELECT * FROM readings") == [(1, None)]
    source.execute("CREATE TABLE others AS SELECT * FROM readings; ALTER TABLE others ADD PRIMARY KEY (id)")
    source.execute("UPDATE readings SET reading = NULL")
    copied = run("replicate", env=servers, check=False)
    assert copied.status == 1
    assert "others" in copied.log
    source.execute("UPDATE others SET reading = NULL")
    run("replicate", env=servers)
    run("replication-compare", env=servers)


def test_floats_are_compared_by_their_exact_value(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE floats (id int PRIMARY KEY, x double precision, y real)")
    source.execute("SELECT setseed(0.5)")
    source.execute(
        "INSERT INTO floats SELECT n, (random() - 0.5) * 10 ^ (random() * 600 - 300),"
        " ((random() - 0.5) * 10 ^ (random() * 70 - 35))::real FROM generate_series(1, 3000) n"
    )
    source.execute("INSERT INTO floats VALUES (0, 0, '-0'), (-1, 1e15, 1e15), (-2, 123456789012345680, 16777216)")
    run("replicate", env=servers)
    assert run("replication-compare", env=servers).result["rows_compared"] == 3003
    query("UPDATE floats SET x = x * 1.0000000000000002 WHERE id = 7")
    assert (
        "1 rows differ: floats 7 has other values in MySQL"
        in run("replication-compare", env=servers, check=False).log
    )


def test_changes_of_every_kind_arrive(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE a (id int, part text, v text, PRIMARY KEY (part, id)); CREATE TABLE b (id int PRIMARY KEY)"
    )
    source.execute("INSERT INTO a SELECT n, 'p', 'v' FROM generate_series(1, 9) n; INSERT INTO b VALUES (1), (2)")
    run("replicate", env=servers)
    with source.transaction():
        source.execute("INSERT INTO a VALUES (10, 'p', 'new')")
        source.execute("UPDATE a SET v = 'changed' WHERE id = 2")
        source.execute("UPDATE a SET id = 103 WHERE id = 3")
        source.execute("DELETE FROM a WHERE id = 4")
        source.execute("DELETE FROM a WHERE id = 5")
        source.execute("INSERT INTO a VALUES (5, 'p', 'again')")
        source.execute("UPDATE a SET id = 104 WHERE id = 6")
        source.execute("UPDATE a SET id = 6 WHERE id = 7")
        source.execute("INSERT INTO a VALUES (11, 'p', 'short-lived')")
        source.execute("DELETE FROM a WHERE id = 11")
        source.execute("TRUNCATE b")
        source.execute("INSERT INTO b VALUES (3)")
    with source.transaction(force_rollback=True):
        source.execute("DELETE FROM a")
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT id, v FROM a ORDER BY id") == [
        (1, "v"), (2, "changed"), (5, "again"), (6, "v"), (8, "v"), (9, "v"), (10, "new"), (103, "v"), (104, "v"),
    ]  # fmt: skip
    assert query("SELECT * FROM b") == [(3,)]
    assert run("replicate", env=servers).result["changes"] == 0
    run("replication-compare", env=servers)


def test_a_large_value_that_an_update_leaves_alone_is_kept(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE pages (id int PRIMARY KEY, title text NOT NULL, body text NOT NULL, notes text)")
    source.execute("ALTER TABLE pages ALTER body SET STORAGE EXTERNAL, ALTER notes SET STORAGE EXTERNAL")
    source.execute(
        "INSERT INTO pages SELECT n, 't', repeat(n::text, 9000), repeat('n', 9000) FROM generate_series(1, 6) n"
    )
    run("replicate", env=servers)
    source.execute("UPDATE pages SET title = 'one' WHERE id = 1")
    source.execute("UPDATE pages SET id = 20 WHERE id = 2")
    source.execute("UPDATE pages SET title = 'twenty' WHERE id = 20")
    source.execute("UPDATE pages SET notes = 'short' WHERE id = 3")
    source.execute("UPDATE pages SET title = 'three' WHERE id = 3")
    source.execute("UPDATE pages SET title = 'four', body = 'short' WHERE id = 4")
    source.execute(
        "INSERT INTO pages VALUES (7, 'seven', repeat('7', 9000)); UPDATE pages SET title = 'VII' WHERE id = 7"
    )
    source.execute("UPDATE pages SET id = 2 WHERE id = 1; DELETE FROM pages WHERE id = 5")
    run("replicate", env=servers)
    run("replication-compare", env=servers)
    assert query("SELECT id, title, LEFT(body, 1), LENGTH(body), LENGTH(notes) FROM pages ORDER BY id") == [
        (2, "one", "1", 9000, 9000), (3, "three", "3", 9000, 5), (4, "four", "s", 5, 9000), (6, "t", "6", 9000, 9000),
        (7, "VII", "7", 9000, None), (20, "twenty", "2", 9000, 9000),
    ]  # fmt: skip


def test_comparison_names_the_rows_that_differ(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 20000) n")
    run("replicate", env=servers)
    query("UPDATE t SET v = 'V77' WHERE id = 77")
    query("DELETE FROM t WHERE id = 19999")
    query("INSERT INTO t VALUES (30000, NULL)")
    differing = run("replication-compare", env=servers, check=False)
    assert differing.status == 1
    for sentence in (
        "t 77 has other values in MySQL",
        "t 19999 is missing in MySQL",
        "t 30000 is in MySQL alone",
    ):
        assert sentence in differing.log
    assert "3 rows differ" in differing.log


def test_a_column_that_is_added_is_followed_a_new_table_copied_and_a_dropped_one_dropped(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO t VALUES (1)"
    )
    run("replicate", env=servers)
    source.execute(
        "INSERT INTO t VALUES (2); ALTER TABLE t ADD v text DEFAULT 'x'; INSERT INTO t VALUES (3, 'y')"
    )
    source.execute("DROP TABLE gone; CREATE TABLE new (id int PRIMARY KEY)")
    assert run("replicate", env=servers).result["copied"] == {"new": 0}
    assert query("SELECT * FROM t ORDER BY id") == [(1, "x"), (2, "x"), (3, "y")]
    assert {name for (name,) in query("SHOW TABLES") if not name.startswith("_")} == {"new", "t"}
    run("replication-compare", env=servers)


def test_a_table_without_a_key_is_refused_and_the_others_are_replicated(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE keyless (v text); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "keyless: it has no primary key" in refused.log
    assert query("SELECT * FROM t") == [(1,)]
    assert run("replicate", "--exclude", "keyless", env=servers).status == 0
    source.execute("INSERT INTO keyless VALUES ('x'); UPDATE keyless SET v = 'y'")


@pytest.mark.parametrize(
    ("unique", "identity"),
    [
        ("", "FULL"),
        ("INCLUDE (title)", "FULL"),
        ("", "USING INDEX t_key"),
        ("INCLUDE (title)", "USING INDEX t_key"),
    ],
)
def test_a_unique_key_is_mysqls_primary_key_where_postgresql_has_none(
    unique: str, identity: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(
        "CREATE TABLE t (title text, part text NOT NULL, id int NOT NULL, body text, other int UNIQUE)"
    )
    source.execute(
        f"CREATE UNIQUE INDEX t_key ON t (id, part) {unique}; ALTER TABLE t REPLICA IDENTITY {identity}"
    )
    source.execute("ALTER TABLE t ALTER body SET STORAGE EXTERNAL")
    source.execute("INSERT INTO t SELECT 't', 'p', n, repeat(n::text, 9000) FROM generate_series(1, 6) n")
    run("replicate", env=servers)
    source.execute("UPDATE t SET title = 'one' WHERE id = 1; UPDATE t SET id = 20, title = NULL WHERE id = 2")
    source.execute("UPDATE t SET part = 'q', body = 'short' WHERE id = 3; DELETE FROM t WHERE id = 4")
    source.execute("INSERT INTO t VALUES (NULL, 'p', 7, NULL); INSERT INTO t VALUES ('t', 'p', 8, 'gone')")
    source.execute("UPDATE t SET id = 2 WHERE id = 5; DELETE FROM t WHERE id = 8")
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT id, part, title, LENGTH(body), LEFT(body, 1) FROM t ORDER BY id") == [
        (1, "p", "one", 9000, "1"), (2, "p", "t", 9000, "5"), (3, "q", "t", 5, "s"), (6, "p", "t", 9000, "6"),
        (7, "p", None, None, None), (20, "p", None, 9000, "2"),
    ]  # fmt: skip
    key = "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name = 't' AND constraint_name = 'PRIMARY' ORDER BY 1"
    assert query(key) == [("id",), ("part",)]
    run("replication-compare", env=servers)


@pytest.mark.parametrize(
    "unusable",
    ["a int UNIQUE", "a int NOT NULL", "a int PRIMARY KEY DEFERRABLE", "a int NOT NULL, EXCLUDE (a WITH =)"],
)
def test_a_table_without_a_usable_key_is_refused_whatever_its_replica_identity(
    unusable: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute(f"CREATE TABLE t ({unusable}); ALTER TABLE t REPLICA IDENTITY FULL")
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "a unique key over NOT NULL columns and set REPLICA IDENTITY FULL" in refused.log
    assert ("t",) not in query("SHOW TABLES")


def test_only_the_tables_named_are_copied(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    assert run("replicate", "a", env=servers).result["copied"] == {"a": 0}
    source.execute("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)")
    result = run("replicate", "b", env=servers).result
    assert (result["copied"], result["changes"], result["rows_written"]) == ({"b": 1}, 1, 1)
    run("replication-compare", env=servers)
    unknown = run("replicate", "c", env=servers, check=False)
    assert unknown.status == 2
    assert "There is no table c" in unknown.log


def test_a_table_of_somebody_else_in_mysql_is_left_alone(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    query("CREATE TABLE t (precious int)")
    refused = run("replicate", env=servers, check=False)
    assert refused.status == 1
    assert "MySQL has a table t" in refused.log
    assert query("DESCRIBE t")[0][0] == "precious"


def test_a_slot_that_lost_changes_makes_the_tables_be_copied_again(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    run("replicate", env=servers)
    source.execute(f"SELECT pg_drop_replication_slot('replication_{servers['PGDATABASE']}')")
    source.execute("DELETE FROM t; INSERT INTO t VALUES (2)")
    again = run("replicate", env=servers)
    assert "lost changes" in again.log
    assert query("SELECT * FROM t") == [(2,)]
    source.execute("INSERT INTO t VALUES (3)")
    source.execute(
        f"SELECT pg_replication_slot_advance('replication_{servers['PGDATABASE']}', pg_current_wal_flush_lsn())"
    )
    assert run("replicate", env=servers).result["copied"] == {"t": 2}
    run("replication-compare", env=servers)


def test_following_brings_changes_within_seconds_and_the_source_compares_equal_while_it_moves(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, start: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    follower = start("replicate", "--follow", env=servers)
    deadline = time.monotonic() + 60
    while ("t",) not in query("SHOW TABLES"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for i in range(30):
        source.execute("INSERT INTO t VALUES (%s, 0)", [i])
        if i == 10:
            comparing = start("replication-compare", env=servers)
        time.sleep(0.05)
    output, log = comparing.communicate(timeout=60)
    assert comparing.returncode == 0, log
    assert json.loads(output)["equal"] is True
    deadline = time.monotonic() + 60
    while query("SELECT COUNT(*) FROM t") != [(30,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    follower.send_signal(signal.SIGTERM)
    output, log = follower.communicate(timeout=30)
    assert follower.returncode == 0, log
    assert json.loads(output)["changes"] <= 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_follower_that_is_interrupted_while_it_catches_up_ends_well_and_the_next_run_goes_on(
    number: signal.Signals, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, start: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    run("replicate", env=servers)
    for i in range(40):
        source.execute(
            "INSERT INTO t SELECT n + %s * 1500, repeat('x', 2000) FROM generate_series(1, 1500) n", [i]
        )
    follower = start("replicate", "--follow", env=servers)
    while query("SELECT COUNT(*) FROM t") == [(0,)]:
        assert follower.poll() is None
    follower.send_signal(number)
    output, log = follower.communicate(timeout=30)
    assert follower.returncode == 0, log
    changes = json.loads(output)["changes"]
    assert 0 < changes < 60_000
    assert query("SELECT COUNT(*) FROM t") == [(changes,)]
    assert run("replicate", env=servers).result["changes"] == 60_000 - changes
    run("replication-compare", env=servers)


@pytest.mark.parametrize(
    ("arguments", "copied"), [((), {"younger", "other"}), (("--exclude", "other"), {"younger"}), (("t",), set())]
)
def test_a_follower_copies_tables_that_are_made_while_it_runs_unless_it_was_told_which(
    arguments: tuple[str, ...],
    copied: set[str],
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
    start: Any,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    if "--exclude" in arguments:
        source.execute("CREATE TABLE other (id int PRIMARY KEY)")
    run("replicate", "t", env=servers)
    follower = start("replicate", "--follow", *arguments, env=servers)
    time.sleep(3)
    source.execute("CREATE TABLE younger (id int PRIMARY KEY); INSERT INTO younger SELECT generate_series(1, 9)")
    source.execute("CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY)")
    deadline = time.monotonic() + (60 if copied else 8)
    while time.monotonic() < deadline and not (copied and copied <= {name for (name,) in query("SHOW TABLES")}):
        time.sleep(0.1)
    assert {name for (name,) in query("SHOW TABLES") if not name.startswith("_")} == {"t", *copied}
    if copied:
        source.execute("INSERT INTO younger VALUES (10)")
        deadline = time.monotonic() + 60
        while query("SELECT COUNT(*) FROM younger") != [(10,)]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(timeout=30) == 0


def test_readers_never_see_half_of_a_transaction(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, start: Any
) -> None:
    source.execute("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int)")
    source.execute("INSERT INTO a SELECT n, 0 FROM generate_series(1, 500) n; INSERT INTO b SELECT * FROM a")
    run("replicate", env=servers)
    follower = start("replicate", "--follow", env=servers)
    seen = set()
    deadline = time.monotonic() + 180
    for i in range(1, 10_000):
        with source.transaction():
            source.execute("UPDATE a SET v = %s", [i])
            source.execute("UPDATE b SET v = %s", [i])
        both = "SELECT MIN(v), MAX(v), 'a' FROM a UNION ALL SELECT MIN(v), MAX(v), 'b' FROM b"
        (low, high, _), (other_low, other_high, _) = query(both)
        assert low == high == other_low == other_high
        seen.add(low)
        if len(seen) > 5:
            break
        assert time.monotonic() < deadline
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(timeout=30) == 0


@pytest.mark.parametrize("transactional", [True, False])
def test_a_large_transaction_is_seen_as_a_whole_or_piece_by_piece_as_was_chosen(
    transactional: bool, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, start: Any
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    run("replicate", env=servers)
    source.execute("INSERT INTO t SELECT n, repeat('x', 2000) FROM generate_series(1, 40000) n")
    process = start("replicate", "--transactional" if transactional else "--no-transactional", env=servers)
    seen = set()
    while process.poll() is None:
        seen |= set(query("SELECT COUNT(*) FROM t"))
    assert process.returncode == 0
    assert query("SELECT COUNT(*) FROM t") == [(40000,)]
    half = {count for (count,) in seen} - {0, 40000}
    assert not half if transactional else half
    run("replication-compare", env=servers)


def test_status_tells_the_lag_and_the_tables(
    servers: dict[str, str], source: psycopg.Connection, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    assert run("replication-status", env=servers).result["slot_state"] == "missing"
    run("replicate", env=servers)
    source.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    status = run("replication-status", env=servers).result
    assert status["slot_state"] == "ready"
    assert status["lag_bytes"] > 10_000
    assert 0 < status["lag_seconds"] < 60
    assert status["retained_wal_bytes"] >= status["lag_bytes"]
    assert status["tables"]["t"]["state"] == "copied"


@pytest.mark.parametrize("name", ["MYSQL_HOST", "MYSQL_DATABASE"])
def test_a_missing_setting_is_named(name: str, servers: dict[str, str], run: Run) -> None:
    ended = run("replicate", env={key: value for key, value in servers.items() if key != name}, check=False)
    assert ended.status == 2
    assert f"{name} is not set" in ended.log


def test_a_server_that_is_not_there_is_named(servers: dict[str, str], run: Run) -> None:
    ended = run("replicate", env={**servers, "MYSQL_TCP_PORT": "1"}, check=False)
    assert ended.status == 1
    assert "127.0.0.1:1" in ended.log
    ended = run("replicate", env={**servers, "PGPORT": "1"}, check=False)
    assert ended.status == 1
    assert "PostgreSQL can't be reached" in ended.log
