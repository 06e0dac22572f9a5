"""The replicated tables that the marts are made of, and how Spark reads them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pyspark.sql import DataFrame, DataFrameReader

from martline.command import Failure
from martline.marts.database import present_tables

ROWS_PER_PARTITION = 100_000
"""Connector/J holds a partition's whole result in memory; this many narrow rows take some 20 MB."""


@dataclass(frozen=True)
class Source:
    """A source table: its numeric primary key, which cuts it into partitions, and the columns to read."""

    key: str
    columns: tuple[str, ...]
    moments: tuple[str, ...] = ()
    """Those of the columns that are points in time.

    They are read as texts of one width, such as ``2026-01-02 03:04:05.000000``, which sort as the moments do and
    which MySQL takes back as they are. Java's old calendar, by which Connector/J reads a moment, lacks ten days
    of October 1582 and counts differently before.
    """

    def query(self, table: str) -> str:
        """The rows that are read, as a derived table with the key and the columns."""
        columns = (
            f"CAST(CAST(`{column}` AS DATETIME(6)) AS CHAR) AS `{column}`"
            if column in self.moments
            else f"`{column}`"
            for column in dict.fromkeys((self.key, *self.columns))
        )
        return f"(SELECT {', '.join(columns)} FROM `{table}`) AS `{table}`"  # noqa: S608


SOURCES = {
    "users": Source("user_id", ("user_id", "first_name", "last_name", "loyalty_status")),
    "orders": Source("order_id", ("user_id", "order_date", "total_amount", "status"), moments=("order_date",)),
    "reviews": Source("review_id", ("user_id", "product_id", "rating", "created_at"), moments=("created_at",)),
    "loyaltypoints": Source("loyalty_id", ("user_id", "points", "created_at"), moments=("created_at",)),
    "products": Source("product_id", ("product_id", "name", "category_id")),
    "productcategories": Source("category_id", ("category_id", "name")),
}


def require(connection: "Connection[Any]", tables: Iterable[str]) -> None:
    """Fail unless all these tables are in MySQL."""
    missing = sorted(set(tables) - present_tables(connection))
    if missing:
        raise Failure(f"MySQL has no table {', '.join(missing)} to build the marts from: run replicate first")


def read(reader: DataFrameReader, connection: "Connection[Any]", table: str) -> DataFrame:
    """The columns of a source table that marts need, read once and kept: all marts see the same rows.

    A table of more than :data:`ROWS_PER_PARTITION` rows is read in parallel, by ranges of its key.
    """
    source = SOURCES[table]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*), MIN(`{source.key}`), MAX(`{source.key}`) FROM `{table}`")  # noqa: S608
        ((rows, lowest, highest),) = cursor.fetchall()
    reader = reader.option("dbtable", source.query(table))
    if rows > ROWS_PER_PARTITION:
        reader = reader.options(
            partitionColumn=source.key,
            lowerBound=lowest,
            upperBound=highest,
            numPartitions=math.ceil(rows / ROWS_PER_PARTITION),
        )
    return reader.load().select(*source.columns).persist()
