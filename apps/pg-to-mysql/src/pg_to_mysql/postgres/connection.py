"""The source, a PostgreSQL database, and connections to it."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from pg_to_mysql.errors import Failure, Setting, WrongSettings
from pg_to_mysql.postgres import session

ENCRYPTED = ("require", "verify-ca", "verify-full")
"""The values of ``sslmode`` that refuse a connection without TLS."""

Parameters = Mapping[str, Any]
"""libpq's connection parameters, by keyword."""


class Source:
    """The address of a PostgreSQL database and the user, as libpq's connection string or keywords.

    libpq takes what these leave open from its own variables (``PGHOST``, ``PGPASSFILE``, …) and files, as in
    every program that uses it.
    """

    def __init__(self, conninfo: str = "", **keywords: str | int) -> None:
        try:
            self._parameters: Parameters = conninfo_to_dict(conninfo, **keywords)
        except psycopg.ProgrammingError as error:
            raise WrongSettings(f"PostgreSQL's connection string can't be read: {error}") from error

    def __repr__(self) -> str:
        shown = {name: value for name, value in self._parameters.items() if "password" not in name}
        return f"Source({make_conninfo('', **shown)!r})"

    def connect(self, settings: Mapping[str, str] | None = None, **options: Any) -> psycopg.Connection:
        """Connect with the settings of :mod:`pg_to_mysql.postgres.session`.

        ``settings`` add to the session's settings or replace them; ``options`` go to psycopg.
        """
        ours = session.options(dict(settings or {}))
        parameters = {
            **session.NETWORK,
            "connect_timeout": 10,
            **self._parameters,
            **_login(self._parameters),
            "options": " ".join((self._parameters.get("options", ""), ours)).strip(),
        }
        return connect_as(parameters, **options)


def parameters_of(connection: psycopg.Connection) -> Parameters:
    """Everything that is needed to connect again like this connection, from any machine."""
    parameters = {**connection.info.get_parameters(), "password": connection.info.password}
    parameters.pop("replication", None)
    return parameters


def connect_as(parameters: Parameters, **options: Any) -> psycopg.Connection:
    """Connect with the parameters of a connection made by :meth:`Source.connect`."""
    try:
        connection = psycopg.connect(**{**parameters, **options})
    except psycopg.OperationalError as error:
        cause = "; ".join(line.strip() for line in str(error).splitlines() if "Is the server running" not in line)
        if "cleartext password" in cause:
            raise Failure(
                "PostgreSQL asks for the password in clear text, on a connection that may be unencrypted:"
                " set sslmode=require or stricter",
                settings={Setting.SOURCE_SSLMODE: "require"},
            ) from error
        raise Failure(
            f"PostgreSQL can't be reached: {cause}; check the source's settings and the server",
            settings={Setting.SOURCE: None},
        ) from error
    session.pin_younger(connection.pgconn)
    return connection


def _login(parameters: Parameters) -> Parameters:
    """Parameters with which libpq sends no password in clear text to a possibly false server.

    LDAP, PAM, RADIUS and cloud tokens need the password in clear text, which is safe only over TLS.
    """
    left_open = {option.keyword.decode(): (option.val or b"").decode() for option in Conninfo.get_defaults()}
    mode = parameters.get("sslmode") or left_open.get("sslmode", "")
    if mode in ENCRYPTED:
        return {"sslmode": mode}  # set here, it overrides a service file
    methods = parameters.get("require_auth") or left_open.get("require_auth", "")
    chosen = {method.strip() for method in methods.split(",")} - {"", "password"}
    allows = any(not method.startswith("!") for method in chosen)
    return {"require_auth": ",".join(sorted(chosen if allows else chosen | {"!password"}))}
