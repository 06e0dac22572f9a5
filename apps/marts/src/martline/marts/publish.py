"""Write, audit, publish: a run becomes visible all at once, after its checks have held.

Each mart is written to ``_staging_MART``. Once the checks hold on all staging tables, a single ``RENAME TABLE``,
which MySQL makes atomic, puts them in the places of the marts that readers see, which become ``_last_MART``.
``mart_versions`` has a row for each mart. The same statement swaps it in, so it always describes the marts that
readers see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection

from martline.command import Failure, PassingFailure
from martline.marts.reading.moment import Moment
from martline.marts.runs import Run
from pg_to_mysql.mysql.ddl import change_tables
from pg_to_mysql.mysql.names import present_tables
from pg_to_mysql.mysql.quoting import quote_all

VERSIONS = "mart_versions"
EARLIER_RECORD = "_mart_builds"
"""The table of builds before there were runs."""
_CREATE_VERSIONS = f"""
    CREATE TABLE IF NOT EXISTS `{VERSIONS}` (
        mart VARCHAR(64) NOT NULL COMMENT 'The mart',
        run_id BIGINT NOT NULL COMMENT 'The run that has built it',
        built_at DATETIME(6) NOT NULL COMMENT 'Start of the run, UTC',
        lsn VARCHAR(32) COMMENT 'Position in the log of PostgreSQL of which the replica was',
        position LONGTEXT NOT NULL COMMENT 'The same for each replication, as build-marts reads it',
        `rows` BIGINT NOT NULL COMMENT 'Rows that it was built with',
        PRIMARY KEY (mart)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='The marts that readers see'
"""
SECONDS_TO_WAIT_FOR_READERS = 60


def staging(table: str) -> str:
    """The name of the table that receives the next version."""
    return f"_staging_{table}"


def last(table: str) -> str:
    """The name of the table with the version before the published one."""
    return f"_last_{table}"


def old(table: str) -> str:
    """The name of a table that is about to be dropped."""
    return f"_old_{table}"


def keep_others_out(connection: "Connection[Any]") -> None:
    """Keep other builds out of this database until the connection ends, however it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(LEFT(CONCAT('build-marts ', DATABASE()), 64), 0)")
        if cursor.fetchone() != (1,):
            raise Failure("another build-marts works on this database: wait for its end")


def clear(connection: "Connection[Any]", tables: Sequence[str]) -> None:
    """Drop the tables that a killed build has left."""
    drop(connection, [name(table) for table in tables for name in (staging, old)])


def drop(connection: "Connection[Any]", tables: Sequence[str]) -> None:
    """Drop the tables that exist."""
    if tables:
        change_tables(connection, f"DROP TABLE IF EXISTS {quote_all(tables)}", tables)


def stage_versions(connection: "Connection[Any]", run: Run, moment: Moment, rows: Mapping[str, int]) -> None:
    """Copy the table of versions to its staging table, with these marts as the run has built them."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE `{staging(VERSIONS)}` LIKE `{VERSIONS}`")
        cursor.execute(f"INSERT INTO `{staging(VERSIONS)}` SELECT * FROM `{VERSIONS}`")  # noqa: S608
    record_versions(connection, staging(VERSIONS), run, moment, rows)


def record_versions(
    connection: "Connection[Any]", table: str, run: Run, moment: Moment, rows: Mapping[str, int]
) -> None:
    """Say in the table of versions that the run has built these marts."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"REPLACE INTO `{table}` VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608
            [
                (mart, run.run_id, run.started_at, run.lsn, moment.as_text(), count)
                for mart, count in rows.items()
            ],
        )


def create_versions(connection: "Connection[Any]") -> None:
    """Create the table of versions unless it is there."""
    with connection.cursor() as cursor:
        cursor.execute(_CREATE_VERSIONS)
        cursor.execute(f"DROP TABLE IF EXISTS `{EARLIER_RECORD}`")


def swap_in(connection: "Connection[Any]", marts: Sequence[str]) -> None:
    """Replace the marts by the staging tables in one atomic step, and keep the replaced tables."""
    tables = [*marts, VERSIONS]
    present = present_tables(connection)
    renames = []
    for table in tables:
        if last(table) in present:
            renames.append((last(table), old(table)))
        if table in present:
            renames.append((table, last(table)))
        renames.append((staging(table), table))
    rename(connection, renames, tables, "the new marts can't replace the old, which stay")
    clear(connection, tables)


def newest_run(connection: "Connection[Any]", versions: str) -> tuple[int, list[str]]:
    """The newest run in a table of versions, 0 if there is none, and the marts that it has built."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT run_id, mart FROM `{versions}` WHERE run_id = (SELECT MAX(run_id) FROM `{versions}`)"  # noqa: S608
            " ORDER BY mart"
        )
        rows = cursor.fetchall()
    return (int(rows[0][0]) if rows else 0), [mart for _, mart in rows]


def rename(
    connection: "Connection[Any]", renames: Sequence[tuple[str, str]], tables: Sequence[str], problem: str
) -> None:
    """Rename ``tables`` in one atomic step.

    :raises Failure: transactions use them; the message begins with ``problem``.
    """
    pairs = ", ".join(f"`{old}` TO `{new}`" for old, new in renames)
    try:
        change_tables(connection, f"RENAME TABLE {pairs}", tables, seconds=SECONDS_TO_WAIT_FOR_READERS)
    except (PassingFailure, pymysql.OperationalError) as error:
        raise Failure(
            f"{problem}; {error.args[-1]}; end the transactions that read them, then run this again"
        ) from error
