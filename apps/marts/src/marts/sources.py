"""The replicated tables that the marts are made of, and how Spark reads them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pyspark.sql import DataFrame, DataFrameReader

from command import Failure
from marts.database import present_tables

ROWS_PER_PARTITION = 100_000
"""Connector/J holds a partition's whole result in memory; this many narrow rows take some 20 MB."""


@dataclass(frozen=True)
class Source:
    """A source table: its numeric primary key, which cuts it into partitions, and the columns to read."""

    key: str
    columns: tuple[str, ...]


SOURCES = {
    "users": Source("user_id", ("user_id", "first_name", "last_name", "loyalty_status")),
    "orders": Source("order_id", ("user_id", "order_date", "total_amount", "status")),
    "reviews": Source("review_id", ("user_id", "product_id", "rating", "created_at")),
    "loyaltypoints": Source("loyalty_id", ("user_id", "points", "created_at")),
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
    reader = reader.option("dbtable", f"`{table}`")
    if rows > ROWS_PER_PARTITION:
        reader = reader.options(
            partitionColumn=source.key,
            lowerBound=lowest,
            upperBound=highest,
            numPartitions=math.ceil(rows / ROWS_PER_PARTITION),
        )
    return reader.load().select(*source.columns).persist()
