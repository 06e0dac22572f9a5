"""What a run would build: the tables that it reads, their rows, and the changes that readers would see."""

from collections.abc import Iterator, Sequence
from typing import Any

from ibis.expr.schema import Schema
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import MySQLSettings
from martline.marts import publish
from martline.marts.definition import Mart
from martline.marts.lineage import lineage
from martline.marts.publish import staging
from martline.marts.reading.plan import needed_columns
from martline.marts.reading.values import columns_of
from martline.marts.statement import frame_of
from pg_to_mysql.mysql.collation import collation_on
from pg_to_mysql.mysql.names import present_tables

PLANNED = staging("plan")
"""An empty table with the mart's new definition, so that MySQL describes its types like the published ones."""


def plan(marts: Sequence[Mart], settings: MySQLSettings) -> dict[str, dict[str, Any]]:
    """Describe for each mart its sources with their estimated rows, the lineage of its columns, and its changes.

    Only the definitions of the tables are read, not their rows.
    """
    with settings.connect(autocommit=True) as connection:
        publish.keep_others_out(connection)
        columns = columns_of(connection, needed_columns(marts))
        plans = {}
        for mart in marts:
            frame = frame_of(mart, columns)
            plans[mart.name] = {
                "sources": {table: _estimate(connection, table) for table in mart.sources},
                "columns": lineage(frame),
                "changes": list(_changes(connection, mart, frame.schema())),
            }
    return plans


def _estimate(connection: "Connection[Any]", table: str) -> int:
    """The number of the table's rows as the server estimates it."""
    query = (
        "SELECT table_rows AS estimate FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name = %s"
    )
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(query, [table])
        row = cursor.fetchone() or {}
    return int(row.get("estimate") or 0)


def _changes(connection: "Connection[Any]", mart: Mart, computed: Schema) -> Iterator[str]:
    """The differences between the published mart and the one that would be built."""
    if mart.name not in present_tables(connection):
        yield "new"
        return
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS `{PLANNED}`")
        cursor.execute(mart.create_statement(PLANNED, computed, collation_on(connection)))
        old, new = _types(connection, mart.name), _types(connection, PLANNED)
        cursor.execute(f"DROP TABLE `{PLANNED}`")
    for name, kind in old.items():
        if name not in new:
            yield f"breaks readers: {name} goes"
        elif new[name] != kind:
            yield f"may break readers: {name} becomes {new[name]}, and is {kind}"
    yield from (f"{name} comes" for name in new.keys() - old.keys())


def _types(connection: "Connection[Any]", table: str) -> dict[str, str]:
    query = (
        "SELECT column_name AS name, column_type AS type, is_nullable AS nullable FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position"
    )
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(query, [table])
        return {
            column["name"]: column["type"] + ("" if column["nullable"] == "YES" else " not null")
            for column in cursor.fetchall()
        }
