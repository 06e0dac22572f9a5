"""The source's database: its tables, and the locks that keep its writers apart."""

from enum import IntEnum
from importlib import resources

import psycopg

from martline.command import Failure
from pg_to_mysql.command_line.environment import source_from_environment

OLDEST, YOUNGEST = "shop.consumed_events", ("shop.dead_letter_pieces", "shop.live_changes")
"""Tables that all versions have, and tables that recent versions have added."""


class Lock(IntEnum):
    """Keys of PostgreSQL's advisory locks."""

    INIT = 70_001
    GENERATE = 70_002


def connect() -> psycopg.Connection:
    """Connect to the source. A table named without its schema is in ``public``.

    Otherwise it could be taken from the bookkeeping's schema, if the user has the same name as that schema.
    """
    connection = source_from_environment().connect({"search_path": "public"})
    # After waiting for a lock, see what its holder has written, whatever the server's default is.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = False
    return connection


def create_tables(connection: psycopg.Connection) -> int:
    """Create the missing tables, and return how many tables the shop has."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.INIT])
        connection.execute(resources.files("martline.shop").joinpath("schema.sql").read_text())
    row = connection.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    ).fetchone()
    return int(row[0]) if row else 0


def require_tables(connection: psycopg.Connection) -> None:
    """Raise :class:`Failure` if tables are missing, or belong to an earlier version."""
    tables = (OLDEST, *YOUNGEST)
    query = f"SELECT {', '.join(['to_regclass(%s)'] * len(tables))}"
    [(oldest, *youngest)] = connection.execute(query.encode(), tables)
    if oldest is None:
        raise Failure(f"The database {connection.info.dbname} has no shop tables: run shop-init first")
    if None in youngest:
        raise Failure(
            f"The shop tables of {connection.info.dbname} belong to an earlier version: run shop-init again"
        )
