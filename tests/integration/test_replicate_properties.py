"""Whatever the tables and the transactions are, MySQL ends equal to PostgreSQL.

Hypothesis makes tables with all types, and transactions of all kinds. Both sides are read with plain clients.
This file itself defines which values are equal, and shares no code for that with the replication.
"""

import json
import signal
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.connections import to_mysql, to_postgres

EXAMPLES = 4
FOLLOWED_SECONDS = 60


@dataclass(frozen=True, repr=False)
class Kind:
    """A type of PostgreSQL, values for it, and the meaning of PostgreSQL's text and of MySQL's value."""

    type: str
    values: st.SearchStrategy[Any]
    of_source: Callable[[str], Any] = str
    of_target: Callable[[Any], Any] = str
    in_key: bool = False

    def __repr__(self) -> str:
        return self.type

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.type)


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda n: f"{n}e-{scale}")


def seconds_of_day(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), microseconds=int(Decimal(seconds) * 10**6))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def parsed_json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
odd_text = st.sampled_from(
    ["", " ", "a ", "NULL", "\\N", '"', "'", "a,b", "\n", "\r\n", "\t", "\\", "🛒", "%s", "{}"]
)
texts = any_text | odd_text
large_text = st.integers(3000, 9000).map(lambda size: "large" * size)
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 30))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
json_values_without_nul = json_values.filter(lambda text: "\\u0000" not in text and "\\ud" not in text)
# PostgreSQL 14 can't read more than 31 bits of microseconds.
spans = st.builds(
    "{} months {} days {} seconds {} microseconds".format,
    *(integers(16), integers(16), integers(30), st.integers(0, 999_999)),
)
bits = st.text("01", max_size=8)
bounds = st.builds(
    lambda low, size, left, right: f"{left}{low},{low + size}{right}",
    integers(16), st.integers(0, 99), st.sampled_from("[("), st.sampled_from(")]"),
)  # fmt: skip
addresses = st.ip_addresses().map(str)

KINDS = [
    Kind("smallint", integers(16), int, int, in_key=True),
    Kind("integer", integers(32), int, int, in_key=True),
    Kind("bigint", integers(64), int, int, in_key=True),
    Kind("numeric(12,4)", decimals(12, 4), Decimal, Decimal, in_key=True),
    Kind("numeric(65,30)", decimals(65, 30), Decimal, Decimal),
    Kind("numeric", decimals(60, 25), Decimal, Decimal),
    Kind("numeric(80,5)", decimals(80, 5), Decimal, Decimal),
    Kind("real", st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False), float, float),
    Kind("double precision", st.floats(allow_nan=False, allow_infinity=False), float, float),
    Kind("boolean", st.booleans(), lambda text: text == "t", bool, in_key=True),
    Kind("char(7)", st.text("ab é", max_size=7), lambda text: text.rstrip(" "), lambda text: text.rstrip(" ")),
    Kind("varchar(40)", texts, in_key=True),
    Kind("varchar(9000)", texts),
    Kind("text", texts | large_text),
    Kind("text", texts, in_key=True),
    Kind("bytea", st.binary(max_size=40), lambda text: bytes.fromhex(text[2:]), bytes, in_key=True),
    Kind("date", st.dates(date(1, 1, 1)).map(str), in_key=True),
    Kind("time", st.times().map(str) | st.just("24:00"), seconds_of_day),
    Kind("timetz", st.builds("{}{}".format, st.times(), st.sampled_from(["+00", "-07:30", "+14"]))),
    Kind("timestamp", moments.map(str), datetime.fromisoformat, in_key=True),
    Kind("timestamptz", st.builds("{}{}".format, moments, st.sampled_from(["+00", "-07", "+14"])), utc),
    Kind("interval", spans),
    Kind("uuid", st.uuids().map(str), uuid.UUID, uuid.UUID, in_key=True),
    Kind("json", json_values.filter(lambda text: "\\ud" not in text), parsed_json, parsed_json),
    Kind("jsonb", json_values_without_nul, parsed_json, parsed_json),
    Kind("integer[]", st.lists(st.none() | integers(32), max_size=4)),
    Kind("text[]", st.lists(st.none() | texts, max_size=4)),
    Kind("mood", st.sampled_from(["sad", "so, so", "happy"]), in_key=True),
    Kind("price", decimals(9, 2).map(lambda text: text.removeprefix("-")), Decimal, Decimal),
    Kind("int4range", bounds | st.just("empty")),
    Kind("numrange", bounds | st.just("(,)")),
    Kind("bit varying(8)", bits),
    Kind("bit(8)", st.text("01", min_size=8, max_size=8)),
    Kind("inet", addresses),
    Kind("cidr", addresses),
    Kind("macaddr", st.binary(min_size=6, max_size=6).map(bytes.hex)),
    Kind("xml", st.sampled_from(["", "<a/>", '<a b="c">&amp;é</a>'])),
    Kind("place", st.builds('({},"{}")'.format, integers(32), st.text("ab ,", max_size=5))),
]
TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'so, so', 'happy');
CREATE DOMAIN price AS numeric(10, 2) CHECK (value >= 0);
CREATE TYPE place AS (x integer, y text);
"""
# Types other than text in which MySQL's client returns values whose meaning is obvious.
TARGET_TYPES: dict[type, Callable[[Any], Any]] = {timedelta: lambda v: v, datetime: lambda v: v}


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind
    key: bool
    nullable: bool


@dataclass(frozen=True)
class Table:
    """A table to make; ``identity`` is its replica identity in PostgreSQL."""

    name: str
    columns: tuple[Column, ...]
    identity: str
    partitioned: bool


@dataclass(frozen=True)
class Step:
    """One statement. ``row``, modulo the number of rows, is the row that it changes."""

    what: str
    table: int
    row: int
    values: dict[int, Any]


@dataclass(frozen=True)
class Transaction:
    """Steps. Those from ``undone`` on are rolled back to a savepoint; if it is 0, the whole transaction is."""

    steps: tuple[Step, ...]
    undone: int | None


@dataclass(frozen=True)
class Chapter:
    """Transactions that are replicated together, by a run or by a follower."""

    transactions: tuple[Transaction, ...]
    mode: tuple[str, ...]


# MySQL's names contain only characters of the Basic Multilingual Plane, and do not end with a space.
name_starts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["C", "Z"]), max_size=10) | (
    st.sampled_from(
        ["select", "Order", 'quo"te', "quo`te", "two words", "per%cent", "{}", "back\\slash", "'", "Имя"]
    )
)


@st.composite
def tables(draw: st.DrawFn, number: int) -> Table:
    keys = draw(st.lists(st.sampled_from([kind for kind in KINDS if kind.in_key]), min_size=1, max_size=2))
    others = draw(st.lists(st.sampled_from(KINDS), max_size=8))
    parts = draw(st.permutations([(kind, True) for kind in keys] + [(kind, False) for kind in others]))
    columns = tuple(
        # Numbered, because MySQL takes column names for the same if they differ only in case or accents.
        Column(f"{draw(name_starts)}{i}", kind, key, not key and draw(st.booleans()))
        for i, (kind, key) in enumerate(parts)
    )
    identity = draw(st.sampled_from(["DEFAULT", "FULL", "INDEX"]))
    partitioned = identity == "DEFAULT" and draw(st.booleans())  # partitions have their own identities
    return Table(f"{draw(name_starts)}{number}", columns, identity, partitioned)


@st.composite
def steps(draw: st.DrawFn, made: Sequence[Table]) -> Step:
    number = draw(st.integers(0, len(made) - 1))
    columns = made[number].columns
    what = draw(
        st.sampled_from(
            ["insert"] * 5
            + ["update"] * 5
            + ["delete"] * 2
            + ["truncate", "truncate all"] * (not draw(st.integers(0, 9)))
        )
    )
    changed: Collection[int] = range(len(columns))
    if what == "update":
        changed = draw(st.sets(st.sampled_from(range(len(columns))), min_size=1, max_size=3))
    elif what != "insert":
        changed = ()
    values = {
        i: draw(st.none() | columns[i].kind.values if columns[i].nullable else columns[i].kind.values)
        for i in sorted(changed)
    }
    return Step(what, number, draw(st.integers(0, 50)), values)


@st.composite
def transactions(draw: st.DrawFn, made: Sequence[Table]) -> Transaction:
    of_it = draw(st.lists(steps(made), min_size=1, max_size=12))
    return Transaction(tuple(of_it), draw(st.none() | st.integers(0, len(of_it))))


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Table], list[Chapter]]:
    """Tables, and what happens to them."""
    made = [draw(tables(number)) for number in range(draw(st.integers(1, 4)))]
    modes = st.sampled_from([(), ("--follow",)])
    chapters = st.builds(Chapter, st.lists(transactions(made), max_size=8).map(tuple), modes)
    return made, draw(st.lists(chapters, min_size=2, max_size=3))


@pytest.mark.pairs("each")
@pytest.mark.timeout(0)
def test_mysql_ends_equal_whatever_the_tables_and_the_transactions_are(
    pair: tuple[str, str],
    server: Callable[[str], Any],
    run: Callable[..., Any],
    start: Callable[..., Any],
    scale: int,
) -> None:
    @settings(
        max_examples=EXAMPLES * scale,
        deadline=None,
        database=None,
        print_blob=True,
        # With real servers, shrinking an example would take longer than reading it.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(stories())
    def check(story: tuple[list[Table], list[Chapter]]) -> None:
        made, chapters = story
        with server(pair[0]).database() as postgres, server(pair[1]).database() as mysql:
            environment = {**postgres, **mysql}
            with connect_to_source(postgres) as source:
                made = create(source, made)
                for number, chapter in enumerate(chapters):
                    note(f"chapter {number}")
                    if not chapter.mode:
                        tell(source, made, chapter)
                        run("replicate", env=environment)
                        assert_equal(made, source, mysql)
                        continue
                    follower = start("replicate", *chapter.mode, env=environment)
                    tell(source, made, chapter)
                    wait_until_equal(made, source, mysql, follower)
                    follower.send_signal(signal.SIGTERM)
                    _, log = follower.communicate(timeout=60)
                    # It may still be in its first run, which a signal ends at once.
                    assert follower.returncode in (0, -signal.SIGTERM), log
                run("replication-compare", env=environment)

    check()


def connect_to_source(postgres: dict[str, str]) -> psycopg.Connection:
    return to_postgres(postgres, options="-c timezone=UTC")


def create(source: psycopg.Connection, made: Sequence[Table]) -> list[Table]:
    """Make the tables, and return them as they were made."""
    source.execute(TYPES)
    try:
        source.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        made = [without_xml(table) for table in made]
    for table in made:
        definitions = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name),
                sql.SQL(column.kind.type),
                sql.SQL("" if column.nullable else " NOT NULL"),
            )
            for column in table.columns
        ]
        name = sql.Identifier(table.name)
        key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns if column.key)
        source.execute(
            sql.SQL("CREATE TABLE {} ({}) {}").format(
                name,
                sql.SQL(", ").join(definitions),
                sql.SQL("PARTITION BY HASH ({})").format(key) if table.partitioned else sql.SQL(""),
            )
        )
        for remainder in range(2) if table.partitioned else ():
            source.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS 2, REMAINDER {})").format(
                    sql.Identifier(f"{table.name}p{remainder}"), name, remainder
                )
            )
        if table.identity == "INDEX":
            source.execute(
                sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(sql.Identifier(f"{table.name}i"), name, key)
            )
            source.execute(
                sql.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(
                    name, sql.Identifier(f"{table.name}i")
                )
            )
        else:
            source.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(name, key))
            source.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(name, sql.SQL(table.identity)))
        for column in table.columns:
            if column.kind.type == "text":
                source.execute(
                    sql.SQL("ALTER TABLE {} ALTER {} SET STORAGE EXTERNAL").format(
                        name, sql.Identifier(column.name)
                    )
                )
    return list(made)


def without_xml(table: Table) -> Table:
    """The table for a PostgreSQL that was built without XML."""
    columns = tuple(
        Column(column.name, Kind("text", column.kind.values), column.key, column.nullable)
        if column.kind.type == "xml"
        else column
        for column in table.columns
    )
    return replace(table, columns=columns)


def tell(source: psycopg.Connection, made: Sequence[Table], chapter: Chapter) -> None:
    """Run the chapter's transactions. A step that would duplicate a key is undone by itself."""
    for transaction in chapter.transactions:
        with source.transaction(force_rollback=transaction.undone == 0):
            last = len(transaction.steps) if transaction.undone is None else transaction.undone
            for step in transaction.steps[:last]:
                take(source, made, step)
            with source.transaction(force_rollback=True):
                for step in transaction.steps[last:]:
                    take(source, made, step)


def take(source: psycopg.Connection, made: Sequence[Table], step: Step) -> None:
    table = made[step.table]
    name = sql.Identifier(table.name)
    columns = [table.columns[i] for i in step.values]
    names = [sql.Identifier(column.name) for column in columns]
    values = [sql.SQL("{}::text::{}" if isinstance(value, str) else "({})::{}").format(value, sql.SQL(column.kind.type))
              for column, value in zip(columns, step.values.values(), strict=True)]  # fmt: skip
    key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns if column.key)
    row = sql.SQL(
        "ctid = (SELECT ctid FROM {0} ORDER BY {1} LIMIT 1 OFFSET {2} % greatest((SELECT count(*) FROM {0}), 1))"
    ).format(name, key, step.row)
    if step.what == "insert":
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            name, sql.SQL(", ").join(names), sql.SQL(", ").join(values)
        )
    elif step.what == "update":
        changes = [sql.SQL("{} = {}").format(*change) for change in zip(names, values, strict=True)]
        statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(name, sql.SQL(", ").join(changes), row)
    elif step.what == "delete":
        statement = sql.SQL("DELETE FROM {} WHERE {}").format(name, row)
    elif step.what == "truncate":
        statement = sql.SQL("TRUNCATE {}").format(name)
    else:
        statement = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(sql.Identifier(one.name) for one in made))
    try:
        with source.transaction():
            source.execute(statement)
    except psycopg.errors.UniqueViolation:
        pass


Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def source_rows(source: psycopg.Connection, table: Table) -> Rows:
    # The output of the type's output function, from which a cast to text sometimes differs.
    columns = [
        sql.SQL("CASE WHEN {0} IS NOT NULL THEN format('%s', {0}) END").format(sql.Identifier(column.name))
        for column in table.columns
    ]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), sql.Identifier(table.name))
    return by_key(table, source.execute(query).fetchall(), [column.kind.of_source for column in table.columns])


def target_rows(mysql: dict[str, str], table: Table) -> Rows:
    columns = ", ".join(quoted(column.name) for column in table.columns)
    with (
        to_mysql(mysql) as target,
        target.cursor() as cursor,
    ):
        cursor.execute(f"SELECT {columns} FROM {quoted(table.name)}")
        rows = cursor.fetchall()
    meanings = [
        lambda value, column=column: TARGET_TYPES.get(type(value), column.kind.of_target)(value)
        for column in table.columns
    ]
    return by_key(table, rows, meanings)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def by_key(table: Table, rows: Sequence[Sequence[Any]], meanings: Sequence[Callable[[Any], Any]]) -> Rows:
    meant = [
        tuple(None if value is None else meaning(value) for meaning, value in zip(meanings, row, strict=True))
        for row in rows
    ]
    keyed = {tuple(v for v, column in zip(row, table.columns, strict=True) if column.key): row for row in meant}
    assert len(keyed) == len(rows), f"{table.name} has a key twice"
    return keyed


def assert_equal(made: Sequence[Table], source: psycopg.Connection, mysql: dict[str, str]) -> None:
    for table in made:
        assert target_rows(mysql, table) == source_rows(source, table), table


def wait_until_equal(
    made: Sequence[Table], source: psycopg.Connection, mysql: dict[str, str], follower: Any
) -> None:
    deadline = time.monotonic() + FOLLOWED_SECONDS
    while True:
        try:
            assert_equal(made, source, mysql)
            return
        except (AssertionError, pymysql.ProgrammingError):
            if follower.poll() is not None:
                raise AssertionError(follower.stderr.read()) from None
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
