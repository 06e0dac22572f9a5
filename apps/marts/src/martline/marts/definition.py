"""What a mart is: its name, its columns and how they follow from the source tables."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DecimalType, StructType


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

    ``build`` takes the DataFrames of ``sources``, in that order, and returns one with these columns.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sources: tuple[str, ...]
    build: Callable[..., DataFrame]

    def create_statement(self, table: str, computed: StructType) -> str:
        """The ``CREATE TABLE`` statement of the mart under the name ``table``, for rows of the type ``computed``.

        Text compares byte by byte, as in PostgreSQL and Spark: what differs there is not one key here.
        """
        lines = [
            f"`{column.name}` {_with_digits(column, computed)} COMMENT '{column.meaning}'"
            for column in self.columns
        ]
        lines.append(f"PRIMARY KEY ({', '.join(f'`{name}`' for name in self.key)})")
        return (
            f"CREATE TABLE `{table}` ({', '.join(lines)}) "
            f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='{self.meaning}'"
        )


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
    total = sf.sum(values.cast("decimal(28,8)")).cast("decimal(32,8)")
    number = sf.nullif(sf.count(values), sf.lit(0))
    hundredths = sf.call_function("div", sf.abs(total) * sf.lit(Decimal(200)) + number, number * 2)
    return sf.signum(total).cast("decimal(1,0)") * hundredths.cast("decimal(20,0)") * sf.lit(Decimal("0.01"))
