"""The PostgreSQL that the commands work on. libpq itself reads PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE."""

import os
from collections.abc import Mapping
from typing import Any

import psycopg

from pg_to_mysql.errors import Failure
from pg_to_mysql.postgres import session as postgres_session

ENCRYPTED = ("require", "verify-ca", "verify-full")
"""The values of PGSSLMODE with which there is no connection without TLS."""


def connect(session: Mapping[str, str] | None = None, **options: Any) -> psycopg.Connection:
    """Connect as the environment says, with the settings of :mod:`pg_to_mysql.postgres.session`.

    ``session`` are further settings or other ones, ``options`` go to psycopg.
    """
    session_options = postgres_session.options(dict(session or {}))
    return connect_as(
        {**postgres_session.NETWORK, **_login(), "connect_timeout": 10, "options": session_options}, **options
    )


def connect_as(parameters: Mapping[str, Any], **options: Any) -> psycopg.Connection:
    """Connect with the parameters of a connection that :func:`connect` has made."""
    try:
        connection = psycopg.connect(**{**parameters, **options})
    except psycopg.OperationalError as error:
        cause = "; ".join(line.strip() for line in str(error).splitlines() if "Is the server running" not in line)
        if "cleartext password" in cause:
            raise Failure(
                "PostgreSQL asks for the password in clear, on a connection that need not be encrypted:"
                " set PGSSLMODE=require or stricter"
            ) from error
        raise Failure(f"PostgreSQL can't be reached: {cause}; check the PG settings and the server") from error
    postgres_session.pin_younger(connection.pgconn)
    return connection


def _login() -> dict[str, Any]:
    """Parameters with which libpq gives no password in clear to a server that may be any.

    It goes in clear for LDAP, PAM, RADIUS and the tokens of clouds, which is right over TLS.
    """
    mode = os.environ.get("PGSSLMODE", "")
    if mode in ENCRYPTED:
        return {"sslmode": mode}  # here, it counts more than what a file of services says
    chosen = {method.strip() for method in os.environ.get("PGREQUIREAUTH", "").split(",")} - {"", "password"}
    allows = any(not method.startswith("!") for method in chosen)
    return {"require_auth": ",".join(sorted(chosen if allows else chosen | {"!password"}))}
