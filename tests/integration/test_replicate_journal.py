"""The journal in MySQL: a reader that has noted its newest id learns later which rows have changed since."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql
import pytest
from tests.connections import to_mysql

from martline.embedded.platform import Platform

Run = Callable[..., Any]
Query = Callable[[str], list[tuple[Any, ...]]]

pytestmark = pytest.mark.pairs
ODD_TEXTS = [
    "",
    " ",
    "a ",
    "NULL",
    "\\N",
    '"',
    "'",
    "a,b",
    "\n",
    "\t",
    "\\",
    "Привет",
    "🛒",
    "%s",
    "{}",
    "\\0",
    "`",
]
MIB = 1 << 20


@pytest.fixture
def servers(postgres: dict[str, str], mysql: dict[str, str]) -> dict[str, str]:
    """The settings of both databases, with a journal."""
    return {**postgres, **mysql, "REPLICATION_JOURNAL_MIB": "4"}


@pytest.fixture
def journal(query: Query) -> "Reader":
    return Reader(query)


class Reader:
    """Reads the journal as a reader of the replica does."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._noted = 0

    def note(self) -> None:
        """Note the newest id; the journal must not be empty."""
        [(newest,)] = self._query("SELECT MAX(id) FROM _replication_changes")
        assert newest is not None
        self._noted = newest

    def goes_on(self) -> bool:
        """Whether the row with the noted id still exists."""
        return bool(self._query(f"SELECT 1 FROM _replication_changes WHERE id = {self._noted}"))

    def changes(self) -> dict[str, list[str] | None]:
        """The texts of the changed keys of each table that has changed since; None if any row may have."""
        assert self.goes_on()
        rows = self._query(f"SELECT name, changed FROM _replication_changes WHERE id > {self._noted} ORDER BY id")
        changes: dict[str, list[str] | None] = {}
        for name, changed in rows:
            known = changes.setdefault(name, [])
            if known is None or changed is None:
                changes[name] = None
            else:
                known.extend(changed.decode().split("\0"))
        return changes

    def keys(self, name: str, width: int = 1) -> set[tuple[str, ...]] | None:
        """The keys of a table's rows that have changed since, each of ``width`` values; None for any row."""
        texts = self.changes().get(name, [])
        return None if texts is None else {tuple(texts[i : i + width]) for i in range(0, len(texts), width)}


def test_the_journal_begins_with_a_row_of_no_table_and_a_copy_may_change_any_row(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    run("replicate", env=servers)
    [first, *others] = query("SELECT slot, name, changed FROM _replication_changes ORDER BY id")
    slot = f"replication_{servers['PGDATABASE']}"
    assert first == (slot, None, None)
    assert set(others) == {(slot, "t", None)}
    assert query("SELECT MIN(bytes) >= 200 FROM _replication_changes") == [(1,)]
    journal.note()
    run("replicate", env=servers)
    assert journal.changes() == {}


def test_inserts_updates_deletes_and_changed_keys_are_told_by_their_keys(
    servers: dict[str, str], source: psycopg.Connection, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE still (id int PRIMARY KEY)")
    source.execute("INSERT INTO t SELECT n, 'old' FROM generate_series(1, 100) n")
    run("replicate", env=servers)
    journal.note()
    source.execute("INSERT INTO t VALUES (101, 'new'), (102, 'new')")
    source.execute("UPDATE t SET v = 'changed' WHERE id IN (5, 6)")
    source.execute("DELETE FROM t WHERE id IN (7, 101)")
    source.execute("UPDATE t SET id = 200 WHERE id = 8")
    run("replicate", env=servers)
    assert journal.changes().keys() == {"t"}
    assert journal.keys("t") == {(key,) for key in ("101", "102", "5", "6", "7", "8", "200")}
    journal.note()
    source.execute("UPDATE t SET v = 'changed' WHERE id = 9")
    run("replicate", env=servers)
    assert journal.keys("t") == {("9",)}


def test_a_batch_has_one_row_of_each_table(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run
) -> None:
    source.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    run("replicate", env=servers)
    for number in range(20):
        source.execute(f"INSERT INTO a VALUES ({number}); INSERT INTO b VALUES ({number})")
    run("replicate", env=servers)
    counts = query(
        "SELECT name, COUNT(*) FROM _replication_changes WHERE changed IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    assert counts == [("a", 1), ("b", 1)]


def test_composite_keys_are_told_in_the_order_of_mysqls_key_as_the_texts_that_are_written(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute(
        "CREATE TABLE t (v text, yes boolean, word char(5), day date, moment timestamptz, number numeric(8, 2),"
        " PRIMARY KEY (word, yes, number, moment, day))"
    )
    source.execute("INSERT INTO t VALUES ('old', true, 'ab', '2026-01-02', '2026-01-02 03:04:05.5+02', 1.5)")
    run("replicate", env=servers)
    journal.note()
    source.execute("UPDATE t SET v = 'new', yes = false")
    run("replicate", env=servers)
    columns = query(
        "SELECT column_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = 't' ORDER BY seq_in_index"
    )
    assert columns == [("yes",), ("word",), ("day",), ("moment",), ("number",)]
    rest = ("ab", "2026-01-02", "2026-01-02 01:04:05.5", "1.50")
    assert journal.keys("t", 5) == {("1", *rest), ("0", *rest)}
    assert query("SELECT word, CAST(yes AS CHAR), CAST(number AS CHAR) FROM t") == [("ab", "0", "1.50")]
    journal.note()
    source.execute("DELETE FROM t")
    run("replicate", env=servers)
    assert journal.keys("t", 5) == {("0", *rest)}


def test_odd_texts_are_told_as_they_are_and_of_binary_keys_it_is_told_that_any_row_may_have_changed(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (a text, b text, PRIMARY KEY (b, a)); CREATE TABLE raw (id bytea PRIMARY KEY)")
    run("replicate", env=servers)
    journal.note()
    pairs = [(one, other) for one in ODD_TEXTS for other in ODD_TEXTS]
    with source.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", pairs)
    source.execute("INSERT INTO raw VALUES ('\\x00ff')")
    run("replicate", env=servers)
    assert journal.keys("t", 2) == set(pairs)
    assert journal.changes()["raw"] is None
    journal.note()
    source.execute("UPDATE t SET a = a || '!', b = '?' || b")
    run("replicate", env=servers)
    assert journal.keys("t", 2) == {*pairs, *((f"{a}!", f"?{b}") for a, b in pairs)}


def test_rows_that_are_completed_from_mysql_are_told_too(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int, large text)")
    source.execute("ALTER TABLE t ALTER large SET STORAGE EXTERNAL")
    source.execute("INSERT INTO t SELECT n, n, repeat('x', 9000) FROM generate_series(1, 5) n")
    run("replicate", env=servers)
    journal.note()
    source.execute("UPDATE t SET v = 0 WHERE id = 1; UPDATE t SET id = 9 WHERE id = 2")
    run("replicate", env=servers)
    assert journal.keys("t") == {("1",), ("2",), ("9",)}
    assert query("SELECT COUNT(*), MIN(LENGTH(large)) FROM t") == [(5, 9000)]


def test_of_truncated_new_altered_renamed_dropped_and_recopied_tables_any_row_may_have_changed(
    servers: dict[str, str], source: psycopg.Connection, run: Run, journal: Reader
) -> None:
    source.execute("".join(f"CREATE TABLE t{n} (id int PRIMARY KEY, v int); " for n in range(5)))
    run("replicate", env=servers)
    run("replicate", env=servers)
    changes = {
        "TRUNCATE t0; INSERT INTO t0 VALUES (1)": {"t0"},
        "CREATE TABLE new (id int PRIMARY KEY)": {"new"},
        "ALTER TABLE t1 ADD COLUMN w int DEFAULT 5": {"t1"},
        "ALTER TABLE t2 RENAME TO renamed": {"t2", "renamed"},
        "DROP TABLE t3": {"t3"},
        "DROP TABLE t4; CREATE TABLE t4 (id int PRIMARY KEY, w int)": {"t4"},
        "VACUUM t0": set(),
    }
    for statement, names in changes.items():
        journal.note()
        source.execute(statement)
        run("replicate", env=servers)
        assert journal.changes() == dict.fromkeys(names), statement
    journal.note()
    run("replicate", "--recopy", "t0", env=servers)
    assert journal.changes() == {"t0": None}
    journal.note()
    run("replicate", "--start-over", env=servers)
    assert journal.changes() == dict.fromkeys(("t0", "t1", "renamed", "t4", "new"))


def test_repaired_rows_and_those_that_a_comparison_brings_are_told(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (a int, b timestamp, v text, PRIMARY KEY (a, b))")
    source.execute("INSERT INTO t SELECT n, '2026-01-01 10:00', 'v' FROM generate_series(1, 9) n")
    source.execute("CREATE TABLE raw (id bytea PRIMARY KEY); INSERT INTO raw VALUES ('\\x00')")
    run("replicate", env=servers)
    journal.note()
    source.execute("UPDATE t SET v = 'new' WHERE a = 1")
    query("UPDATE t SET v = 'wrong' WHERE a = 2")
    query("DELETE FROM t WHERE a = 3")
    query("INSERT INTO t VALUES (10, '2026-01-01', 'alone')")
    run("replication-compare", "t", env=servers, check=False)
    assert journal.keys("t", 2) == {("1", "2026-01-01 10:00:00")}
    journal.note()
    assert run("replication-compare", "--repair", "t", env=servers).result["rows_repaired"] == 3
    moment = "2026-01-01 10:00:00"
    assert journal.keys("t", 2) == {("2", moment), ("3", moment), ("10", "2026-01-01 00:00:00")}
    journal.note()
    query("DELETE FROM raw")
    run("replication-compare", "--repair", env=servers)
    assert journal.changes() == {"raw": None}


def test_a_follower_tells_of_changes_and_of_copies_beside_them(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, start: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run("replicate", env=servers)
    journal.note()
    follower = start("replicate", "--follow", env=servers)
    source.execute("INSERT INTO t VALUES (1)")
    source.execute("CREATE TABLE new (id int PRIMARY KEY)")
    wait_until(lambda: journal.changes() == {"t": ["1"], "new": None})
    follower.send_signal(signal.SIGTERM)
    _, log = follower.communicate(timeout=60)
    assert follower.returncode == 0, log


@pytest.mark.parametrize(
    ("statement", "options", "names"),
    [
        ("DROP TABLE t", (), {"t"}),
        ("ALTER TABLE t ADD COLUMN w int DEFAULT 5", (), {"t"}),
        ("ALTER TABLE t RENAME TO renamed", (), {"t", "renamed"}),
        ("ALTER TABLE other ADD COLUMN w int", ("--recopy", "t"), {"t"}),
    ],
)
def test_who_looks_while_a_table_waits_to_be_replaced_is_told_of_it_later(
    statement: str,
    options: tuple[str, ...],
    names: set[str],
    servers: dict[str, str],
    mysql: dict[str, str],
    source: psycopg.Connection,
    query: Query,
    start: Run,
    run: Run,
    journal: Reader,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    source.execute("CREATE TABLE other (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute(statement)
    journal.note()
    with to_mysql(mysql) as reader, reader.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM t")
        process = start("replicate", *options, env=servers)
        wait_until(lambda: "t" in journal.changes())
        journal.note()
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    changes = journal.changes()
    assert {name: changes[name] for name in names} == dict.fromkeys(names)


def test_killed_after_a_statement_that_mysql_commits_by_itself_the_journal_tells_of_it(
    servers: dict[str, str],
    mysql: dict[str, str],
    source: psycopg.Connection,
    query: Query,
    start: Run,
    run: Run,
    journal: Reader,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run("replicate", env=servers)
    journal.note()
    source.execute("DROP TABLE t")
    with to_mysql(mysql) as other, other.cursor() as cursor:
        # This lock prevents the state from being written after the table is dropped.
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM _replication_tables FOR UPDATE")
        process = start("replicate", env=servers)
        wait_until(lambda: not query("SHOW TABLES LIKE 't'"))
        process.kill()
        process.wait()
    assert journal.changes() == {"t": None}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_oldest_rows_are_deleted_beyond_the_bound_but_never_the_newest(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    servers = {**servers, "REPLICATION_JOURNAL_MIB": "1"}
    source.execute("CREATE TABLE t (id text PRIMARY KEY)")
    run("replicate", env=servers)
    noted = 0
    for number in range(4):
        journal.note()
        source.execute(
            f"INSERT INTO t SELECT '{number} ' || repeat('x', 80) || n FROM generate_series(1, 4000) n"
        )
        run("replicate", env=servers)
        [(size,)] = query("SELECT SUM(bytes) FROM _replication_changes")
        assert size <= MIB
        noted += journal.goes_on()
        if journal.goes_on():
            keys = journal.keys("t")
            assert keys is not None
            assert len(keys) == 4000
    assert noted > 0
    # One transaction that is larger than the whole journal leaves only the newest row.
    journal.note()
    source.execute("INSERT INTO t SELECT repeat('y', 200) || n FROM generate_series(1, 20000) n")
    run("replicate", env=servers)
    assert not journal.goes_on()
    [(rows, size)] = query("SELECT COUNT(*), SUM(bytes) FROM _replication_changes")
    assert rows >= 1
    assert size <= MIB
    journal.note()
    run("replicate", env=servers)
    assert journal.changes() == {}


def test_a_run_without_the_journal_deletes_it_and_the_next_one_with_it_begins_another(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run("replicate", env=servers)
    query("INSERT INTO _replication_changes (slot, name, bytes) VALUES ('another', 't', 200)")
    journal.note()
    without = {name: value for name, value in servers.items() if name != "REPLICATION_JOURNAL_MIB"}
    run("replication-status", env=without)
    run("replication-compare", env=servers)
    assert journal.changes() == {}
    run("replication-compare", env=without)
    assert query("SELECT slot FROM _replication_changes") == [("another",)]
    source.execute("INSERT INTO t VALUES (1)")
    run("replicate", env={**servers, "REPLICATION_JOURNAL_MIB": "0"})
    assert query("SELECT slot FROM _replication_changes") == [("another",)]
    source.execute("INSERT INTO t VALUES (2)")
    run("replicate", env=servers)
    rows = query("SELECT name, changed FROM _replication_changes WHERE slot <> 'another' ORDER BY id")
    assert rows == [(None, None), ("t", b"2")]


@pytest.mark.parametrize("mib", ["0", "1"])
def test_rows_are_deleted_beside_those_that_another_slots_replicator_is_writing(
    mib: str,
    servers: dict[str, str],
    mysql: dict[str, str],
    source: psycopg.Connection,
    query: Query,
    run: Run,
    journal: Reader,
) -> None:
    source.execute("CREATE TABLE t (id text PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute("INSERT INTO t SELECT repeat('y', 200) || n FROM generate_series(1, 4000) n")
    run("replicate", env=servers)
    source.execute("INSERT INTO t SELECT repeat('z', 200) || n FROM generate_series(1, 4000) n")
    journal.note()
    with to_mysql(mysql) as other, other.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("INSERT INTO _replication_changes (slot, name, bytes) VALUES ('another', 't', 200)")
        cursor.execute("INSERT INTO _replication_changes (slot, name, bytes) VALUES ('zzz', 't', 200)")
        run("replicate", env={**servers, "REPLICATION_JOURNAL_MIB": mib})
    assert not journal.goes_on()


def test_no_id_comes_twice_even_if_somebody_has_dropped_the_journal(
    servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run, journal: Reader
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run("replicate", env=servers)
    journal.note()
    query("DROP TABLE _replication_changes")
    source.execute("INSERT INTO t VALUES (1)")
    run("replicate", env=servers)
    for number in range(10):
        source.execute(f"INSERT INTO t VALUES ({number + 2})")
        run("replicate", env=servers)
    assert not journal.goes_on()


def test_the_platforms_programs_keep_a_journal(
    platform: Platform, servers: dict[str, str], source: psycopg.Connection, query: Query, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    run(
        "replicate", env={**servers, "REPLICATION_JOURNAL_MIB": platform.environment()["REPLICATION_JOURNAL_MIB"]}
    )
    assert query("SELECT COUNT(*) > 0 FROM _replication_changes") == [(1,)]


@pytest.mark.parametrize("value", ["-1", "1.5", "many"])
def test_a_bound_that_is_no_number_is_refused(servers: dict[str, str], run: Run, value: str) -> None:
    refused = run("replicate", env={**servers, "REPLICATION_JOURNAL_MIB": value}, check=False)
    assert refused.status == 2
    assert f"REPLICATION_JOURNAL_MIB is '{value}': a number of MiB is allowed" in refused.log


ROUNDS = 10
TABLES = {
    "numbered": "id int PRIMARY KEY, v int, words text",
    "pairs": "a int, v int, b varchar(30), words text, PRIMARY KEY (b, a)",
    "days": "day date, yes boolean, cost numeric(8, 2), v int, words text, PRIMARY KEY (cost, day, yes)",
}
NEW_KEYS = {"numbered": "id = id + 7000", "pairs": "b = b || '~'", "days": "yes = NOT yes, cost = cost + 0.5"}
INSERTS = {
    "numbered": "SELECT {n} * 10000 + n, n, 'new' FROM generate_series(1, {rows}) n",
    "pairs": "SELECT n % 7, n, 'a,' || {n} || E'\\n' || n, 'new' FROM generate_series(1, {rows}) n",
    "days": "SELECT date '2026-01-01' + n % 9, n % 2 = 0, {n} + n * 0.25, n, 'new' FROM generate_series(1, {rows}) n",
}
Rows = dict[tuple[str, ...], tuple[Any, ...]]


@dataclass(frozen=True)
class Look:
    """The state of the replica that a reader has seen at one moment."""

    newest: int
    tables: dict[str, Rows]
    """The rows of each table by the texts of their keys."""


def look(mysql: dict[str, str]) -> Look:
    """Look at the replica and the newest id of its journal, without blocking the replicator."""
    while True:
        with to_mysql(mysql) as connection, connection.cursor() as cursor, suppress(pymysql.MySQLError):
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT MAX(id) FROM _replication_changes")
            [(newest,)] = cursor.fetchall()
            cursor.execute("SHOW TABLES")
            names = [name for (name,) in cursor.fetchall() if not name.startswith("_replication")]
            # If a table was replaced meanwhile, a statement fails, and the look is repeated.
            return Look(newest, {name: _rows(cursor, name) for name in names})


def _rows(cursor: Any, name: str) -> Rows:
    cursor.execute(
        "SELECT column_name FROM information_schema.statistics"
        f" WHERE table_schema = DATABASE() AND table_name = '{name}' ORDER BY seq_in_index"
    )
    key = [column for (column,) in cursor.fetchall()]
    cursor.execute(f"SELECT {', '.join(f'CAST({column} AS CHAR)' for column in key)}, t.* FROM {name} t")
    return {row[: len(key)]: row[len(key) :] for row in cursor.fetchall()}


def assert_told(query: Query, before: Look, after: Look) -> None:
    """Check that the journal lists all rows that differ between the two looks."""
    assert query(f"SELECT 1 FROM _replication_changes WHERE id = {before.newest}")
    told: dict[str, set[tuple[str, ...]] | None] = {}
    for name, changed in query(
        f"SELECT name, changed FROM _replication_changes WHERE id > {before.newest} AND id <= {after.newest}"
    ):
        keys = told.setdefault(name, set())
        if keys is None or changed is None:
            told[name] = None
            continue
        width = {"numbered": 1, "pairs": 2, "days": 3}[name]
        texts = changed.decode().split("\0")
        keys.update(tuple(texts[i : i + width]) for i in range(0, len(texts), width))
    for name in before.tables.keys() | after.tables.keys():
        old, new = before.tables.get(name), after.tables.get(name)
        if told.get(name, set()) is not None:
            assert old is not None, name
            assert new is not None, name
            differing = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
            assert differing <= (told.get(name) or set()), name


@pytest.mark.timeout(0)
def test_whatever_happens_the_rows_that_differ_between_two_looks_are_among_those_that_the_journal_tells(
    servers: dict[str, str],
    mysql: dict[str, str],
    source: psycopg.Connection,
    query: Query,
    run: Run,
    start: Run,
    scale: int,
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    servers = {**servers, "REPLICATION_JOURNAL_MIB": "64"}
    for name, columns in TABLES.items():
        source.execute(f"CREATE TABLE {name} ({columns})")
        source.execute(f"ALTER TABLE {name} ALTER words SET STORAGE EXTERNAL")
    started = time.monotonic()
    run("replicate", env=servers)
    usual_seconds = time.monotonic() - started
    before = look(mysql)
    for number in range(1, ROUNDS * scale + 1):
        for _ in range(chance.randint(1, 6)):
            change(source, chance, number)
        event = chance.choice(["run", "run", "pieces", "kill", "kill", "kill", "follow", "repair", "recopy"])
        print(number, event)
        if event == "repair":
            query(f"UPDATE {chance.choice([*TABLES])} SET v = -v - 1 WHERE v % 5 = 0")
            before = look(mysql)  # the journal does not list what others write
            run("replication-compare", "--repair", env=servers)
        elif event in ("run", "pieces", "recopy"):
            options = {"pieces": ["--no-transactional"], "recopy": ["--recopy", chance.choice([*TABLES])]}
            run("replicate", *options.get(event, []), env=servers, check=False)
        else:
            process = start("replicate", *["--follow"] * (event == "follow"), env=servers)
            time.sleep(chance.uniform(0.3, 1.3) * usual_seconds)
            process.send_signal(signal.SIGTERM if event == "follow" else signal.SIGKILL)
            process.communicate(timeout=60)
        after = look(mysql)
        assert_told(query, before, after)
        if chance.random() < 0.7:  # otherwise the next comparison covers several runs
            before = after
    run("replicate", env=servers)
    assert_told(query, before, look(mysql))
    run("replication-compare", env=servers)


def change(source: psycopg.Connection, chance: random.Random, number: int) -> None:
    """Change a table in PostgreSQL, in a transaction that may be rolled back."""
    name = chance.choice([*TABLES])
    some = f"v % {chance.randint(2, 50)} = 0"
    statement = chance.choice(
        [
            *[f"INSERT INTO {name} {INSERTS[name].format(n=number, rows=chance.choice([1, 50, 3000]))}"] * 3,
            *[f"UPDATE {name} SET v = v + 1 WHERE {some}"] * 2,
            f"UPDATE {name} SET words = repeat('large', 3000) WHERE {some} AND v % 100 < 5",
            *[f"UPDATE {name} SET {NEW_KEYS[name]} WHERE {some}"] * 2,
            *[f"DELETE FROM {name} WHERE {some}"] * 2,
            *[f"TRUNCATE {name}", f"ALTER TABLE {name} ADD COLUMN c{chance.randrange(10**6)} int DEFAULT 1"]
            * (chance.random() < 0.3),
        ]
    )
    with suppress(psycopg.errors.UniqueViolation), source.transaction():
        source.execute(statement)
        if chance.random() < 0.1:
            raise psycopg.Rollback
