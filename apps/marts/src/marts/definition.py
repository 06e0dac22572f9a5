"""What a mart is: its name, its columns and how they follow from the source tables."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf


@dataclass(frozen=True)
class Column:
    """A column of a mart: its name, its type in MySQL and what it means."""

    name: str
    type: str
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

    def create_statement(self, table: str) -> str:
        """The ``CREATE TABLE`` statement of the mart, under the name ``table``.

        Text compares byte by byte, as in PostgreSQL and Spark: what differs there is not one key here.
        """
        lines = [f"`{column.name}` {column.type} COMMENT '{column.meaning}'" for column in self.columns]
        lines.append(f"PRIMARY KEY ({', '.join(f'`{name}`' for name in self.key)})")
        return (
            f"CREATE TABLE `{table}` ({', '.join(lines)}) "
            f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='{self.meaning}'"
        )


def average(values: SparkColumn) -> SparkColumn:
    """The average of ``values`` (at most 2 digits after the point), rounded half away from zero to 2 digits.

    Spark's own ``avg`` rounds to 6 digits first, and rounding twice can be off by one in the last digit.
    Here the quotient has 18 digits, which no sum of fewer than 10^15 rows can round wrongly.
    """
    total = sf.sum(values.cast("decimal(12,2)"))
    return sf.round(sf.try_divide(total, sf.count(values).cast("decimal(20,0)")), 2)
