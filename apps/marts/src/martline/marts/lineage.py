"""The lineage of a mart's columns: the columns of the replica that each column's expression uses.

A column follows from the columns in its expression, and a number of rows follows from ``table.*``. Conditions,
joins and grouping are not part of the lineage.
"""

from collections.abc import Mapping
from typing import Any

from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table
from pymysql.connections import Connection
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from martline.marts.statement import Dialect, parsed

LINEAGE = "mart_lineage"
Lineage = dict[str, list[str]]
"""For each column of a mart, the columns of the replica as ``table.column``, in order."""


def lineage(frame: Table) -> Lineage:
    """The lineage of the frame's columns.

    :raises TypeError: the definition combines columns by their positions, for example in a union.
    """
    schema: dict[str, object] = {
        table.get_name(): dict.fromkeys(table.columns, "text")
        for table in (node.to_expr() for node in frame.op().find(UnboundTable))
    }
    scope = build_scope(qualify(parsed(frame, Dialect.DUCKDB), schema=schema, dialect=Dialect.DUCKDB))
    if scope is None:
        raise TypeError("The frame is no query")
    return {name: sorted(_origins(scope, name)) for name in frame.columns}


def _origins(scope: Scope, column: str) -> set[str]:
    """The columns of the replica that a column of the query follows from."""
    if not isinstance(scope.expression, exp.Select):
        raise TypeError("The lineage of columns through UNION and the like is not known: use joins")
    [made] = [made for made in scope.expression.selects if made.alias_or_name == column]
    found = {f"{table}.*" for table in _tables(scope)} if _counts_rows(made) else set()
    for named in made.find_all(exp.Column):
        source = scope.sources[named.table]
        found |= _origins(source, named.name) if isinstance(source, Scope) else {f"{source.name}.{named.name}"}
    return found


def _counts_rows(made: exp.Expr) -> bool:
    """Whether the expression is ``COUNT(*)`` or ``RANK()``, which name no column."""
    return any(isinstance(count.this, exp.Star) for count in made.find_all(exp.Count))


def _tables(scope: Scope) -> set[str]:
    """The replica's tables that the query reads."""
    return set().union(
        *(
            _tables(source) if isinstance(source, Scope) else {source.name}
            for _, source in scope.selected_sources.values()
        )
    )


_CREATE = f"""
    CREATE TABLE IF NOT EXISTS `{LINEAGE}` (
        mart VARCHAR(64) NOT NULL COMMENT 'The mart',
        `column` VARCHAR(64) NOT NULL COMMENT 'Its column',
        origin VARCHAR(160) NOT NULL COMMENT 'table.column of the replica; table.* for a number of rows',
        PRIMARY KEY (mart, `column`, origin)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='What the marts columns follow from'
"""


def record_lineage(connection: "Connection[Any]", lineages: Mapping[str, Lineage]) -> None:
    """Store the lineage of these marts in place of the stored one."""
    rows = [
        (mart, column, origin)
        for mart, columns in lineages.items()
        for column, origins in columns.items()
        for origin in origins
    ]
    with connection.cursor() as cursor:
        cursor.execute(_CREATE)
        cursor.execute("START TRANSACTION")
        cursor.executemany(f"DELETE FROM `{LINEAGE}` WHERE mart = %s", list(lineages))  # noqa: S608
        cursor.executemany(f"INSERT INTO `{LINEAGE}` VALUES (%s, %s, %s)", rows)  # noqa: S608
        cursor.execute("COMMIT")
