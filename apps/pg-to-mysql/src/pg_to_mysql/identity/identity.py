"""Which PostgreSQL a replica is a copy of, and whether that is the one which is there now.

A server that was made anew, or put back to an earlier moment, counts its log from the same small numbers: a
position alone does not tell which history it belongs to. Beside it MySQL holds what does, see
:class:`~pg_to_mysql.mysql.state.Identity`; the last transaction that was applied is looked at by
:mod:`pg_to_mysql.identity.history`.
"""

from dataclasses import replace

import psycopg
from psycopg import sql

from pg_to_mysql.errors import Failure, Kind, PassingFailure, Setting
from pg_to_mysql.mysql.state import Identity, State
from pg_to_mysql.postgres import wal
from pg_to_mysql.postgres.connection import connect_as, parameters_of

START_OVER = "start over, which copies everything again from this one"
WORDS = {
    "system_identifier": "system identifier",
    "timeline": "timeline",
    "database_oid": "database's oid",
    "schema_name": "schema",
}
"""What is compared. A database that was renamed is the same one."""


def refuse_standby(connection: psycopg.Connection) -> None:
    """Fail if the server is a standby, which makes no publication and tells another log's end."""
    [(standby,)] = connection.execute("SELECT pg_is_in_recovery()").fetchall()
    if standby:
        raise PassingFailure(
            f"PostgreSQL at {connection.info.host}:{connection.info.port} is a standby, or is being recovered:"
            " let the source be the primary server",
            Kind.READ_ONLY,
            settings={Setting.SOURCE: None},
        )


def read_identity(connection: psycopg.Connection, schema: str) -> Identity:
    """What the source is now. IDENTIFY_SYSTEM alone tells the timeline at once after a promotion."""
    refuse_standby(connection)
    with connect_as(parameters_of(connection), replication="database", autocommit=True) as sender:
        answer = sender.pgconn.exec_(b"IDENTIFY_SYSTEM")
        if answer.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise Failure(f"PostgreSQL does not tell its identity: {answer.get_error_message()}")
        system, timeline = ((answer.get_value(0, column) or b"").decode() for column in (0, 1))
    [(oid, name)] = connection.execute(
        "SELECT oid, datname FROM pg_database WHERE datname = current_database()"
    ).fetchall()
    return Identity(system, int(timeline), int(oid), name, schema)


def difference(stored: Identity, found: Identity) -> str | None:
    """How the source that was found is not the copies' source, in a sentence; None if it is the same."""
    differing = [
        f"its {words} is {getattr(found, name)}, and not {getattr(stored, name)}"
        for name, words in WORDS.items()
        if getattr(found, name) != getattr(stored, name)
    ]
    if not differing:
        return None
    if stored == replace(found, schema_name=stored.schema_name):
        advice = f"give the schema {found.schema_name} a replica of its own with another slot"
    else:
        advice = "let source and schema be that one"
    return (
        f"PostgreSQL's database {found.database_name} is not the source of MySQL's copies, which are of the"
        f" schema {stored.schema_name} of {stored.database_name}: {'; '.join(differing)}; {advice}, or"
        f" {START_OVER}"
    )


def lag_behind_copies(connection: psycopg.Connection, state: State) -> str | None:
    """That PostgreSQL's log ends before what MySQL has, in a sentence; None if it does not."""
    reached = state.reached()
    end = wal.inserted_lsn(connection)
    if reached is None or reached <= end:
        return None
    return (
        f"PostgreSQL's log ends at {wal.format_lsn(end)}, and MySQL has what was in it up to"
        f" {wal.format_lsn(reached)}: PostgreSQL was put back to an earlier moment; let the source"
        f" be a server that has everything, or {START_OVER}"
    )


def strange_tables(connection: psycopg.Connection, state: State, schema: str) -> str | None:
    """That the source has none of the tables that were copied, of which nothing else is known; None if it has."""
    oids = [copied.table.oid for copied in state.copied().values() if copied.table and copied.snapshot_lsn]
    namespace = sql.Identifier(schema).as_string(connection)
    query = "SELECT count(*) FROM pg_class WHERE oid = ANY(%s) AND relnamespace = to_regnamespace(%s)"
    [(there,)] = connection.execute(query, [oids, namespace]).fetchall()
    if there or not oids:
        return None
    return (
        f"None of the tables that came to MySQL by the slot {state.slot} is a table of the schema {schema} of"
        f" PostgreSQL's database {connection.info.dbname}: let source and schema"
        f" be theirs, or {START_OVER}"
    )
