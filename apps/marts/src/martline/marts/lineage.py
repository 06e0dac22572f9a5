"""From which columns of the replica each column of a mart follows, as Spark's plan of the mart says.

A column follows from those that its expression names; a number of rows follows from ``table.*``. Which rows
there are, how they are grouped and joined, is not part of it. The plan is read as the JSON that Spark's
``TreeNode.toJSON`` writes: the nodes of a tree in a list, each before its children; an expression is such a tree
within its node.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymysql.connections import Connection
from pyspark.sql import DataFrame

LINEAGE = "mart_lineage"
Lineage = dict[str, list[str]]
"""For each column of a mart, the columns of the replica as ``table.column``, in order."""
Node = Mapping[str, Any]
Origins = dict[int, frozenset[str]]
"""For the identity of an attribute, the columns of the replica as ``table.column``."""
WITHOUT_NAMES = ("Union", "Intersect", "Except")
"""What puts columns together by their positions."""


def lineage(frame: DataFrame) -> Lineage:
    """What the frame's columns follow from.

    :param frame: made of frames that are aliased as their tables are called.
    :raises TypeError: its plan has what puts columns together by their positions.
    """
    plan = frame._jdf.queryExecution().analyzed()
    origins: Origins = {}
    _walk(iter(json.loads(plan.toJSON())), "", origins)
    output = plan.output()
    identities = [output.apply(position).exprId().id() for position in range(output.size())]
    return {
        name: sorted(origins.get(identity, ())) for name, identity in zip(frame.columns, identities, strict=True)
    }


def _walk(nodes: Iterator[Node], table: str, origins: Origins) -> set[str]:
    """Go through the next node, the nodes below it first: what it names is known then. Returns their tables."""
    node = next(nodes)
    kind = node["class"].rpartition(".")[2]
    if kind in WITHOUT_NAMES:
        raise TypeError(f"The lineage of columns through {kind} is not known: use joins")
    if kind == "SubqueryAlias":
        table = node["identifier"]["name"]
    tables: set[str] = set().union(*(_walk(nodes, table, origins) for _ in range(node["num-children"])))
    if not tables:
        tables = {table}
        origins |= {_identity(column): frozenset({f"{table}.{column['name']}"}) for [column] in node["output"]}
    for tree in _trees(node):
        if tree[0]["class"].endswith(".Alias"):
            counted = tables if _counts_rows(tree) else ()
            origins[_identity(tree[0])] = _named(tree, origins) | {f"{table}.*" for table in counted}
    for [made] in node.get("generatorOutput", ()):
        origins[_identity(made)] = _named(node["generator"], origins)
    return tables


def _trees(node: Node) -> Iterator[Sequence[Node]]:
    """The expressions of the node that may have names of their own."""
    for value in node.values():
        if isinstance(value, list):
            yield from (tree for tree in value if isinstance(tree, list))


def _counts_rows(tree: Sequence[Node]) -> bool:
    """Whether it is ``count(*)``, which names nothing."""
    kinds = {node["class"].rpartition(".")[2] for node in tree}
    return "Count" in kinds and "AttributeReference" not in kinds


def _named(tree: Sequence[Node], origins: Origins) -> frozenset[str]:
    """The origins of all attributes in an expression."""
    attributes = (node for node in tree if node["class"].endswith(".AttributeReference"))
    return frozenset().union(*(origins.get(_identity(attribute), frozenset()) for attribute in attributes))


def _identity(node: Node) -> int:
    return int(node["exprId"]["id"])


_CREATE = f"""
    CREATE TABLE IF NOT EXISTS `{LINEAGE}` (
        mart VARCHAR(64) NOT NULL COMMENT 'The mart',
        `column` VARCHAR(64) NOT NULL COMMENT 'Its column',
        origin VARCHAR(160) NOT NULL COMMENT 'table.column of the replica; table.* for a number of rows',
        PRIMARY KEY (mart, `column`, origin)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='What the marts columns follow from'
"""


def record_lineage(connection: "Connection[Any]", lineages: Mapping[str, Lineage]) -> None:
    """Keep the lineage of these marts, instead of what was kept of them."""
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
