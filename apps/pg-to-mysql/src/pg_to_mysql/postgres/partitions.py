"""The partitions of PostgreSQL's tables."""

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from pg_to_mysql.tables.table import Partition

TREE = """
WITH RECURSIVE tree AS (
    SELECT class.oid AS root, link.xmin, link.cmin, link.xmax, inhrelid, inhparent, inhdetachpending
    FROM pg_class class JOIN pg_inherits link ON inhparent = class.oid
    WHERE class.relnamespace = %s::regnamespace AND class.relkind = 'p' AND NOT class.relispartition
        AND class.relpersistence = 'p'
    UNION ALL
    SELECT root, link.xmin, link.cmin, link.xmax, link.inhrelid, link.inhparent, link.inhdetachpending
    FROM tree JOIN pg_inherits link ON link.inhparent = tree.inhrelid
)
SELECT root, class.oid, nspname AS schema, relname AS name, class.relfilenode AS storage,
    class.relkind <> 'p' AS is_leaf, inhparent AS parent,
    concat(tree.xmin, CASE WHEN inhdetachpending THEN ' detached' END) AS link,
    NOT inhdetachpending AND class.relfilenode IN (0, class.oid) AND EXISTS (
        SELECT FROM pg_attribute a WHERE attrelid = class.oid AND attnum > 0 AND attinhcount = 1
            AND a.xmin = tree.xmin AND a.cmin::text::bigint < tree.cmin::text::bigint
            AND a.xmax::text = '0' AND tree.xmax::text = '0'
    ) AS is_whole
FROM tree
JOIN pg_class class ON class.oid = inhrelid
JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
ORDER BY class.oid
"""
"""All partitions of the tables of a schema, of every level.

To attach a table is to write its columns anew in the catalogue, in the command that writes the link to its
parent: columns of the same transaction, but of an earlier command, tell a table that was created as a partition.
The storage of a table has the table's own number until it is truncated or written anew.
"""


def read_partitions(connection: psycopg.Connection, schema: str) -> dict[int, tuple[Partition, ...]]:
    """The partitions of the schema's partitioned tables, by the oid of the root, as far as it has some."""
    found: dict[int, list[Partition]] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(TREE, [schema]).fetchall():
            found.setdefault(row.pop("root"), []).append(Partition(**row))
    return {root: tuple(partitions) for root, partitions in found.items()}


def is_empty(connection: psycopg.Connection, partition: Partition) -> bool:
    """Whether the partition surely has no row; the connection is in autocommit mode."""
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM ONLY {})").format(
        sql.Identifier(partition.schema, partition.name)
    )
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            [(empty,)] = connection.execute(query).fetchall()
            return bool(empty)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        return False
