"""Tables that PostgreSQL's user may not read."""

from collections.abc import Sequence

import psycopg

from pg_to_mysql.tables.table import Table

UNREADABLE = """
WITH RECURSIVE tree AS (
    SELECT root, root AS oid FROM unnest(%s::oid[]) root
    UNION ALL
    SELECT root, inhrelid FROM tree JOIN pg_class parent ON parent.oid = tree.oid AND parent.relkind = 'p'
    JOIN pg_inherits ON inhparent = parent.oid
)
SELECT DISTINCT ON (root) root, nspname, relname, has_schema_privilege(relnamespace, 'USAGE')
FROM tree JOIN pg_class class ON class.oid = tree.oid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE NOT (has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(class.oid, 'SELECT'))
"""
"""Partitions are read by themselves, and each has privileges of its own."""
OR_ALL = "or run the SQL of `replication-roles postgresql` as the tables' owner"


def unreadable(connection: psycopg.Connection, tables: Sequence[Table]) -> dict[str, str]:
    """Those of the tables that the user may not read, by name, and why."""
    names = {table.oid: table.name for table in tables}
    rows = connection.execute(UNREADABLE, [list(names)]).fetchall()
    user = connection.info.user
    return {
        names[root]: (
            f"PostgreSQL's user {user} may not read {schema}.{name}: GRANT SELECT on it, {OR_ALL}"
            if may_use_schema
            else f"PostgreSQL's user {user} may not use {name}'s schema {schema}: GRANT USAGE on it, {OR_ALL}"
        )
        for root, schema, name, may_use_schema in rows
    }
