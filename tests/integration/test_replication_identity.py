"""A replica belongs to one source: any other one is refused, and nothing is dropped, skipped or copied."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Run = Callable[..., Any]

FIRST_STATE = (
    """CREATE TABLE _replication (
        slot VARCHAR(63) PRIMARY KEY,
        applied_lsn BIGINT UNSIGNED NOT NULL,
        applied_changes BIGINT UNSIGNED NOT NULL DEFAULT 0,
        equal_at DATETIME(6)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
    """CREATE TABLE _replication_tables (
        slot VARCHAR(63) NOT NULL,
        name VARCHAR(64) NOT NULL,
        layout LONGTEXT NOT NULL,
        altering LONGTEXT,
        stopped LONGTEXT,
        snapshot_lsn BIGINT UNSIGNED,
        rows_copied BIGINT UNSIGNED,
        copied_at DATETIME(6),
        PRIMARY KEY (slot, name)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
)
"""The state's tables as the first version of the program made them."""


def as_the_first_version(query: Any) -> None:
    """Bring the state in MySQL to what the first version of the program would have written."""
    replicas = query("SELECT slot, applied_lsn, applied_changes FROM _replication")
    columns = "slot, name, layout, stopped, snapshot_lsn, rows_copied"
    tables = query(f"SELECT {columns} FROM _replication_tables")
    query("DROP TABLE _replication, _replication_tables, _replication_version")
    for statement in FIRST_STATE:
        query(statement)
    for slot, lsn, changes in replicas:
        query(f"INSERT INTO _replication VALUES ('{slot}', {lsn}, {changes}, NULL)")
    for slot, name, layout, _, lsn, rows in tables:
        literal = layout.replace("'", "''")
        query(
            f"INSERT INTO _replication_tables ({columns}) VALUES ('{slot}', '{name}', '{literal}', NULL, {lsn}, {rows})"
        )


@pytest.mark.pairs
def test_the_state_of_the_first_version_is_upgraded_and_its_copies_go_on(
    servers: dict[str, str], source: psycopg.Connection, query: Any, run: Run
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, words text)")
    source.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    run("replicate", env=servers)
    as_the_first_version(query)
    source.execute("UPDATE t SET words = 'changed' WHERE id = 1")
    result = run("replicate", env=servers).result
    assert (result["copied"], result["changes"]) == ({}, 1)
    assert query("SELECT * FROM t ORDER BY id") == [(1, "changed"), (2, "two")]
