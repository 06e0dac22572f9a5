"""The PostgreSQL that the commands work on. libpq itself reads PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE."""

from collections.abc import Mapping
from typing import Any

import psycopg

from command.run import Failure


def connect(session: Mapping[str, str] | None = None, **options: Any) -> psycopg.Connection:
    """Connect in UTC; ``session`` are the session's further settings, ``options`` go to psycopg."""
    settings = {"timezone": "UTC", **(session or {})}
    command_line = " ".join(f"-c {name}={value}" for name, value in settings.items())
    try:
        return psycopg.connect(connect_timeout=10, options=command_line, **options)
    except psycopg.OperationalError as error:
        cause = str(error).strip().splitlines()[-1]
        raise Failure(f"PostgreSQL can't be reached: {cause}; check the PG settings and the server") from error
