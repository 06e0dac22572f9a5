"""The tables in our publication: the replicated ones, and none whose updates PostgreSQL would then refuse."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence

import psycopg
from psycopg import sql

log = logging.getLogger(__name__)

LOCK_SECONDS = 1
"""The longest time that others wait behind our request for a lock."""
ATTEMPTS = 60

MEMBERS = """
SELECT class.oid, nspname, relname, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = class.oid)
FROM pg_publication_rel
JOIN pg_publication publication ON publication.oid = prpubid
JOIN pg_class class ON class.oid = prrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pubname = %s
"""


def add(
    connection: psycopg.Connection,
    publication: str,
    schema: str,
    tables: Sequence[str],
    attempts: int = ATTEMPTS,
) -> None:
    """Add tables to the publication, without the tables that inherit from them, which are separate tables."""
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(sql.Identifier(schema, table)) for table in tables)
    statement = sql.SQL("ALTER PUBLICATION {} ADD TABLE {}").format(sql.Identifier(publication), names)
    alter(connection, [statement], attempts)


def withdraw(
    connection: psycopg.Connection,
    publication: str,
    schema: str,
    known: Collection[int],
    refused: Mapping[str, str],
    left_out: Collection[str] = (),
) -> None:
    """Remove tables from the publication that are refused or left out, and unknown children."""
    for oid, namespace, name, inherits in connection.execute(MEMBERS, [publication]).fetchall():
        reason = "it is left out" if name in left_out else refused.get(name)
        if namespace != schema or reason is None:
            if not inherits or oid in known:
                continue
            reason = "it belongs to another table and is not replicated itself"
        statement = sql.SQL("ALTER PUBLICATION {} DROP TABLE ONLY {}").format(
            sql.Identifier(publication), sql.Identifier(namespace, name)
        )
        try:
            alter(connection, [statement])
            log.info("removed %s from the publication %s: %s", name, publication, reason)
        except psycopg.errors.InsufficientPrivilege:
            log.warning(
                "%s is in the publication %s, so PostgreSQL may refuse its updates (%s): run the SQL of"
                " `replication-roles postgresql` as the tables' owner",
                name,
                publication,
                reason,
            )
        except psycopg.errors.UndefinedObject:
            pass  # it is published with its schema, or with all tables


def alter(connection: psycopg.Connection, statements: Sequence[sql.Composed], attempts: int = ATTEMPTS) -> None:
    """Alter the publication, without making others who want a lock on the tables wait behind us."""
    for attempt in range(attempts):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                for statement in statements:
                    connection.execute(statement)
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == attempts - 1:
                raise
            if attempt == 0:
                log.info("waiting for a lock on a table that is to be published")
            time.sleep(LOCK_SECONDS)
