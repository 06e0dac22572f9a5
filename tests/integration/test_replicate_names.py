"""MySQL servers that do not distinguish upper and lower case in the names of tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from tests.connections import to_mysql, to_postgres
from tests.servers import MariaDBProcess

Run = Callable[..., Any]


def test_tables_with_capital_letters_are_replicated_where_mysql_folds_names(
    postgres: dict[str, str], tmp_path: Path, run: Run
) -> None:
    server = MariaDBProcess(tmp_path, "--lower-case-table-names=1")
    server.start()
    try:
        with server.database() as mysql, to_postgres(postgres) as source:
            follow_names({**postgres, **mysql}, source, run)
    finally:
        server.remove()


def follow_names(servers: dict[str, str], source: psycopg.Connection, run: Run) -> None:
    source.execute(
        'CREATE TABLE "Orders" (id int PRIMARY KEY, n varchar(9)); CREATE TABLE plain (id int PRIMARY KEY)'
    )
    source.execute('CREATE INDEX ON "Orders" (n); INSERT INTO "Orders" VALUES (1)')
    assert run("replicate", env=servers).result["copied"] == {"Orders": 1, "plain": 0}
    source.execute('INSERT INTO "Orders" VALUES (2); INSERT INTO plain VALUES (1)')
    result = run("replicate", env=servers).result
    assert (result["copied"], result["changes"]) == ({}, 2)
    source.execute('ALTER TABLE "Orders" RENAME TO orders; ALTER TABLE plain RENAME TO "Plain"')
    source.execute("ALTER TABLE orders ALTER n TYPE text; INSERT INTO orders VALUES (3, repeat('x', 900))")
    assert run("replicate", env=servers).result["copied"] == {}
    assert run("replicate", "--recopy", "Plain", env=servers).result["copied"] == {"Plain": 1}
    assert run("replication-compare", env=servers).result["rows_compared"] == 4
    with to_mysql(servers) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM orders")
        assert cursor.fetchall() == ((3,),)
