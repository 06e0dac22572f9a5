"""With random settings of both servers, the right values arrive, or a sentence says why none do."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
import pymysql
import pytest
from psycopg import sql
from tests.connections import to_mysql, to_postgres
from tests.integration.test_replicate_every_type import MAKE_TYPES, Case, cases_of, insert, literals
from tests.servers import open_server

pytestmark = [pytest.mark.pairs("each"), pytest.mark.timeout(0)]
ROUNDS = 2
SETTINGS_AT_ONCE = 12
POSTGRES_TEXTS = {
    "DateStyle": ["German, DMY", "SQL, DMY", "Postgres, YMD"],
    "TimeZone": ["Asia/Kathmandu", "America/New_York"],
    "search_path": ["nowhere", ""],
    "restrict_nonsystem_relation_kind": ["view, foreign-table"],
}
POSTGRES_LEFT_OUT = (
    "debug_discard_caches",  # each statement takes minutes
    "jit",  # the same, if each statement is compiled
    "max_stack_depth",  # PostgreSQL's own queries need more than the minimum
    "temp_file_limit",
    "tcp_",  # settings of the network, not of a session
    "log_",  # they fill the disk
    "debug_print",
    "lc_monetary",  # changes the value of money
    "allow_in_place_tablespaces",
    "default_tablespace",
)
MYSQL_TEXTS = {
    "sql_mode": [
        "",
        "ANSI",
        "ANSI_QUOTES",
        "NO_BACKSLASH_ESCAPES",
        "PAD_CHAR_TO_FULL_LENGTH",
        "ALLOW_INVALID_DATES",
    ],
    "transaction_isolation": ["READ-UNCOMMITTED", "READ-COMMITTED", "SERIALIZABLE"],
    "completion_type": ["CHAIN"],
    "lc_messages": ["de_DE", "ja_JP"],
    "lc_time_names": ["de_DE"],
    "time_zone": ["+05:45", "-11:00"],
    "default_storage_engine": ["MyISAM"],
    "default_tmp_storage_engine": ["MyISAM"],
    "character_set_server": ["latin1", "utf16"],
    "character_set_filesystem": ["utf16", "latin1"],
    "character_set_connection": ["latin1"],
    "character_set_client": ["latin1"],
    "character_set_results": ["latin1"],
    "collation_connection": ["latin1_german1_ci"],
    "old_mode": ["", "ZERO_DATE_TIME_CAST"],
    "alter_algorithm": ["INPLACE"],
    "default_regex_flags": ["EXTENDED"],
}
MYSQL_NUMBERS = [
    "max_error_count", "wait_timeout", "interactive_timeout", "net_read_timeout", "net_write_timeout",
    "innodb_lock_wait_timeout", "max_execution_time", "max_statement_time", "idle_transaction_timeout",
    "idle_readonly_transaction_timeout", "idle_write_transaction_timeout", "sql_select_limit", "max_join_size",
    "div_precision_increment", "group_concat_max_len", "max_sort_length", "auto_increment_increment",
    "auto_increment_offset", "max_allowed_packet", "net_buffer_length", "read_buffer_size", "sort_buffer_size",
    "tmp_table_size", "max_heap_table_size", "max_seeks_for_key", "max_length_for_sort_data",
    "range_optimizer_max_mem_size", "eq_range_index_dive_limit", "optimizer_search_depth",
]  # fmt: skip
MYSQL_SWITCHES_LEFT_OUT = (
    "offline_mode",  # refuses all connections
    "read_only",  # other tests check the sentence about it
    "super_read_only",
    "partial_revokes",  # changes the granted privileges
    "performance_schema", "gtid", "enforce_gtid", "innodb_", "log_", "slow_", "general_", "binlog", "replica", "slave",
    "rpl_", "sync", "relay", "master", "source", "keyring", "aria", "myisam", "wsrep", "ssl", "tls", "userstat",
    "skip_grant", "require_secure", "create_admin",  # settings of the server, not of a session
)  # fmt: skip


@pytest.fixture
def servers(pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A PostgreSQL and a MySQL server for this test only, because it changes settings of the whole servers."""
    with ExitStack() as stack:
        opened = []
        for name in pair:
            server = open_server(name, tmp_path_factory.mktemp(name))
            stack.callback(server.remove)
            server.start()
            opened.append(server)
        yield opened


def test_whatever_is_set_what_arrives_is_right_or_a_sentence_says_why_nothing_does(
    servers: list[Any], run: Callable[..., Any], scale: int
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    postgres, mysql = servers
    for _ in range(ROUNDS * scale):
        with postgres.database() as source_settings, mysql.database() as target_settings:
            settings = {**source_settings, **target_settings}
            with to_postgres(settings) as source:
                create(source)
                cases = cases_of(source)
                with (
                    random_settings_of_postgres(postgres, settings["PGDATABASE"], chance),
                    random_settings_of_mysql(mysql, chance),
                ):
                    replicate(run, settings, cases, 2)
                    insert(source, 3, literals(source))
                    # The large value is stored separately, so a change of another column does not contain it.
                    source.execute("UPDATE large SET n = 2")
                    replicate(run, settings, cases, 3)
                run("replicate", env=settings)
                run("replication-compare", env=settings)
            require_values(settings, cases, 3)


def create(source: psycopg.Connection) -> None:
    source.execute("SET timezone = 'UTC'; SET lc_monetary = 'C'")
    source.execute(MAKE_TYPES)
    definitions = ", ".join(f"c{i} {case.type}" for i, case in enumerate(cases_of(source)))
    source.execute(sql.SQL("CREATE TABLE t (id int PRIMARY KEY, {})").format(sql.SQL(definitions)))
    for identity in (1, 2):
        insert(source, identity, literals(source))
    source.execute("CREATE TABLE large (id int PRIMARY KEY, body text, n int)")
    source.execute("ALTER TABLE large ALTER body SET STORAGE EXTERNAL")
    source.execute("INSERT INTO large VALUES (1, repeat('x', 9000), 1)")


def replicate(run: Callable[..., Any], settings: dict[str, str], cases: list[Case], rows: int) -> None:
    """Run `replicate`, and check that what it reports is true."""
    ended = run("replicate", env=settings, check=False)
    assert ended.status in (0, 1, 2)
    assert "--debug shows the traceback" not in ended.log
    if ended.status == 0:
        require_values(settings, cases, rows)
        compared = run("replication-compare", env=settings, check=False)
        assert "--debug shows the traceback" not in compared.log
    else:
        print(ended.log.splitlines()[-1])


def require_values(settings: dict[str, str], cases: list[Case], rows: int) -> None:
    """A plain client reads the expected value of each type from MySQL."""
    with to_mysql(settings) as target, target.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = '', SESSION sql_select_limit = 1000, SESSION sql_big_selects = 1")
        cursor.execute("SET NAMES utf8mb4")
        with suppress(pymysql.MySQLError):  # MariaDB has another name for it
            cursor.execute("SET SESSION max_execution_time = 0")
        cursor.execute("SELECT * FROM t ORDER BY id")
        found = cursor.fetchall()
        assert [row[0] for row in found] == list(range(1, rows + 1))
        for row in found:
            for case, value in zip(cases, row[1:], strict=True):
                assert value == case.expected, case
        cursor.execute("SELECT id, body, n FROM large")
        assert cursor.fetchall() == ((1, "x" * 9000, 1 if rows == 2 else 2),)


@contextmanager
def random_settings_of_postgres(server: Any, database: str, chance: random.Random) -> Iterator[None]:
    with server.admin() as admin:
        known = admin.execute(
            "SELECT name, vartype, enumvals, min_val, max_val, setting FROM pg_settings"
            " WHERE context IN ('user', 'superuser') ORDER BY name"
        ).fetchall()
        drawn = {}
        for name, kind, labels, least, most, setting in chance.sample(known, len(known)):
            if name.startswith(POSTGRES_LEFT_OUT) or (kind == "string" and name not in POSTGRES_TEXTS):
                continue
            value = {
                "bool": "off" if setting == "on" else "on",
                "enum": chance.choice(labels or [""]),
                "string": chance.choice(POSTGRES_TEXTS.get(name, [""])),
            }.get(kind) or (chance.choice([least, most, "1"]) if kind in ("integer", "real") else "")
            with suppress(psycopg.Error):  # out of range, or only for a transaction
                admin.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(database), sql.SQL(name), sql.SQL(sql.Literal(value).as_string(admin))
                    )
                )
                drawn[name] = value
            if len(drawn) == SETTINGS_AT_ONCE:
                break
        print(drawn)
        try:
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(database)))


@contextmanager
def random_settings_of_mysql(server: Any, chance: random.Random) -> Iterator[None]:
    with server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SET SESSION wait_timeout = 86400")
        cursor.execute("SHOW GLOBAL VARIABLES")
        before = dict(cursor.fetchall())
        drawn: dict[str, str] = {}
        for name, value in chance.sample(sorted(before.items()), len(before)):
            if name in MYSQL_TEXTS:
                new = repr(chance.choice(MYSQL_TEXTS[name]))
            elif name in MYSQL_NUMBERS:
                new = chance.choice(["0", "1", "2"])
            elif value in ("ON", "OFF") and not name.startswith(MYSQL_SWITCHES_LEFT_OUT):
                new = "OFF" if value == "ON" else "ON"
            else:
                continue
            with suppress(pymysql.MySQLError):  # read-only, or only for a session
                cursor.execute(f"SET GLOBAL {name} = {new}")
                drawn[name] = new
            if len(drawn) == SETTINGS_AT_ONCE:
                break
        print(drawn)
        try:
            yield
        finally:
            for name in drawn:
                value = before[name]
                number = value.replace(".", "", 1).isdecimal()
                # An empty name of a storage engine means the default, and is not a valid value.
                empty = "DEFAULT" if name.endswith("storage_engine") else "''"
                old = value if number else repr(value) if value else empty
                cursor.execute(f"SET GLOBAL {name} = {old}")
