"""The plan of reading: which columns of which tables are read, and in which tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.connections import Connection

from martline.command import Failure, MySQLSettings
from martline.marts.definition import Mart
from martline.marts.reading.blocks import BlockReader
from martline.marts.reading.moment import Moment
from martline.marts.reading.ranges import Task, key_of, tasks
from martline.marts.reading.values import values_of
from pg_to_mysql.mysql.names import present_tables

Plan = Mapping[str, tuple[BlockReader, list[Task]]]
"""For each table, its reader and the tasks."""


def needed_columns(marts: Sequence[Mart]) -> dict[str, tuple[str, ...]]:
    """The source tables, each with the columns that any of the marts needs."""
    columns: dict[str, dict[str, None]] = {}
    for mart in marts:
        for table, names in mart.sources.items():
            columns.setdefault(table, {}).update(dict.fromkeys(names))
    return {table: tuple(names) for table, names in sorted(columns.items())}


def require(connection: "Connection[Any]", tables: Mapping[str, object]) -> None:
    """Fail unless the tables exist."""
    if missing := sorted(tables.keys() - present_tables(connection)):
        raise Failure(f"MySQL has no table {', '.join(missing)} to build the marts from: run replicate first")


def readers(
    connection: "Connection[Any]",
    settings: MySQLSettings,
    moment: Moment,
    needed: Mapping[str, tuple[str, ...]],
    *,
    with_keys: bool = False,
) -> dict[str, BlockReader]:
    """The readers of the needed columns of each table.

    :param with_keys: also read the column whose ranges the tasks read.
    """
    made = {}
    for table, columns in needed.items():
        key = key_of(connection, table)
        names = tuple(dict.fromkeys((key, *columns))) if with_keys else columns
        made[table] = BlockReader(settings, moment, table, key, values_of(connection, table, names))
    return made


def whole(connection: "Connection[Any]", readers: Mapping[str, BlockReader], parallel: int) -> Plan:
    """The plan to read all rows with this many readers at once."""
    return {table: (reader, tasks(connection, table, reader.key, parallel)) for table, reader in readers.items()}
