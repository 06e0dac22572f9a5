"""Brings back the marts that readers saw before the newest run, once."""

from typing import Any

from pymysql.connections import Connection

from martline.command import Failure
from martline.marts.incremental import amend
from martline.marts.publish import VERSIONS, clear, last, newest_run, old, rename
from pg_to_mysql.mysql.names import present_tables


def roll_back(connection: "Connection[Any]") -> tuple[int, list[str]]:
    """Bring back the marts from before the newest run; return the run and its marts.

    Marts that the run has replaced are swapped with their last versions. Marts that it has changed are changed
    back.

    :raises Failure: there is no version before, or the run was rolled back before.
    """
    present = present_tables(connection)
    run, marts = newest_run(connection, VERSIONS) if VERSIONS in present else (0, [])
    if run and (changed := amend.take_back(connection, run)):
        return run, changed
    before, _ = newest_run(connection, last(VERSIONS)) if last(VERSIONS) in present else (0, [])
    tables = [*marts, VERSIONS]
    if not marts or any(last(table) not in present for table in tables):
        raise Failure("There is no version of the marts before the one that readers see: nothing is rolled back")
    if before > run:
        raise Failure(
            f"Run {before} was rolled back before, and one version is kept: run build-marts for new marts"
        )
    clear(connection, tables)
    renames = []
    for table in tables:
        renames += [(table, old(table)), (last(table), table), (old(table), last(table))]
    rename(connection, renames, tables, "the last marts can't replace the new, which stay")
    return run, marts
