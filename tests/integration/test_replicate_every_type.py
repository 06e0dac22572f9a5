"""Every built-in type of PostgreSQL: its column in MySQL, and a value that arrives by copy and by change."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs("each")
MAKE_TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'so, so');
CREATE DOMAIN price AS numeric(10, 2) CHECK (value >= 0);
CREATE TYPE place AS (x integer, y text);
"""
SENDS_GENERATED, HAS_VIRTUAL = 180_000, 180_000


@dataclass(frozen=True)
class Case:
    """A type, a literal of it, and the type and value in MySQL. By default, the value is the literal itself."""

    type: str
    literal: str
    target_type: str
    value: Any = None
    since: int = 0
    """The first version of PostgreSQL that has the type."""

    @property
    def expected(self) -> Any:
        return self.literal if self.value is None else self.value


CASES = [
    Case("smallint", "-32768", "smallint", -32768),
    Case("integer", "2147483647", "int", 2147483647),
    Case("bigint", "-9223372036854775808", "bigint", -(2**63)),
    Case("numeric(12, 4)", "-12345678.9", "decimal(12,4)", Decimal("-12345678.9000")),
    Case("numeric(3, -2)", "12345", "decimal(5,0)", Decimal(12300), since=150_000),
    Case("numeric(2, 4)", "0.0012", "decimal(4,4)", Decimal("0.0012"), since=150_000),
    Case("numeric", "123456789012345678901234567890.000000000000000000000000000001", "decimal(65,30)",
         Decimal("123456789012345678901234567890.000000000000000000000000000001")),
    Case("numeric(80, 2)", "1" * 78 + ".50", "longtext"),
    Case("real", "0.1", "double", 0.1),
    Case("double precision", "1.7976931348623157e+308", "double", 1.7976931348623157e308),
    Case("boolean", "true", "tinyint(1)", 1),
    Case("char(7)", "ab", "varchar(7)"),
    Case("varchar(255)", "é🛒 ", "varchar(255)"),
    Case("varchar(256)", "long", "longtext"),
    Case("text", "a\tb\nc\\N\"'", "longtext"),
    Case("bytea", "\\x00ff5c0a", "longblob", b"\x00\xff\\\n"),
    Case("date", "0001-01-01", "date", date(1, 1, 1)),
    Case("time", "24:00:00", "time(6)", timedelta(hours=24)),
    Case("time(3)", "12:34:56.789", "time(6)", timedelta(hours=12, minutes=34, seconds=56, milliseconds=789)),
    Case("timetz", "12:34:56.789+05:30", "varchar(24)"),
    Case("timestamp", "9999-12-31 23:59:59.999999", "datetime(6)", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    Case("timestamptz", "2024-03-31 01:30:00.000001+02", "datetime(6)", datetime(2024, 3, 30, 23, 30, 0, 1)),
    Case("interval", "1 year 2 mons -3 days +04:05:06.7", "varchar(100)"),
    Case("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "char(36)"),
    Case("json", '{"b": 1.50,  "a": null}', "longtext"),
    Case("jsonb", '{"b": 1.50,  "a": null}', "longtext", '{"a": null, "b": 1.50}'),
    Case("jsonpath", '$."a"[*]', "longtext"),
    Case("integer[]", "{{1,NULL},{3,4}}", "longtext"),
    Case("text[]", '{a,"b c","d\\"e",NULL}', "longtext"),
    Case("mood", "so, so", "varchar(63)"),
    Case("price", "12.3", "decimal(10,2)", Decimal("12.30")),
    Case("place", '(3,"a, b")', "longtext"),
    Case("int4range", "[1,5)", "longtext"),
    Case("int8range", "empty", "longtext"),
    Case("numrange", "(1.5,2.5]", "longtext"),
    Case("daterange", "[2024-01-01,2024-02-01)", "longtext"),
    Case("tsrange", '["2024-01-01 00:00:00",)', "longtext"),
    Case("tstzrange", '["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00"]', "longtext"),
    Case("int4multirange", "{[1,3),[5,7)}", "longtext"),
    Case("bit(8)", "10101010", "varchar(8)"),
    Case("bit varying(300)", "1", "longtext"),
    Case("inet", "192.168.0.1/24", "varchar(49)"),
    Case("inet", "2001:db8::1", "varchar(49)"),
    Case("cidr", "10.0.0.0/8", "varchar(49)"),
    Case("macaddr", "08:00:2b:01:02:03", "varchar(17)"),
    Case("macaddr8", "08:00:2b:01:02:03:04:05", "varchar(23)"),
    Case("point", "(1.5,-2)", "longtext"),
    Case("line", "{1,2,3}", "longtext"),
    Case("lseg", "[(0,0),(1,1)]", "longtext"),
    Case("box", "(2,2),(1,1)", "longtext"),
    Case("path", "[(0,0),(1,1)]", "longtext"),
    Case("polygon", "((0,0),(1,1),(1,0))", "longtext"),
    Case("circle", "<(1,2),3>", "longtext"),
    Case("tsvector", "'a':1A 'b':2", "longtext"),
    Case("tsquery", "'a' & !'b'", "longtext"),
    Case("money", "-$1,234.50", "varchar(64)"),
    Case("name", "a name", "varchar(63)"),
    Case('"char"', "x", "varchar(4)"),
    Case("oid", "4294967295", "int unsigned", 2**32 - 1),
    Case("xid", "4294967295", "int unsigned", 2**32 - 1),
    Case("cid", "7", "int unsigned", 7),
    Case("xid8", "18446744073709551615", "bigint unsigned", 2**64 - 1),
    Case("tid", "(4294967295,65535)", "varchar(20)"),
    Case("pg_lsn", "FFFFFFFF/FFFFFFFE", "varchar(17)"),
    Case("pg_snapshot", "10:20:10,14", "longtext"),
    Case("regtype", "integer", "longtext"),
]  # fmt: skip


def cases_of(source: psycopg.Connection) -> list[Case]:
    """The cases whose types this server has."""
    return [case for case in CASES if case.since <= source.info.server_version]


def literals(source: psycopg.Connection) -> list[str | None]:
    return [case.literal for case in cases_of(source)]


def insert(source: psycopg.Connection, identity: int, values: list[str | None]) -> None:
    parts = [
        sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(case.type))
        for case, value in zip(cases_of(source), values, strict=True)
    ]
    source.execute(sql.SQL("INSERT INTO t VALUES ({}, {})").format(identity, sql.SQL(", ").join(parts)))


def test_every_type_and_its_values_arrive_by_copy_and_by_change_alike(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    # MySQL stores no time zone, and money is written in the currency of the session.
    source.execute("SET timezone = 'UTC'; SET lc_monetary = 'C'")
    source.execute(MAKE_TYPES)
    cases = cases_of(source)
    definitions = ", ".join(f"c{i} {case.type}" for i, case in enumerate(cases))
    source.execute(sql.SQL("CREATE TABLE t (id int PRIMARY KEY, {})").format(sql.SQL(definitions)))
    nothing: list[str | None] = [None] * len(cases)
    insert(source, 1, literals(source))
    insert(source, 2, nothing)
    assert run("replicate", env=servers).result["copied"] == {"t": 2}
    insert(source, 3, literals(source))
    insert(source, 4, nothing)
    assert run("replicate", env=servers).result["changes"] == 2
    copied, copied_nulls, changed, changed_nulls = query("SELECT * FROM t ORDER BY id")
    for i, case in enumerate(cases, 1):
        assert copied[i] == case.expected, case
        assert changed[i] == case.expected, case
    assert set(copied_nulls[1:]) == set(changed_nulls[1:]) == {None}
    described = query("DESCRIBE t")[1:]
    for case, (_, kind, *_) in zip(cases, described, strict=True):
        assert without_display_width(kind) == case.target_type, case
    run("replication-compare", env=servers)


def without_display_width(kind: str) -> str:
    """MariaDB shows int(11) where MySQL shows int."""
    name, _, rest = kind.partition("(")
    if kind == "tinyint(1)" or not name.endswith("int"):
        return kind
    return name + rest.partition(")")[2]


def test_generated_and_identity_columns_are_replicated_as_far_as_postgresql_sends_them(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    version = source.info.server_version
    virtual = ", virtual int GENERATED ALWAYS AS (a + 1) VIRTUAL" if version >= HAS_VIRTUAL else ""
    source.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int,"
        f" doubled int GENERATED ALWAYS AS (a * 2) STORED{virtual})"
    )
    source.execute("INSERT INTO t (a) VALUES (10)")
    log = run("replicate", env=servers).log
    source.execute("INSERT INTO t (a) VALUES (20); UPDATE t SET a = 11 WHERE a = 10")
    run("replicate", env=servers)
    sent = version >= SENDS_GENERATED
    assert query("SELECT * FROM t ORDER BY id") == ([(1, 11, 22), (2, 20, 40)] if sent else [(1, 11), (2, 20)])
    left_out = "virtual" if sent else "doubled"
    assert f"the column {left_out}, which PostgreSQL generates and does not send" in log
    run("replication-compare", env=servers)


def test_a_key_with_a_generated_column_that_postgresql_does_not_send_is_refused(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a / 10) STORED, PRIMARY KEY (a, b))")
    source.execute("INSERT INTO t VALUES (1), (11)")
    replicated = run("replicate", env=servers, check=False)
    if source.info.server_version >= SENDS_GENERATED:
        assert query("SELECT * FROM t ORDER BY a") == [(1, 0), (11, 1)]
        return
    assert replicated.status == 1
    assert "t: its key has the column b, which PostgreSQL generates and does not send" in replicated.log
