"""Foreign keys of users' own tables in MySQL that point to a replica's tables.

The sessions do not check foreign keys, so that no change of a row reaches another table: LOAD DATA … REPLACE
deletes the row first, and MySQL would delete or empty what points to it. But a table that is dropped or takes
another one's place would leave such a key pointing to nothing.
"""

from collections.abc import Collection

from pg_to_mysql.mysql.target import Target

POINTING = """
    SELECT DISTINCT referenced_table_name, constraint_name, table_schema, table_name
    FROM information_schema.key_column_usage
    WHERE referenced_table_schema = DATABASE()
        AND (table_schema <> DATABASE() OR table_name <> referenced_table_name)
"""


def pointed_at(target: Target, tables: Collection[str]) -> dict[str, str]:
    """Those of the tables to which a foreign key points, by name, and why they stay as they are."""
    found = {}
    for referenced, constraint, schema, table in target.execute(POINTING):
        for name in tables:
            if target.is_one_name(name, referenced):
                found[name] = (
                    f"the foreign key {constraint} of MySQL's {schema}.{table} points to it, and would point to"
                    " nothing afterwards: drop it first"
                )
    return found
