"""PostgreSQL's catalogue: the tables of a schema, as far as their copies in MySQL depend on it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from pg_to_mysql.errors import Setting, WrongSettings
from pg_to_mysql.postgres.keys import HINDRANCE, IS_TABLE, KEY_INDEX
from pg_to_mysql.postgres.partitions import read_partitions
from pg_to_mysql.tables.table import Column, Index, Table
from pg_to_mysql.tables.types import type_length
from pg_to_mysql.tables.unfit import UnfitRules

COLUMNS = f"""
WITH RECURSIVE base AS (
    SELECT oid, oid AS base_oid, typname, typtype, typbasetype, typtypmod FROM pg_type
    UNION ALL
    SELECT base.oid, type.oid, type.typname, type.typtype, type.typbasetype,
        CASE WHEN type.typtype = 'd' THEN type.typtypmod ELSE base.typtypmod END
    FROM base JOIN pg_type type ON base.typtype = 'd' AND type.oid = base.typbasetype
)
SELECT class.oid AS table_oid, class.relname, obj_description(class.oid, 'pg_class') AS table_comment,
    CASE class.relkind WHEN 'r' THEN class.relfilenode::text ELSE '' END AS storage, class.relkind,
    class.relnatts,
    attribute.attnum, attribute.attname, atttypid, atttypmod, attribute.xmin::text AS version,
    CASE WHEN base_oid < 16384 THEN base.typname WHEN base.typtype = 'e' THEN 'enum' ELSE 'other' END
        AS type_name,
    CASE WHEN atttypmod <> -1 THEN atttypmod ELSE base.typtypmod END AS base_modifier,
    attnotnull, attgenerated, atthasdef OR attidentity <> '' AS has_default,
    attribute.attnum = ANY ((key.indkey::int2[])[0:key.indnkeyatts - 1]) AS in_key,
    coalesce((attmissingval::text::text[])[1], leaf_missing) AS missing,
    col_description(class.oid, attribute.attnum) AS comment,
    CASE WHEN row_security_active(class.oid) OR leaf_row_security THEN current_user END AS sees_less
FROM pg_class class
JOIN pg_attribute attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
JOIN base ON base.oid = atttypid AND base.typtype <> 'd'
LEFT JOIN pg_index key ON key.indexrelid = ({KEY_INDEX})
LEFT JOIN LATERAL (
    WITH RECURSIVE tree AS (
        SELECT inhrelid FROM pg_inherits WHERE inhparent = class.oid
        UNION ALL
        SELECT child.inhrelid FROM tree JOIN pg_inherits child ON child.inhparent = tree.inhrelid
    )
    SELECT min((leaf.attmissingval::text::text[])[1]) AS leaf_missing,
        bool_or(row_security_active(inhrelid)) AS leaf_row_security
    FROM tree JOIN pg_attribute leaf ON leaf.attrelid = inhrelid AND leaf.attname = attribute.attname
) leaves ON class.relkind = 'p'
WHERE class.relnamespace = %s::regnamespace AND {IS_TABLE}
ORDER BY class.relname, attribute.attnum
"""
HINDRANCES = f"""
SELECT class.oid, {HINDRANCE} FROM pg_class class
WHERE class.relnamespace = %s::regnamespace AND {IS_TABLE}
"""
INDEXES = """
SELECT indrelid, class.relname, indkey::int2[], indnkeyatts,
    CASE WHEN indexprs IS NOT NULL THEN 'is over expressions' WHEN indpred IS NOT NULL THEN 'is partial'
        WHEN amname NOT IN ('btree', 'hash') THEN 'is of the kind ' || amname END
FROM pg_index
JOIN pg_class class ON class.oid = indexrelid
JOIN pg_am ON pg_am.oid = class.relam
WHERE class.relnamespace = %s::regnamespace AND indisvalid AND NOT indisprimary
ORDER BY class.relname
"""
SENDS_GENERATED = 180_000
"""The first version of PostgreSQL that sends changes of stored generated columns."""


def read_tables(
    connection: psycopg.Connection, schema: str, rules: UnfitRules | None = None
) -> tuple[dict[str, Table], dict[str, str]]:
    """The schema's tables, and the reasons why others can't be replicated, both by name."""
    rules = rules or UnfitRules()
    parameters = [sql.Identifier(schema).as_string(connection)]
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        try:
            rows: list[Any] = cursor.execute(COLUMNS, parameters).fetchall()
        except psycopg.errors.InvalidSchemaName as error:
            raise WrongSettings(
                f"PostgreSQL's database {connection.info.dbname} has no schema {schema}: name an existing schema",
                settings={Setting.SCHEMA: None},
            ) from error
    indexes: dict[int, list[tuple[Any, ...]]] = {}
    for oid, *index in connection.execute(INDEXES, parameters).fetchall():
        indexes.setdefault(oid, []).append(tuple(index))
    partitions = read_partitions(connection, parameters[0])
    hindrances: dict[int, str | None] = dict(connection.execute(HINDRANCES, parameters).fetchall())
    sends_generated = connection.info.server_version >= SENDS_GENERATED
    tables: dict[str, Table] = {}
    refused: dict[str, str] = {}
    for name, group in groupby(rows, key=lambda row: row.relname):
        table_rows = list(group)
        table = _table(table_rows, indexes.get(table_rows[0].table_oid, []), rules, sends_generated)
        if table_rows[0].relkind == "p":
            table = replace(table, partitions=partitions.get(table.oid, ()))
        if reason := hindrances.get(table.oid) or _refusal(table, table_rows):
            refused[name] = reason
        else:
            tables[name] = table
    _refuse_names_that_mysql_confuses(tables, refused)
    return tables, refused


def _table(
    rows: Sequence[Any], indexes: Iterable[tuple[Any, ...]], rules: UnfitRules, sends_generated: bool
) -> Table:
    first = rows[0]
    columns: list[Column] = []
    key = []
    left_out = []
    for row in rows:
        if row.attgenerated == "v" or (row.attgenerated and not sends_generated):
            left_out.append(f"the column {row.attname}, which PostgreSQL generates and does not send")
            continue
        if row.in_key:
            key.append(len(columns))
        length, scale = type_length(row.type_name, row.base_modifier)
        columns.append(
            Column(
                attnum=row.attnum,
                name=row.attname,
                type_oid=row.atttypid,
                modifier=row.atttypmod,
                type_name=row.type_name,
                length=length,
                scale=scale,
                not_null=row.attnotnull,
                missing=row.missing,
                version=row.version,
                comment=row.comment,
                unfit=rules.rule(first.relname, row.attname),
                has_default=row.has_default,
            )
        )
    places = {column.attnum: i for i, column in enumerate(columns)}
    secondary = []
    for name, attnums, key_columns, hindrance in indexes:
        indexed = [places.get(attnum) for attnum in attnums[:key_columns]]
        if hindrance or None in indexed:
            left_out.append(f"the index {name}, which {hindrance or 'has a column that is left out'}")
        elif indexed != key:
            secondary.append(Index(name, tuple(i for i in indexed if i is not None)))
    return Table(
        oid=first.table_oid,
        name=first.relname,
        columns=tuple(columns),
        key=tuple(key),
        comment=first.table_comment,
        indexes=tuple(secondary),
        storage=first.storage,
        last_attnum=first.relnatts,
        settled_attnum=first.relnatts,
        left_out=tuple(left_out),
        unfit=rules.general,
    )


def _refusal(table: Table, rows: Sequence[Any]) -> str | None:
    """Why the table can't be replicated; None if it can."""
    if rows[0].sees_less:
        return (
            f"row level security may hide rows of it from {rows[0].sees_less}: as a superuser, run ALTER ROLE"
            f" {rows[0].sees_less} BYPASSRLS"
        )
    key = {table.columns[i].attnum for i in table.key}
    for row in rows:
        if row.in_key and row.attnum not in key:
            return (
                f"its key has the column {row.attname}, which PostgreSQL generates and does not send:"
                " change the key"
            )
    if table.name.startswith("_replication"):
        return (
            "its name begins with _replication, which the replication uses for its own tables in MySQL: rename it"
        )
    seen: dict[str, str] = {}
    for name in (table.name, *(column.name for column in table.columns)):
        if name.endswith(" ") or any(ord(character) > 0xFFFF for character in name):
            return (
                f"MySQL does not allow the name {name!r}, with a blank at the end or a character beyond U+FFFF:"
                " rename it"
            )
    for column in table.columns:
        other = seen.setdefault(column.name.casefold(), column.name)
        if other != column.name:
            return f"MySQL does not distinguish its columns {other} and {column.name}: rename one of them"
    return None


def _refuse_names_that_mysql_confuses(tables: dict[str, Table], refused: dict[str, str]) -> None:
    """Refuse names that differ only in case: some servers take them for one, and a replica must fit on all."""
    seen: dict[str, str] = {}
    for name in sorted(tables):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            del tables[name]
            refused[name] = f"some MySQL servers do not distinguish it from {other}: rename one of them"
