"""Foreign keys of users' own tables in MySQL that reference a replica's tables.

The sessions do not check foreign keys, so no change of a row affects another table. LOAD DATA … REPLACE deletes a
row first, and otherwise MySQL would delete or change the rows that reference it. But if a referenced table were
dropped or replaced, the foreign key would reference nothing.
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
    """The tables that a foreign key references, by name, each with the reason why it stays as it is."""
    found = {}
    for referenced, constraint, schema, table in target.execute(POINTING):
        for name in tables:
            if target.is_one_name(name, referenced):
                found[name] = (
                    f"the foreign key {constraint} of MySQL's {schema}.{table} points to it, and would point to"
                    " nothing afterwards: drop it first"
                )
    return found
