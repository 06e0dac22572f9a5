"""Makes sure that PostgreSQL's publication publishes all changes of each table; completes it, or refuses it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from pg_to_mysql.errors import Failure
from pg_to_mysql.postgres import members
from pg_to_mysql.postgres.catalogue import SENDS_GENERATED
from pg_to_mysql.tables.table import Table

TELLS_COLUMNS = 150_000
"""The first version of PostgreSQL that can publish only some columns and rows of a table, and whole schemas."""
OPERATIONS = {"pubinsert": "INSERT", "pubupdate": "UPDATE", "pubdelete": "DELETE", "pubtruncate": "TRUNCATE"}
ADVICE = "as its owner run the SQL of `replication-roles postgresql`"
READINGS = 20
"""How often to read PostgreSQL's view of published tables that others drop meanwhile."""


@dataclass(frozen=True)
class Publication:
    """The publication, and what it publishes of each table."""

    oid: int
    mark: str
    """Changes whenever the publication itself is altered."""
    lacks: tuple[str, ...]
    """What it publishes of no table, in a few words each."""
    options: tuple[str, ...]
    """The options that complete the publication."""
    tables: dict[str, "Published"] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A table in a publication."""

    mark: str
    """Changes whenever the table is removed or added, or its columns or rows are chosen."""
    columns: frozenset[str] | None
    """None if PostgreSQL publishes only whole tables."""
    filtered: bool

    def lacks(self, table: Table) -> str | None:
        """What it leaves out of the table, in a few words; None if it leaves out nothing."""
        names = [column.name for column in table.columns]
        missing = [name for name in names if self.columns is not None and name not in self.columns]
        if missing:
            return f"leaves out its {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}"
        return "leaves out the rows that its WHERE does not select" if self.filtered else None


def read_publication(connection: psycopg.Connection, name: str, schema: str) -> Publication | None:
    """The current publication; None if there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT oid, xmin::text, pubviaroot, to_jsonb(p)->>'pubgencols' AS generated,"
            f" {', '.join(OPERATIONS)} FROM pg_publication p WHERE pubname = %s",
            [name],
        ).fetchone()
    if row is None:
        return None
    lacks = [operation for column, operation in OPERATIONS.items() if not row[column]]
    options = ["publish = 'insert, update, delete, truncate'"] if lacks else []
    if not row["pubviaroot"]:
        lacks.append("partitions as their table (publish_via_partition_root)")
        options.append("publish_via_partition_root = true")
    if connection.info.server_version >= SENDS_GENERATED and row["generated"] != "s":
        lacks.append("stored generated columns (publish_generated_columns)")
        options.append("publish_generated_columns = stored")
    tables = _read_tables(connection, name, schema)
    return Publication(row["oid"], f"{row['oid']}/{row['xmin']}", tuple(lacks), tuple(options), tables)


def _read_tables(connection: psycopg.Connection, name: str, schema: str) -> dict[str, Published]:
    tells_columns = connection.info.server_version >= TELLS_COLUMNS
    query = f"""
        SELECT t.tablename, {"t.attnames::text[], t.rowfilter IS NOT NULL" if tells_columns else "NULL, false"},
            (SELECT string_agg(r.oid || '/' || r.xmin, ' ' ORDER BY r.oid) FROM pg_publication_rel r
                WHERE r.prpubid = p.oid AND r.prrelid = class.oid),
            {
        '''(SELECT string_agg(n.oid || '/' || n.xmin, ' ' ORDER BY n.oid) FROM pg_publication_namespace n
                WHERE n.pnpubid = p.oid AND n.pnnspid = class.relnamespace)'''
        if tells_columns
        else "NULL"
    }
        FROM pg_publication_tables t
        JOIN pg_publication p ON p.pubname = t.pubname
        JOIN pg_class class ON class.relname = t.tablename
            AND class.relnamespace = to_regnamespace(quote_ident(t.schemaname))
        WHERE t.pubname = %s AND t.schemaname = %s
    """
    return {
        table: Published(
            f"{rel or ''} {namespace or ''}".strip(), None if columns is None else frozenset(columns), filtered
        )
        for table, columns, filtered, rel, namespace in _read_view(connection, query, name, schema)
    }


def _read_view(connection: psycopg.Connection, query: str, name: str, schema: str) -> list[tuple[Any, ...]]:
    """The rows of a query of ``pg_publication_tables``.

    The view lists all published tables, and then opens each of them. So it fails with PostgreSQL's internal error
    ("could not open relation with OID") if one of them, in any schema, is dropped at that moment.
    """
    for _ in range(READINGS - 1):
        with suppress(psycopg.errors.InternalError_):
            return connection.execute(query, [name, schema]).fetchall()
    return connection.execute(query, [name, schema]).fetchall()


@dataclass(frozen=True)
class Mended:
    """The result of checking a publication, by table name."""

    lost: dict[str, str] = field(default_factory=dict)
    """Tables whose changes may be lost, with the reason."""
    refused: dict[str, str] = field(default_factory=dict)
    """Tables that are not published completely, when this user may not change that, with the reason."""


def mend(connection: psycopg.Connection, name: str, schema: str, tables: Mapping[str, Table]) -> Mended:
    """Make the publication publish everything of these tables, as far as this user may alter it.

    :func:`publish` adds the tables that are not in it at all.
    """
    found = read_publication(connection, name, schema)
    if found is None:
        return Mended()
    lost: dict[str, str] = {}
    if found.lacks:
        _alter(connection, name, found)
        reason = f"the publication {name} did not publish {', '.join(found.lacks)}"
        lost = dict.fromkeys((table for table in tables if _concerns(found, tables[table])), reason)
        found = read_publication(connection, name, schema) or found
    refused: dict[str, str] = {}
    for table in tables.values():
        published = found.tables.get(table.name)
        if published is None or not (lacking := published.lacks(table)):
            continue
        try:
            _put_in_as_a_whole(connection, name, schema, table)
            lost[table.name] = f"the publication {name} {lacking}"
        except psycopg.errors.InsufficientPrivilege:
            refused[table.name] = f"PostgreSQL's publication {name} {lacking}: {ADVICE}"
        except psycopg.errors.UndefinedObject:  # it comes with its schema, or with all tables
            refused[table.name] = f"PostgreSQL's publication {name} {lacking}: let it publish the whole table"
    return Mended(lost, refused)


def _concerns(found: Publication, table: Table) -> bool:
    """Whether changes of the table may be missing because of what the publication publishes of no table."""
    if any(operation in found.lacks for operation in OPERATIONS.values()):
        return True
    published = found.tables.get(table.name)
    return published is None or published.lacks(table) is not None


def _alter(connection: psycopg.Connection, name: str, found: Publication) -> None:
    options = sql.SQL(", ").join(map(sql.SQL, found.options))
    try:
        members.alter(
            connection, [sql.SQL("ALTER PUBLICATION {} SET ({})").format(sql.Identifier(name), options)]
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise Failure(
            f"PostgreSQL's publication {name} does not publish {', '.join(found.lacks)}, and"
            f" {connection.info.user} may not alter it: {ADVICE}"
        ) from error


def _put_in_as_a_whole(connection: psycopg.Connection, name: str, schema: str, table: Table) -> None:
    names = {"publication": sql.Identifier(name), "table": sql.Identifier(schema, table.name)}
    actions = [f"ALTER PUBLICATION {{publication}} {action} TABLE ONLY {{table}}" for action in ("DROP", "ADD")]
    members.alter(connection, [sql.SQL(action).format(**names) for action in actions])


def publish(
    connection: psycopg.Connection,
    publication: str,
    schema: str,
    tables: Sequence[Table],
    attempts: int = members.ATTEMPTS,
) -> None:
    """Create the publication, or add the tables that are not in it yet.

    It tries ``attempts`` times to get the locks on the tables.
    """
    try:
        _publish(connection, publication, schema, tables, attempts)
    except psycopg.errors.InsufficientPrivilege as error:
        raise Failure(
            f"PostgreSQL's user {connection.info.user} may not change the publication {publication}"
            f" ({str(error).splitlines()[0]}): run the SQL of `replication-roles postgresql` as the tables' owner"
        ) from error


def _publish(
    connection: psycopg.Connection, publication: str, schema: str, tables: Sequence[Table], attempts: int
) -> None:
    name = sql.Identifier(publication)
    if not connection.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", [publication]).fetchone():
        options = "publish_via_partition_root = true"
        if connection.info.server_version >= SENDS_GENERATED:
            options += ", publish_generated_columns = stored"
        connection.execute(sql.SQL("CREATE PUBLICATION {} WITH ({})").format(name, sql.SQL(options)))
    query = "SELECT tablename FROM pg_publication_tables WHERE pubname = %s AND schemaname = %s"
    published = {table for (table,) in _read_view(connection, query, publication, schema)}
    missing = [table.name for table in tables if table.name not in published]
    if missing:
        members.add(connection, publication, schema, missing, attempts)
