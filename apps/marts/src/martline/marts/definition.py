"""The definition of a mart: its name, its columns, their computation from the source tables, and its checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import ibis
from ibis.expr.datatypes import Decimal, Int64
from ibis.expr.schema import Schema
from ibis.expr.types import DecimalValue, IntegerValue, NumericValue, Table

from martline.marts.rules import Check
from pg_to_mysql.mysql.quoting import quote_all, text_literal

__all__ = ["Column", "Mart", "Parts", "Table", "average", "quotient"]

MOST_DIGITS = 38
"""The largest number of digits of a decimal number in the engines."""


@dataclass(frozen=True)
class Column:
    """A column of a mart: its name, its type in MySQL and what it means."""

    name: str
    type: str
    """``DECIMAL`` without digits has as many after the point as the computed values, and 38 in all."""
    meaning: str


@dataclass(frozen=True)
class Parts:
    """How the mart of all rows follows from the marts of parts of the rows: it is their sum, see ``sums``.

    A source's row that has the column ``by`` belongs to the part with this value, and to no other. The rows of
    the other sources are the same for all parts.
    """

    by: str
    """A column of some of the sources, for example ``user_id``."""
    day: str | None = None
    """A column with a time, which all sources with the column ``by`` have too. With it, a part is one day of one
    value of ``by``, for example the orders of a user on a day (UTC).
    """
    through: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For a source without that column: a source with it, and the column on which the mart joins the two.

    If a row of a source that is not named here changes, the whole mart is computed.
    """
    sums: tuple[str, ...] = ()
    """The columns that are added up where several parts have a row with the same key.

    A row with only zeros in them is not in the mart. Without sums, no key is in two parts.
    """
    complete: Callable[[Table], Table] = lambda rows: rows
    """Adds the columns that follow from the key and the sums in the same row."""


@dataclass(frozen=True)
class Mart:
    """A mart.

    ``build`` takes the DataFrames of ``sources`` under the tables' names, and returns one with these columns in
    any order. They are Ibis's, which have types and no rows: what is called on them becomes the SQL of the engine
    that computes the mart.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    """The replica's tables, and the columns of each that are read."""
    build: Callable[..., Table]
    parts: Parts | None = None
    """If they are given, an incremental run computes only the parts that have changed."""
    checks: tuple[Check, ...] = ()
    """The checks that must pass before publication, besides those that every mart has."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """The indexes for expected look-ups by other columns than the key."""
    owner: str = "shop"
    """The people whom readers can ask about the mart."""
    freshness: timedelta = timedelta(days=1)
    """The age up to which the mart counts as fresh."""

    def create_statement(self, table: str, computed: Schema, collation: str) -> str:
        """The ``CREATE TABLE`` statement of the mart under the name ``table``, for rows of the type ``computed``.

        :param collation: of text. It compares byte by byte: what differs in PostgreSQL and Spark is not one key.
        """
        lines = [
            f"`{column.name}` {_with_digits(column, computed)} COMMENT {text_literal(column.meaning)}"
            for column in self.columns
        ]
        lines.append(f"PRIMARY KEY ({quote_all(self.key)})")
        lines += [f"KEY `{'_'.join(index)}` ({quote_all(index)})" for index in self.indexes]
        return (
            f"CREATE TABLE `{table}` ({', '.join(lines)}) "
            f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {collation} COMMENT={text_literal(self.meaning)}"
        )


def _with_digits(column: Column, computed: Schema) -> str:
    if not column.type.startswith("DECIMAL "):
        return column.type
    kind = computed[column.name]
    if not isinstance(kind, Decimal):
        raise TypeError(f"{column.name} is computed as {kind}, not as a decimal number")
    return column.type.replace("DECIMAL", f"DECIMAL({MOST_DIGITS},{kind.scale})", 1)


def average(values: NumericValue) -> DecimalValue:
    """The average of ``values``, rounded half away from zero to 2 digits; null where there is none.

    It is counted from the exact sum: an engine's own ``avg`` is rounded before it is rounded again, and is off by
    one in the last digit then.
    """
    return quotient(values.sum(), values.count())


def quotient(total: NumericValue, number: IntegerValue) -> DecimalValue:
    """``total``, of at most 22 digits before the point and 8 after it, divided by a whole number.

    Rounded half away from zero to 2 digits; null where ``number`` is 0.
    """
    return exact_quotient(total.cast(Decimal(30, 8)), number)


@ibis.udf.scalar.builtin(name="EXACT_QUOTIENT")  # type: ignore[untyped-decorator]
def exact_quotient(total: Decimal(30, 8), number: Int64) -> Decimal(22, 2):  # type: ignore[valid-type]
    """See :func:`quotient`. For it, each engine's SQL has an expression of its own."""
