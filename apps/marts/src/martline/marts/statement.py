"""Translates a mart's definition into the SQL dialect of each engine."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import ibis
import pyarrow as pa
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.expr.types import Table
from sqlglot import exp, parse_one

from martline.command import Failure
from martline.marts.definition import Mart, Parts, exact_quotient


class Dialect(StrEnum):
    """The dialect of an engine's SQL, by SQLGlot's name."""

    DUCKDB = "duckdb"
    SPARK = "spark"


Columns = Mapping[str, pa.Schema]
"""For each table, the columns that are read. They may be more than a mart needs."""
_COMPILERS = {Dialect.DUCKDB: DuckDBCompiler, Dialect.SPARK: PySparkCompiler}
_QUOTIENTS = {
    # Its division of decimal numbers is one of doubles; that of integers of 128 bits is exact.
    Dialect.DUCKDB: (
        "CAST(SIGN(:total) AS DECIMAL(1,0)) * CAST("
        "(CAST(ABS(:total) * 100000000 AS INT128) * 200 + :number * CAST(100000000 AS INT128))"
        " // (NULLIF(:number, 0) * CAST(200000000 AS INT128)) AS DECIMAL(20,0)) * CAST(0.01 AS DECIMAL(2,2))"
    ),
    Dialect.SPARK: (
        "CAST(SIGNUM(:total) AS DECIMAL(1,0)) * CAST((ABS(:total) * CAST(200 AS DECIMAL(3,0))"
        " + :number) DIV (NULLIF(:number, 0) * 2) AS DECIMAL(20,0)) * CAST(0.01 AS DECIMAL(2,2))"
    ),
}
"""The quotient in hundredths. Half of the divisor is added before the division drops the remainder."""
_ARROW = {"int64": pa.int64(), "date": pa.date32()}
_KINDS = {"double": "float64", "date32[day]": "date", "timestamp[us]": "timestamp(6)"}


def frame_of(mart: Mart, columns: Columns, names: Mapping[str, str] = MappingProxyType({})) -> Table:
    """The mart's frame. Of each source table it sees only the columns that the mart declares.

    :param names: other names under which the engine has some of the tables.
    """
    tables = {table: _source(mart, table, columns, names.get(table, table)) for table in mart.sources}
    return mart.build(**tables).select(_names(mart))


def frame_of_sums(mart: Mart, parts: Parts, columns: Columns, sums: str) -> Table:
    """The frame of the mart whose keys and sums are in the table ``sums``."""
    kinds = frame_of(mart, columns).schema()
    rows = ibis.table({name: kinds[name] for name in (*mart.key, *parts.sums)}, name=sums)
    return parts.complete(rows).select(_names(mart))


def _source(mart: Mart, table: str, columns: Columns, name: str) -> Table:
    kinds = {name: _kind(columns[table].field(name).type) for name in mart.sources[table]}
    return ibis.table(kinds, name=name)


def _names(mart: Mart) -> list[str]:
    return [column.name for column in mart.columns]


def statement(frame: Table, dialect: Dialect) -> str:
    """The frame's query, with the replica's names of the tables."""
    return parsed(frame, dialect).sql(dialect=dialect)


def typed(rows: pa.Table, frame: Table) -> pa.Table:
    """The rows with the frame's types, because engines count in wider integers and may turn dates into times.

    :raises Failure: a value does not fit.
    """
    try:
        for position, (name, kind) in enumerate(frame.schema().items()):
            if str(kind) in _ARROW:
                rows = rows.set_column(position, name, rows[name].cast(_ARROW[str(kind)]))
    except pa.ArrowInvalid as error:
        raise Failure(f"{name} has a value that is no {kind}: {error}") from error
    return rows


def parsed(frame: Table, dialect: Dialect) -> exp.Expr:
    """The query as SQLGlot's tree."""
    # Ibis's own tree has nodes in more than one place, which SQLGlot does not expect.
    tree = parse_one(_COMPILERS[dialect]().to_sqlglot(frame).sql(dialect=dialect), dialect=dialect)
    return tree.transform(_exact_quotients, dialect)


def _kind(kind: pa.DataType) -> str:
    """Ibis's name for the type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return _KINDS.get(str(kind), str(kind))


def _exact_quotients(node: exp.Expr, dialect: Dialect) -> exp.Expr:
    if not (isinstance(node, exp.Anonymous) and node.name == exact_quotient.__name__.upper()):
        return node
    total, number = node.expressions
    made = parse_one(f"({_QUOTIENTS[dialect]})", dialect=dialect)
    return exp.replace_placeholders(made, total=exp.paren(total), number=exp.paren(number))
