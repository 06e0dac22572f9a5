"""Write, audit, publish: a build becomes visible all at once, after its checks have held.

Each mart is written to ``_staging_MART``. Once the checks hold on all staging tables, a single ``RENAME
TABLE``, which MySQL makes atomic, puts them in the places of the old marts. ``_mart_builds``, a row for each
mart of each build, is swapped in by the same statement: it always tells of the marts that readers see.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pymysql
from pymysql.connections import Connection

from martline.command import Failure, PassingFailure
from martline.marts.database import present_tables
from pg_to_mysql.mysql.ddl import change_tables

BUILDS = "_mart_builds"
_CREATE_BUILDS = f"""
    CREATE TABLE IF NOT EXISTS `{BUILDS}` (
        mart VARCHAR(64) NOT NULL COMMENT 'The mart',
        `rows` BIGINT NOT NULL COMMENT 'Rows that Spark wrote',
        seconds DECIMAL(12,2) NOT NULL COMMENT 'Time to compute and write it',
        built_at DATETIME(6) NOT NULL COMMENT 'Start of the build, UTC; marts built together share it',
        PRIMARY KEY (mart, built_at)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='What was built when'
"""
SECONDS_TO_WAIT_FOR_READERS = 60


def staging(table: str) -> str:
    """Where a table's next state is written."""
    return f"_staging_{table}"


def _old(table: str) -> str:
    return f"_old_{table}"


def keep_others_out(connection: "Connection[Any]") -> None:
    """Keep other builds out of this database until the connection ends, however it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(LEFT(CONCAT('build-marts ', DATABASE()), 64), 0)")
        if cursor.fetchone() != (1,):
            raise Failure("another build-marts works on this database: wait for its end")


def clear(connection: "Connection[Any]", tables: Sequence[str]) -> None:
    """Drop what a build that died has left."""
    leftovers = [name(table) for table in tables for name in (staging, _old)]
    quoted = ", ".join(f"`{name}`" for name in leftovers)
    change_tables(connection, f"DROP TABLE IF EXISTS {quoted}", leftovers)


def stage_builds(connection: "Connection[Any]") -> None:
    """Copy the record of earlier builds to its staging table, where this build is added to it."""
    with connection.cursor() as cursor:
        cursor.execute(_CREATE_BUILDS)
        cursor.execute(f"CREATE TABLE `{staging(BUILDS)}` LIKE `{BUILDS}`")
        cursor.execute(f"INSERT INTO `{staging(BUILDS)}` SELECT * FROM `{BUILDS}`")  # noqa: S608


def record(connection: "Connection[Any]", mart: str, rows: int, seconds: float, built_at: datetime) -> None:
    """Add a mart of this build to the staged record."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO `{staging(BUILDS)}` VALUES (%s, %s, %s, %s)",  # noqa: S608
            (mart, rows, seconds, built_at),
        )


def swap_in(connection: "Connection[Any]", tables: Sequence[str]) -> None:
    """Put the staging tables in the places of ``tables``, all in one atomic step, and drop the old ones."""
    present = present_tables(connection)
    renames = [f"`{table}` TO `{_old(table)}`" for table in tables if table in present]
    renames += [f"`{staging(table)}` TO `{table}`" for table in tables]
    try:
        change_tables(
            connection, f"RENAME TABLE {', '.join(renames)}", tables, seconds=SECONDS_TO_WAIT_FOR_READERS
        )
    except (PassingFailure, pymysql.OperationalError) as error:
        raise Failure(
            f"the new marts can't replace the old, which stay: {error.args[-1]}; "
            "end the transactions that read them, then run build-marts again"
        ) from error
    clear(connection, tables)
