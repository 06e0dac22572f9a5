"""An incomplete publication is completed and the tables are copied again, or it is refused with a sentence."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pymysql
import pytest
from tests.connections import to_postgres, to_source

from pg_to_mysql.postgres.publication import read_publication

Run = Callable[..., Any]

pytestmark = pytest.mark.pairs


def publication(servers: dict[str, str]) -> str:
    return f"replication_{servers['PGDATABASE']}"


def make_table(source: psycopg.Connection) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int, w int)")
    source.execute("INSERT INTO t SELECT i, i, i FROM generate_series(1, 5) i")


def change(source: psycopg.Connection) -> None:
    source.execute("UPDATE t SET v = v + 10 WHERE id = 2; UPDATE t SET w = w + 10 WHERE id = 5")
    source.execute("INSERT INTO t SELECT max(id) + 1, 6, 6 FROM t; DELETE FROM t WHERE id = 1")


def rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM t ORDER BY id").fetchall()


PARTS = [
    "FOR TABLE t (id, v) WHERE (id < 4)",
    "FOR TABLE t (id, v)",
    "FOR TABLE t WHERE (id < 4)",
    "FOR TABLE t WITH (publish = 'insert')",
    "WITH (publish = 'insert, update, truncate')",
]


@pytest.mark.parametrize("part", PARTS)
def test_a_publication_that_was_there_before_is_completed(
    part: str, servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    make_table(source)
    source.execute(f"CREATE PUBLICATION {publication(servers)} {part}")
    run("replicate", env=servers)
    change(source)
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT * FROM t ORDER BY id") == rows(source)


ALTERATIONS = [
    "ALTER PUBLICATION {} SET (publish = 'insert, delete')",
    "ALTER PUBLICATION {} SET TABLE t (id, v)",
    "ALTER PUBLICATION {} SET TABLE t WHERE (id > 100)",
    "ALTER PUBLICATION {} DROP TABLE t",
    "DROP PUBLICATION {}",
]
RESTORATIONS = [
    None,
    "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate')",
    "ALTER PUBLICATION {} SET TABLE t, u",
]


@pytest.mark.parametrize(
    ("alteration", "restoration"),
    [
        *((alteration, None) for alteration in ALTERATIONS),
        (ALTERATIONS[0], RESTORATIONS[1]),
        (ALTERATIONS[1], RESTORATIONS[2]),
    ],
)
def test_tables_are_copied_again_whose_publication_was_altered_also_for_a_while_only(
    alteration: str,
    restoration: str | None,
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    make_table(source)
    source.execute("CREATE TABLE u (id int PRIMARY KEY)")
    run("replicate", env=servers)
    source.execute(alteration.format(publication(servers)))
    change(source)
    if restoration:
        source.execute(restoration.format(publication(servers)))
    again = run("replicate", env=servers)
    assert again.result["copied"]["t"] == 5
    assert "publication" in again.log
    assert query("SELECT * FROM t ORDER BY id") == rows(source)
    change(source)
    assert run("replicate", env=servers).result["copied"] == {}
    assert query("SELECT * FROM t ORDER BY id") == rows(source)


def as_role(
    servers: dict[str, str], source: psycopg.Connection, admin: psycopg.Connection, run: Run
) -> dict[str, str]:
    """Run the SQL of ``replication-roles``, and return the settings of the role that it creates."""
    script = run("replication-roles", "postgresql", "--role", f"r_{servers['PGDATABASE']}", env=servers).output
    admin.execute(script)
    admin.execute(f"ALTER ROLE r_{servers['PGDATABASE']} PASSWORD 'pw'")
    return {**servers, "PGUSER": f"r_{servers['PGDATABASE']}", "PGPASSWORD": "pw"}


@pytest.fixture
def admin(servers: dict[str, str], server: Callable[[str], Any], pair: tuple[str, str]) -> Any:
    """A superuser's connection to the database."""
    with server(pair[0]).admin(servers["PGDATABASE"]) as connection:
        yield connection
        connection.execute(f"DROP OWNED BY r_{servers['PGDATABASE']}; DROP ROLE r_{servers['PGDATABASE']}")


@pytest.mark.parametrize("part", [*PARTS[:4], "FOR TABLE t (id)"])
def test_a_publication_that_the_role_may_not_alter_is_refused_until_the_script_has_mended_it(
    part: str,
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
    admin: psycopg.Connection,
) -> None:
    make_table(source)
    role = as_role(servers, source, admin, run)
    run("replicate", env=role)
    admin.execute(f"DROP PUBLICATION {publication(servers)}; CREATE PUBLICATION {publication(servers)} {part}")
    refused = run("replicate", env=role, check=False)
    assert refused.status == 1
    assert f"publication {publication(servers)}" in refused.log
    assert "replication-roles postgresql" in refused.log
    change(source)
    as_role(servers, source, admin, run)
    assert run("replicate", env=role).result["copied"] == {"t": 5}
    change(source)
    assert run("replicate", env=role).result["copied"] == {}
    assert query("SELECT * FROM t ORDER BY id") == rows(source)
    as_role(servers, source, admin, run)  # nothing is missing now
    assert run("replicate", env=role).result["copied"] == {}


@pytest.mark.pairs("each")
def test_stored_generated_columns_arrive_with_the_publication_of_the_script(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run, admin: psycopg.Connection
) -> None:
    generated = "gross int GENERATED ALWAYS AS (net * 119 / 100) STORED"
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, net int, {generated}, words text)")
    source.execute("INSERT INTO t (id, net) VALUES (1, 100)")
    role = as_role(servers, source, admin, run)
    run("replicate", env=role)
    source.execute("UPDATE t SET net = 1000")
    assert run("replicate", env=role).result["copied"] == {}
    run("replication-compare", env=role)
    if admin.info.server_version >= 180_000:
        assert query("SELECT gross FROM t") == [(1190,)]
        # As after an upgrade from an older version.
        admin.execute(f"ALTER PUBLICATION {publication(servers)} SET (publish_generated_columns = none)")
        refused = run("replicate", env=role, check=False)
        assert (refused.status, "stored generated columns" in refused.log) == (1, True), refused.log
        source.execute("UPDATE t SET net = 2000")
        as_role(servers, source, admin, run)
        assert run("replicate", env=role).result["copied"] == {"t": 1}
        assert query("SELECT gross FROM t") == [(2380,)]


def test_a_follower_mends_the_publication_and_copies_again(
    servers: dict[str, str], source: psycopg.Connection, query: Any, start: Callable[..., Any]
) -> None:
    make_table(source)
    follower = start("replicate", "--follow", env=servers)

    def wait_until_equal() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert follower.poll() is None, follower.communicate()[1]
            with suppress(pymysql.MySQLError):  # not there yet
                if query("SELECT * FROM t ORDER BY id") == rows(source):
                    return
            time.sleep(0.2)
        raise AssertionError("MySQL has not become equal")

    wait_until_equal()
    source.execute(f"ALTER PUBLICATION {publication(servers)} SET (publish = 'insert')")
    change(source)
    wait_until_equal()
    change(source)
    wait_until_equal()


@pytest.mark.pairs("each")
def test_a_publication_of_all_tables_is_taken_as_it_is(
    pair: tuple[str, str],
    server: Callable[[str], Any],
    servers: dict[str, str],
    source: psycopg.Connection,
    query: Any,
    run: Run,
) -> None:
    make_table(source)
    with server(pair[0]).admin(servers["PGDATABASE"]) as admin:
        admin.execute(
            f"CREATE PUBLICATION {publication(servers)} FOR ALL TABLES WITH (publish_via_partition_root = true)"
        )
        admin.execute(f"ALTER PUBLICATION {publication(servers)} OWNER TO CURRENT_USER")
        if pair[0] == "postgresql-18":
            admin.execute(f"ALTER PUBLICATION {publication(servers)} SET (publish_generated_columns = stored)")
    run("replicate", env=servers)
    change(source)
    source.execute("CREATE TABLE younger (id int PRIMARY KEY); INSERT INTO younger VALUES (1)")
    assert run("replicate", env=servers).result["copied"] == {"younger": 1}
    source.execute("INSERT INTO younger VALUES (2)")
    run("replicate", env=servers)
    assert query("SELECT * FROM t ORDER BY id") == rows(source)
    run("replication-compare", env=servers)


def test_a_publication_is_read_while_its_tables_are_dropped(
    servers: dict[str, str], source: psycopg.Connection
) -> None:
    source.execute(f"CREATE PUBLICATION {publication(servers)}")
    ended = threading.Event()

    def make_and_drop(name: str) -> None:
        with to_postgres(servers) as connection:
            while not ended.is_set():
                connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
                connection.execute(f"ALTER PUBLICATION {publication(servers)} ADD TABLE {name}")
                connection.execute(f"DROP TABLE {name}")

    with ThreadPoolExecutor(4) as others:
        making = [others.submit(make_and_drop, f"t{number}") for number in range(4)]
        try:
            with to_source(servers).connect(autocommit=True) as connection:
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline:
                    assert read_publication(connection, publication(servers), "public")
        finally:
            ended.set()
        for one in making:
            one.result()
