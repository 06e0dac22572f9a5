"""PostgreSQL's catalogue: the tables of a schema, as far as their copies in MySQL depend on it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from command import WrongSettings
from replication.keys import HINDRANCE, IS_TABLE, KEY_INDEX
from replication.partitions import Partition, read_partitions
from replication.types import LONGEST_ROW, MySQLType, Unfit, mysql_type


@dataclass(frozen=True)
class Column:
    """A column, with its PostgreSQL type as the catalogue names it."""

    attnum: int
    """Never given to another column of the table, and ascending in the order of the columns."""
    name: str
    type_oid: int
    modifier: int
    """``atttypmod``, as messages have it."""
    type_name: str
    """``pg_type``'s name of a built-in type, a domain's being its base type's; else ``enum`` or ``other``."""
    length: int | None = None
    scale: int | None = None
    not_null: bool = False
    missing: str | None = None
    """The value in rows that are older than the column."""
    version: str = ""
    """Another one whenever the column's definition has been altered."""
    comment: str | None = None
    unfit: Unfit = Unfit.STOP
    former_names: tuple[str, ...] = ()
    has_default: bool = False
    """Whether a row that does not say otherwise may have something else than NULL there."""

    @property
    def names(self) -> set[str]:
        """The name, and those that the column had since the table was copied."""
        return {self.name, *self.former_names}


@dataclass(frozen=True)
class Index:
    """A secondary index over columns, by their indexes in the table."""

    name: str
    columns: tuple[int, ...]


STORED_TABLES = 10_000
"""Whose texts are read once only."""


@dataclass(frozen=True)
class Table:
    """A table, with the columns that are replicated and the indexes of those that make its key."""

    oid: int
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    comment: str | None = None
    indexes: tuple[Index, ...] = ()
    storage: str = ""
    """Another one whenever PostgreSQL has written all rows anew."""
    last_attnum: int = 0
    """The highest that a column has or had."""
    settled_attnum: int = 0
    """The same when the table was last known to be as the stream of changes has it."""
    settled_lsn: int = 0
    """Once the changes before it are applied, none can come that is older than the table as it is here."""
    dropped: tuple[Column, ...] = ()
    """The columns that were dropped since then."""
    left_out: tuple[str, ...] = ()
    """What MySQL can't have of the table, in a sentence each."""
    unfit: Unfit = Unfit.STOP
    """The rule of columns that are added."""
    partitions: tuple[Partition, ...] | None = None
    """None if it is not partitioned, or the first version of this program stored it."""

    @cached_property
    def types(self) -> tuple[MySQLType, ...]:
        """Each column's type in MySQL."""
        texts = sum(self.columns[i].type_name not in ("int2", "int4", "int8") for i in self.key)
        types: dict[int, MySQLType] = {}
        room = LONGEST_ROW
        others = [i for i in range(len(self.columns)) if i not in self.key]
        for i in [*self.key, *others]:
            column = self.columns[i]
            types[i] = mysql_type(
                column.type_name,
                column.length,
                column.scale,
                text_keys=texts if i in self.key else 0,
                row_bytes=room,
                unfit=column.unfit,
            )
            room -= types[i].row_bytes
        return tuple(types[i] for i in range(len(self.columns)))

    def to_json(self) -> str:
        """The table as a text to be stored."""
        return json.dumps(self, default=_fields, ensure_ascii=False)

    @staticmethod
    @lru_cache(STORED_TABLES)
    def from_json(text: str) -> "Table | None":
        """The table of a stored text; None if another version of this program wrote it."""
        try:
            return Table._from_stored(json.loads(text))
        except (ValueError, KeyError, TypeError):
            return None

    @classmethod
    def _from_stored(cls, stored: dict[str, Any]) -> "Table":
        return cls(
            **stored
            | {
                "columns": tuple(map(_stored_column, stored["columns"])),
                "dropped": tuple(map(_stored_column, stored["dropped"])),
                "indexes": tuple(Index(index["name"], tuple(index["columns"])) for index in stored["indexes"]),
                "key": tuple(stored["key"]),
                "left_out": tuple(stored["left_out"]),
                "unfit": _stored_rule(stored),
                "partitions": _stored_partitions(stored.get("partitions")),
            }
        )


def _fields(stored: Any) -> dict[str, Any]:
    """What of a dataclass is stored: as :func:`dataclasses.asdict`, which takes ten times as long."""
    return {member.name: getattr(stored, member.name) for member in fields(stored)}


def _stored_column(stored: dict[str, Any]) -> Column:
    changed = {"unfit": Unfit(stored["unfit"]), "former_names": tuple(stored["former_names"])}
    return Column(**stored | changed)


def _stored_partitions(stored: Sequence[dict[str, Any]] | None) -> tuple[Partition, ...] | None:
    return None if stored is None else tuple(Partition(**partition) for partition in stored)


def _stored_rule(stored: dict[str, Any]) -> Unfit:
    """The table's rule; where none is stored, the one that all of its columns have."""
    rules = {column["unfit"] for column in stored["columns"]}
    return Unfit(stored.get("unfit") or (rules.pop() if len(rules) == 1 else Unfit.STOP))


@dataclass(frozen=True)
class UnfitRules:
    """What the user chose for values that MySQL can't hold: in general, and for single columns."""

    general: Unfit = Unfit.STOP
    columns: Mapping[tuple[str, str], Unfit] = field(default_factory=dict)
    """By the names of table and column."""

    @classmethod
    def parse(cls, rules: Iterable[str]) -> "UnfitRules":
        """From ``stop``, ``null``, ``text`` or ``TABLE.COLUMN=RULE``, as the user writes them."""
        general = Unfit.STOP
        columns = {}
        for rule in rules:
            where, _, name = rule.rpartition("=")
            table, _, column = where.partition(".")
            if name not in list(Unfit) or (where and not (table and column)):
                raise WrongSettings(
                    f"--unfit is {rule!r}: stop, null, text and TABLE.COLUMN= one of these are allowed"
                )
            if where:
                columns[table, column] = Unfit(name)
            else:
                general = Unfit(name)
        return cls(general, columns)

    def rule(self, table: str, column: str) -> Unfit:
        """The rule for a column."""
        return self.columns.get((table, column), self.general)

    def kept(self, stored: Table, live: Table) -> Table:
        """The table as it is now, with the rules that it had before; a younger column may have one of its own."""
        before = {column.attnum: column.unfit for column in stored.columns}
        columns = tuple(
            replace(
                column,
                unfit=before.get(column.attnum) or self.columns.get((live.name, column.name)) or stored.unfit,
            )
            for column in live.columns
        )
        return replace(live, columns=columns, unfit=stored.unfit)


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
"""PostgreSQL's first version that sends changes of stored generated columns."""


def read_tables(
    connection: psycopg.Connection, schema: str, rules: UnfitRules | None = None
) -> tuple[dict[str, Table], dict[str, str]]:
    """The schema's tables, and those that can't be replicated with the reason, both by name."""
    rules = rules or UnfitRules()
    parameters = [sql.Identifier(schema).as_string(connection)]
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        try:
            rows: list[Any] = cursor.execute(COLUMNS, parameters).fetchall()
        except psycopg.errors.InvalidSchemaName as error:
            raise WrongSettings(
                f"PostgreSQL's database {connection.info.dbname} has no schema {schema}: --schema names another"
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
        columns.append(
            Column(
                row.attnum,
                row.attname,
                row.atttypid,
                row.atttypmod,
                row.type_name,
                *type_length(row.type_name, row.base_modifier),
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
        first.table_oid,
        first.relname,
        tuple(columns),
        tuple(key),
        first.table_comment,
        tuple(secondary),
        first.storage,
        first.relnatts,
        first.relnatts,
        left_out=tuple(left_out),
        unfit=rules.general,
    )


def _refusal(table: Table, rows: Sequence[Any]) -> str | None:
    """Why the table can't be replicated; None if it can."""
    if rows[0].sees_less:
        return (
            f"row level security may hide rows of it from {rows[0].sees_less}: a superuser can say ALTER ROLE"
            f" {rows[0].sees_less} BYPASSRLS"
        )
    key = {table.columns[i].attnum for i in table.key}
    for row in rows:
        if row.in_key and row.attnum not in key:
            return (
                f"its key has the column {row.attname}, which PostgreSQL generates and does not send: change it"
            )
    if table.name.startswith("_replication"):
        return "its name is one that the replication itself uses in MySQL: rename it"
    seen: dict[str, str] = {}
    for name in (table.name, *(column.name for column in table.columns)):
        if name.endswith(" ") or any(ord(character) > 0xFFFF for character in name):
            return f"MySQL allows no name like {name!r}, with a blank at the end or a rare character: rename it"
    for column in table.columns:
        other = seen.setdefault(column.name.casefold(), column.name)
        if other != column.name:
            return f"MySQL takes its columns {other} and {column.name} for one: rename one of them"
    return None


def _refuse_names_that_mysql_confuses(tables: dict[str, Table], refused: dict[str, str]) -> None:
    """Some servers don't tell upper from lower case in the names of tables; what is here must move there."""
    seen: dict[str, str] = {}
    for name in sorted(tables):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            del tables[name]
            refused[name] = f"MySQL takes it and {other} for one table on some servers: rename one of them"


def fill(template: str, column: sql.Composable) -> sql.Composed:
    """``template`` with the column in each of its places."""
    first, *others = template.split("{}")
    return sql.Composed([sql.SQL(first), *(part for text in others for part in (column, sql.SQL(text)))])


def type_length(type_name: str, modifier: int) -> tuple[int | None, int | None]:
    """Length, or precision and scale, from ``atttypmod``; see ``numerictypmodin`` of PostgreSQL's numeric.c."""
    if type_name in ("bit", "varbit"):
        return (modifier, None) if modifier >= 0 else (None, None)
    if modifier < 4:
        return None, None
    if type_name == "numeric":
        scale = (modifier - 4) & 0x7FF
        return (modifier - 4) >> 16 & 0xFFFF, scale - 0x800 if scale & 0x400 else scale
    return (modifier - 4, None) if type_name in ("varchar", "bpchar") else (None, None)
