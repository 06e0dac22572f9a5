"""How a value of MySQL travels to Spark: as which text of a line of CSV, and as which type it is read from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection
from pymysql.cursors import DictCursor
from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
)

from martline.command import Failure

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "year"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json", "enum"}
MOST_DIGITS = 38
"""Of a decimal number in Spark and in Arrow's 128 bits."""


@dataclass(frozen=True)
class Value:
    """A column that is read."""

    name: str
    text: str
    """The SQL expression of the value in CSV: nothing for NULL, a text in quotes."""
    arrow: pa.DataType
    spark: DataType


def values_of(connection: "Connection[Any]", table: str, names: tuple[str, ...]) -> tuple[Value, ...]:
    """The table's columns of these names.

    :raises Failure: the table lacks one, or has one of a type that Spark can't hold.
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


def spark_schema(values: Iterable[Value]) -> StructType:
    """The type of the rows of these columns in Spark."""
    return StructType([StructField(value.name, value.spark) for value in values])


def _value(table: str, column: Mapping[str, Any]) -> Value:
    name, kind = column["name"], str(column["kind"]).lower()
    arrow, spark = _types(table, kind, column)
    quoted = f"`{name}`"
    text = f"""CONCAT('"', REPLACE({quoted}, '"', '""'), '"')""" if kind in TEXTS else quoted
    return Value(name, f"COALESCE({text}, '')", arrow, spark)


def _types(table: str, kind: str, column: Mapping[str, Any]) -> tuple[pa.DataType, DataType]:
    if kind == "bigint" and "unsigned" in column["type"]:
        return pa.decimal128(20, 0), DecimalType(20, 0)
    if kind in INTEGERS:
        return pa.int64(), LongType()
    if kind == "decimal" and column["digits"] <= MOST_DIGITS:
        digits, decimals = int(column["digits"]), int(column["decimals"])
        return pa.decimal128(digits, decimals), DecimalType(digits, decimals)
    if kind in ("datetime", "timestamp"):
        return pa.timestamp("us"), TimestampNTZType()
    if kind == "date":
        return pa.date32(), DateType()
    if kind in ("float", "double"):
        return pa.float64(), DoubleType()
    if kind in TEXTS:
        return pa.string(), StringType()
    raise Failure(
        f"Spark can't hold {table}.{column['name']}, which is {column['type']}: leave it out of the mart"
    )
