"""Which PostgreSQL database a replica is a copy of, and whether the source is still that database.

A position alone does not say which history it belongs to, because a server that was created anew or restored to
an earlier moment counts its log from the same small numbers. So MySQL also stores an
:class:`~pg_to_mysql.mysql.state.Identity`; :mod:`pg_to_mysql.identity.history` checks the last applied
transaction.
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
"""The fields that are compared, and their names in messages. A renamed database is still the same one."""


def refuse_standby(connection: psycopg.Connection) -> None:
    """Fail if the server is a standby, which can't create a publication and reports the end of another log."""
    [(standby,)] = connection.execute("SELECT pg_is_in_recovery()").fetchall()
    if standby:
        raise PassingFailure(
            f"PostgreSQL at {connection.info.host}:{connection.info.port} is a standby, or in recovery:"
            " use the primary server as the source",
            Kind.READ_ONLY,
            settings={Setting.SOURCE: None},
        )


def read_identity(connection: psycopg.Connection, schema: str) -> Identity:
    """The identity of the source now. Only IDENTIFY_SYSTEM shows a new timeline immediately after a promotion."""
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
    """A sentence that says how the source differs from the copies' source; None if it is the same."""
    differing = [
        f"its {words} is {getattr(found, name)} instead of {getattr(stored, name)}"
        for name, words in WORDS.items()
        if getattr(found, name) != getattr(stored, name)
    ]
    if not differing:
        return None
    if stored == replace(found, schema_name=stored.schema_name):
        advice = f"give the schema {found.schema_name} a replica of its own with another slot"
    else:
        advice = "use that source and schema"
    return (
        f"PostgreSQL's database {found.database_name} is not the source of MySQL's copies, which came from the"
        f" schema {stored.schema_name} of {stored.database_name}: {'; '.join(differing)}; {advice}, or"
        f" {START_OVER}"
    )


def lag_behind_copies(connection: psycopg.Connection, state: State) -> str | None:
    """A sentence that says that PostgreSQL's log ends before MySQL's position; None if it does not."""
    reached = state.reached()
    end = wal.inserted_lsn(connection)
    if reached is None or reached <= end:
        return None
    return (
        f"PostgreSQL's log ends at {wal.format_lsn(end)}, but MySQL already has everything up to"
        f" {wal.format_lsn(reached)}: PostgreSQL was restored to an earlier moment; use a source"
        f" that has everything, or {START_OVER}"
    )


def strange_tables(connection: psycopg.Connection, state: State, schema: str) -> str | None:
    """A sentence that says that the source has none of the copied tables; None if it has one. For old states."""
    oids = [copied.table.oid for copied in state.copied().values() if copied.table and copied.snapshot_lsn]
    namespace = sql.Identifier(schema).as_string(connection)
    query = "SELECT count(*) FROM pg_class WHERE oid = ANY(%s) AND relnamespace = to_regnamespace(%s)"
    [(there,)] = connection.execute(query, [oids, namespace]).fetchall()
    if there or not oids:
        return None
    return (
        f"The schema {schema} of PostgreSQL's database {connection.info.dbname} has none of the tables that the"
        f" slot {state.slot} copied to MySQL: use the source and schema that they came from, or"
        f" {START_OVER}"
    )
