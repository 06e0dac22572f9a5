"""Changes the rows of marts that differ from the last run, in one transaction.

The old versions of these rows are loaded into ``_run_N_before_MART``, the new ones into ``_run_N_after_MART``.
A transaction deletes the old versions from the mart and inserts the new ones. It is committed if the checks hold.
Both tables stay until the next run has succeeded, so that a rollback can do the reverse.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from pymysql.connections import Connection

from martline.command import MySQLSettings, PassingFailure
from martline.marts.catalogue import MARTS
from martline.marts.incremental.journal import AnythingMayHaveChanged
from martline.marts.incremental.kept import Change
from martline.marts.publish import VERSIONS, drop, last
from martline.marts.writing.load import load
from pg_to_mysql.mysql.names import present_tables
from pg_to_mysql.mysql.quoting import quote_all

log = logging.getLogger(__name__)

_STAGED = re.compile(r"_run_(\d+)_(?:before|after)_\w+")


def before(run_id: int, table: str) -> str:
    """The table with the rows that a run deletes from a mart."""
    return f"_run_{run_id}_before_{table}"


def after(run_id: int, table: str) -> str:
    """The table with the rows that a run inserts into a mart."""
    return f"_run_{run_id}_after_{table}"


def stage(
    connection: "Connection[Any]", settings: MySQLSettings, run_id: int, differences: Mapping[str, Change]
) -> None:
    """Load the differences of the marts, and a copy of the table of versions, into tables of the run."""
    with connection.cursor() as cursor:
        for table in (*differences, VERSIONS):
            for name in (before(run_id, table), after(run_id, table)):
                cursor.execute(f"DROP TABLE IF EXISTS `{name}`")
                cursor.execute(f"CREATE TABLE `{name}` LIKE `{table}`")
        cursor.execute(f"INSERT INTO `{before(run_id, VERSIONS)}` SELECT * FROM `{VERSIONS}`")  # noqa: S608
    for table, difference in differences.items():
        key = MARTS[table].key
        load(settings, before(run_id, table), difference.before, key)
        load(settings, after(run_id, table), difference.after, key)


def change(connection: "Connection[Any]", run_id: int, differences: Mapping[str, Change]) -> None:
    """Change the marts within the connection's transaction.

    :raises AnythingMayHaveChanged: a mart lacks a row that is to be deleted, or has one that is to be inserted.
    """
    for table, difference in differences.items():
        key = MARTS[table].key
        gone = _take_out(connection, table, before(run_id, table), key)
        if gone != difference.before.num_rows or _present(connection, table, after(run_id, table), key):
            raise AnythingMayHaveChanged(f"the rows of {table} in MySQL are not those of the last run")
        _put_in(connection, table, after(run_id, table))


def take_back(connection: "Connection[Any]", run_id: int) -> list[str]:
    """Undo the changes of an incremental run and return its marts; after a full run, do nothing."""
    if before(run_id, VERSIONS) not in (present := present_tables(connection)):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT mart FROM `{VERSIONS}` WHERE run_id = %s ORDER BY mart", [run_id])  # noqa: S608
        marts = [mart for (mart,) in cursor.fetchall()]
        cursor.execute("START TRANSACTION")
        for table in marts:
            if before(run_id, table) in present:
                _take_out(connection, table, after(run_id, table), MARTS[table].key)
                _put_in(connection, table, before(run_id, table))
        cursor.execute(f"DELETE FROM `{VERSIONS}`")  # noqa: S608
        _put_in(connection, VERSIONS, before(run_id, VERSIONS))
        cursor.execute("COMMIT")
    forget(connection, last_versions=True)
    return marts


def forget(connection: "Connection[Any]", *, but: int | None = None, last_versions: bool = False) -> None:
    """Drop the tables of all runs. Those that somebody reads stay for a later run to drop.

    :param but: an incremental run that has succeeded, whose tables stay.
    :param last_versions: drop the last versions of the marts too.
    """
    present = present_tables(connection)
    staged = [name for name in present if (found := _STAGED.fullmatch(name)) and int(found[1]) != but]
    whole = [name for table in (*MARTS, VERSIONS) if last_versions and (name := last(table)) in present]
    try:
        drop(connection, [*staged, *whole])
    except PassingFailure as failure:
        log.warning("The marts are as they should be, but tables of earlier runs are still there: %s", failure)


def forget_run(connection: "Connection[Any]", run_id: int) -> None:
    """Drop the tables of a run that was not published."""
    drop(
        connection,
        [name for table in (*MARTS, VERSIONS) for name in (before(run_id, table), after(run_id, table))],
    )


def _take_out(connection: "Connection[Any]", table: str, rows: str, key: tuple[str, ...]) -> int:
    """Delete the rows with these keys; return how many there were."""
    with connection.cursor() as cursor:
        return int(cursor.execute(f"DELETE m FROM `{rows}` r JOIN `{table}` m USING ({quote_all(key)})"))


def _present(connection: "Connection[Any]", table: str, rows: str, key: tuple[str, ...]) -> bool:
    """Whether the table has a row with any of these keys."""
    with connection.cursor() as cursor:
        return bool(cursor.execute(f"SELECT 1 FROM `{rows}` r JOIN `{table}` m USING ({quote_all(key)}) LIMIT 1"))  # noqa: S608


def _put_in(connection: "Connection[Any]", table: str, rows: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO `{table}` SELECT * FROM `{rows}`")  # noqa: S608
