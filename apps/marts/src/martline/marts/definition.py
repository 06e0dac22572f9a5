"""What a mart is: its name, its columns, how they follow from the source tables, and what must hold for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DecimalType, StructType

from martline.marts.rules import Check
from pg_to_mysql.mysql.quoting import text_literal


@dataclass(frozen=True)
class Column:
    """A column of a mart: its name, its type in MySQL and what it means."""

    name: str
    type: str
    """``DECIMAL`` without digits has as many as the computed values can have."""
    meaning: str


@dataclass(frozen=True)
class Mart:
    """A mart.

    ``build`` takes the DataFrames of ``sources`` under the tables' names, and returns one with these columns.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    """The replica's tables, and the columns of each that are read."""
    build: Callable[..., DataFrame]
    checks: tuple[Check, ...] = ()
    """What must hold before it is published, besides what must for any mart."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """For the look-ups that are expected besides those by the key."""
    owner: str = "shop"
    """Whom its readers ask."""
    freshness: timedelta = timedelta(days=1)
    """How old it may become."""

    def create_statement(self, table: str, computed: StructType) -> str:
        """The ``CREATE TABLE`` statement of the mart under the name ``table``, for rows of the type ``computed``.

        Text compares byte by byte, as in PostgreSQL and Spark: what differs there is not one key here.
        """
        lines = [
            f"`{column.name}` {_with_digits(column, computed)} COMMENT {text_literal(column.meaning)}"
            for column in self.columns
        ]
        lines.append(f"PRIMARY KEY ({_names(self.key)})")
        lines += [f"KEY `{'_'.join(index)}` ({_names(index)})" for index in self.indexes]
        return (
            f"CREATE TABLE `{table}` ({', '.join(lines)}) "
            f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT={text_literal(self.meaning)}"
        )


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _with_digits(column: Column, computed: StructType) -> str:
    if not column.type.startswith("DECIMAL "):
        return column.type
    kind = computed[column.name].dataType
    if not isinstance(kind, DecimalType):
        raise TypeError(f"{column.name} is computed as {kind}, not as a decimal number")
    return column.type.replace("DECIMAL", f"DECIMAL({kind.precision},{kind.scale})", 1)


def average(values: SparkColumn) -> SparkColumn:
    """The average of ``values``, rounded half away from zero to 2 digits; null where there is none.

    It is counted in whole hundredths from the exact sum: Spark's own ``avg`` rounds before it is rounded again,
    and is off by one in the last digit then.
    """
    return quotient(sf.sum(values.cast("decimal(28,8)")).cast("decimal(32,8)"), sf.count(values))


def quotient(total: SparkColumn, number: SparkColumn) -> SparkColumn:
    """``total``, of at most 24 digits before the point and 8 after it, divided by a whole number.

    Rounded half away from zero to 2 digits; null where ``number`` is 0.
    """
    number = sf.nullif(number, sf.lit(0))
    hundredths = sf.call_function("div", sf.abs(total) * sf.lit(Decimal(200)) + number, number * 2)
    return sf.signum(total).cast("decimal(1,0)") * hundredths.cast("decimal(20,0)") * sf.lit(Decimal("0.01"))
