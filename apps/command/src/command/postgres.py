"""The PostgreSQL that the commands work on. libpq itself reads PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE."""

from typing import Any

import psycopg

from command.run import Failure


def connect(**options: Any) -> psycopg.Connection:
    """Connect in UTC; ``options`` go to :func:`psycopg.connect`."""
    try:
        return psycopg.connect(connect_timeout=10, options="-c timezone=UTC", **options)
    except psycopg.OperationalError as error:
        cause = str(error).strip().splitlines()[-1]
        raise Failure(f"PostgreSQL can't be reached: {cause}; check the PG settings and the server") from error
