"""Changing the rows of marts in which a run differs from the last one, in one transaction.

The rows that differ are loaded into ``_run_N_before_MART``, as they were, and ``_run_N_after_MART``, as they are.
A transaction takes the former out of the marts and puts the latter in. It is committed once the checks hold. Both
are kept until the next run has succeeded: the other way round, they bring back what there was.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.connections import Connection

from martline.command import MySQLSettings
from martline.marts.catalogue import MARTS
from martline.marts.incremental.journal import AnythingMayHaveChanged
from martline.marts.incremental.kept import Difference
from martline.marts.publish import VERSIONS, last
from martline.marts.writing.load import load
from pg_to_mysql.mysql.ddl import change_tables
from pg_to_mysql.mysql.names import present_tables

_STAGED = re.compile(r"_run_(\d+)_(?:before|after)_\w+")


def before(run_id: int, table: str) -> str:
    """Where the rows are that a run replaces."""
    return f"_run_{run_id}_before_{table}"


def after(run_id: int, table: str) -> str:
    """Where the rows are by which a run replaces them."""
    return f"_run_{run_id}_after_{table}"


def stage(
    connection: "Connection[Any]", settings: MySQLSettings, run_id: int, differences: Mapping[str, Difference]
) -> None:
    """Load the differences of the marts into tables of the run, and the table of versions as it is."""
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


def change(connection: "Connection[Any]", run_id: int, differences: Mapping[str, Difference]) -> None:
    """Change the marts within the connection's transaction.

    :raises AnythingMayHaveChanged: a row that is to go is not there, or one that is to come is.
    """
    for table, difference in differences.items():
        key = MARTS[table].key
        gone = _take_out(connection, table, before(run_id, table), key)
        if gone != difference.before.num_rows or _present(connection, table, after(run_id, table), key):
            raise AnythingMayHaveChanged(f"{table} has other rows than those that the last run has put there")
        _put_in(connection, table, after(run_id, table))


def take_back(connection: "Connection[Any]", run_id: int) -> list[str]:
    """Undo what the run has changed, and return its marts; nothing if it has replaced them as a whole."""
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
    forget(connection)
    return marts


def forget(connection: "Connection[Any]", *, but: int | None = None) -> None:
    """Drop the tables of all runs, or of all but one, for which the whole marts from before it go too."""
    present = present_tables(connection)
    staged = [name for name in present if (found := _STAGED.fullmatch(name)) and int(found[1]) != but]
    whole = [name for table in (*MARTS, VERSIONS) if (name := last(table)) in present]
    _drop(connection, staged if but is None else [*staged, *whole])


def forget_run(connection: "Connection[Any]", run_id: int) -> None:
    """Drop the tables of a run that has changed nothing."""
    _drop(
        connection,
        [name for table in (*MARTS, VERSIONS) for name in (before(run_id, table), after(run_id, table))],
    )


def _drop(connection: "Connection[Any]", tables: Sequence[str]) -> None:
    if tables:
        names = ", ".join(f"`{name}`" for name in tables)
        change_tables(connection, f"DROP TABLE IF EXISTS {names}", tables)


def _take_out(connection: "Connection[Any]", table: str, rows: str, key: tuple[str, ...]) -> int:
    """Delete the rows with these keys; return how many there were."""
    with connection.cursor() as cursor:
        return int(cursor.execute(f"DELETE m FROM `{rows}` r JOIN `{table}` m USING ({_names(key)})"))


def _present(connection: "Connection[Any]", table: str, rows: str, key: tuple[str, ...]) -> bool:
    """Whether any row with these keys is there."""
    with connection.cursor() as cursor:
        return bool(cursor.execute(f"SELECT 1 FROM `{rows}` r JOIN `{table}` m USING ({_names(key)}) LIMIT 1"))  # noqa: S608


def _put_in(connection: "Connection[Any]", table: str, rows: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO `{table}` SELECT * FROM `{rows}`")  # noqa: S608


def _names(key: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in key)
