"""The tables that hold the replication's state in MySQL, and their upgrade in place.

``_replication_version`` has the number of steps that are done. A released step never changes; new steps are added
at the end. Each step can be repeated: MySQL commits at each statement, so a killed program may have done a step
without recording it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from pymysql.constants import ER

from pg_to_mysql.errors import Failure

Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
TABLES = ("_replication", "_replication_changes", "_replication_tables", "_replication_version")
STEPS = (
    (
        """CREATE TABLE IF NOT EXISTS _replication (
            slot VARCHAR(63) PRIMARY KEY,
            applied_lsn BIGINT UNSIGNED NOT NULL COMMENT 'transactions up to here are in the tables',
            applied_changes BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'and so many changes of the next one',
            equal_at DATETIME(6) COMMENT 'when the tables were last known to equal the source, UTC'
        ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
        """CREATE TABLE IF NOT EXISTS _replication_tables (
            slot VARCHAR(63) NOT NULL,
            name VARCHAR(64) NOT NULL,
            layout LONGTEXT NOT NULL COMMENT 'the table as it is here',
            altering LONGTEXT COMMENT 'what the table becomes, while it is altered',
            stopped LONGTEXT COMMENT 'why the table is not followed any more',
            snapshot_lsn BIGINT UNSIGNED COMMENT 'the moment of the copy; NULL while it is not complete',
            rows_copied BIGINT UNSIGNED,
            copied_at DATETIME(6),
            PRIMARY KEY (slot, name)
        ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
    ),
    (
        """ALTER TABLE _replication
            ADD COLUMN system_identifier VARCHAR(20) COMMENT 'of the PostgreSQL server; NULL if not known yet',
            ADD COLUMN timeline BIGINT UNSIGNED,
            ADD COLUMN database_oid BIGINT UNSIGNED,
            ADD COLUMN database_name VARCHAR(63),
            ADD COLUMN schema_name VARCHAR(63),
            ADD COLUMN commit_lsn BIGINT UNSIGNED
                COMMENT 'of the last transaction that was applied, in part at least; NULL if not known',
            ADD COLUMN committed_at BIGINT
                COMMENT 'microseconds since 2000; NULL if commit_lsn is where the slot was made'
        """,
    ),
    (
        "ALTER TABLE _replication ADD COLUMN publication TEXT COMMENT 'a mark of the publication as it was'",
        "ALTER TABLE _replication_tables ADD COLUMN published TEXT COMMENT 'its mark in the publication'",
    ),
    (
        """CREATE TABLE IF NOT EXISTS _replication_changes (
            id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY COMMENT 'ascending in the order of a slot''s changes',
            slot VARCHAR(63) NOT NULL,
            name VARCHAR(64) COMMENT 'of the table; NULL in the row with which a journal begins',
            changed LONGBLOB COMMENT 'the keys'' values, joined by NUL bytes; NULL if any row may have changed',
            bytes INT UNSIGNED NOT NULL COMMENT 'the size of the row, for the journal''s bound',
            KEY of_slot (slot, id, bytes)
        ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin""",
    ),
)
"""Each step is a list of statements; see the module's text."""


def upgrade_state(execute: Execute, lock_seconds: int) -> None:
    """Create the tables of the state, or upgrade those of an earlier version of this program."""
    if _version(execute) == len(STEPS):
        return
    lock = "SHA2(CONCAT('replication', DATABASE(), ' state'), 256)"
    if execute(f"SELECT GET_LOCK({lock}, {lock_seconds})", ()) != [(1,)]:
        raise Failure("Another program is upgrading the tables of the replication's state: run this again")
    try:
        for number in range(_version(execute), len(STEPS)):
            for statement in STEPS[number]:
                _do(execute, statement)
            execute("CREATE TABLE IF NOT EXISTS _replication_version (version INT UNSIGNED PRIMARY KEY)", ())
            execute("INSERT IGNORE INTO _replication_version VALUES (%s)", [number + 1])
            execute("COMMIT", ())
    finally:
        execute(f"SELECT RELEASE_LOCK({lock})", ())


def _version(execute: Execute) -> int:
    """How many steps are done; 0 if a table is missing, even if somebody has dropped it."""
    places = ", ".join(["%s"] * len(TABLES))
    query = (
        "SELECT COUNT(*) FROM information_schema.tables"
        f" WHERE table_schema = DATABASE() AND table_name IN ({places})"
    )
    [(tables,)] = execute(query, TABLES)
    if tables < len(TABLES):
        return 0
    [(version,)] = execute("SELECT COALESCE(MAX(version), 0) FROM _replication_version", ())
    if version > len(STEPS):
        raise Failure(
            f"The replication's state in MySQL has version {version}, but this program knows only {len(STEPS)}:"
            " use the newer program that has written it"
        )
    return int(version)


def _do(execute: Execute, statement: str) -> None:
    try:
        execute(statement, ())
    except pymysql.OperationalError as error:
        if error.args[0] != ER.DUP_FIELDNAME:  # a killed program has already done it
            raise
