"""How values of MySQL's types become CSV text, and the types as which Arrow reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from martline.command import Failure

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "year"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json", "enum"}
MOST_DIGITS = 38
"""The largest number of digits of a decimal number of 128 bits."""


@dataclass(frozen=True)
class Value:
    """A column that is read."""

    name: str
    text: str
    """The SQL expression for the value in CSV. NULL is empty, and texts are in quotes."""
    arrow: pa.DataType


def values_of(connection: "Connection[Any]", table: str, names: tuple[str, ...]) -> tuple[Value, ...]:
    """The table's columns of these names.

    :raises Failure: the table lacks one, or has one of a type that marts can't be made of.
    """
    query = (
        "SELECT column_name AS name, data_type AS kind, column_type AS type, numeric_precision AS digits,"
        " numeric_scale AS decimals FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s"
    )
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(query, [table])
        columns = {column["name"]: column for column in cursor.fetchall()}
    if missing := [name for name in names if name not in columns]:
        raise Failure(
            f"MySQL's table {table} has no column {', '.join(missing)}: the mart is made of another version of it"
        )
    return tuple(_value(table, columns[name]) for name in names)


def columns_of(connection: "Connection[Any]", tables: Mapping[str, tuple[str, ...]]) -> dict[str, pa.Schema]:
    """The types as which these columns of the tables are read."""
    return {table: arrow_schema(values_of(connection, table, names)) for table, names in tables.items()}


def arrow_schema(values: Iterable[Value]) -> pa.Schema:
    """The type of the rows of these columns."""
    return pa.schema([(value.name, value.arrow) for value in values])


def _value(table: str, column: Mapping[str, Any]) -> Value:
    name, kind = column["name"], str(column["kind"]).lower()
    quoted = f"`{name}`"
    text = f"""CONCAT('"', REPLACE({quoted}, '"', '""'), '"')""" if kind in TEXTS else quoted
    return Value(name, f"COALESCE({text}, '')", _type(table, kind, column))


def _type(table: str, kind: str, column: Mapping[str, Any]) -> pa.DataType:
    if kind == "bigint" and "unsigned" in column["type"]:
        return pa.decimal128(20, 0)
    if kind in INTEGERS:
        return pa.int64()
    if kind == "decimal" and column["digits"] <= MOST_DIGITS:
        return pa.decimal128(int(column["digits"]), int(column["decimals"]))
    if kind in ("datetime", "timestamp"):
        return pa.timestamp("us")
    if kind == "date":
        return pa.date32()
    if kind in ("float", "double"):
        return pa.float64()
    if kind in TEXTS:
        return pa.string()
    raise Failure(f"A mart can't be made of {table}.{column['name']}, which is {column['type']}: leave it out")
