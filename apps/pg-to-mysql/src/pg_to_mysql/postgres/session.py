"""The session settings of PostgreSQL that results depend on; they override those of role, database and server.

Settings that only change plans, speed and logs stay as they are. So does ``role``, which only decides what is
allowed, and ``lc_monetary``, which is part of the meaning of a ``money`` value.
"""

from psycopg.pq.abc import PGconn

SETTINGS = {
    # The text of a value.
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO,MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "xmlbinary": "base64",
    # What a text means.
    "search_path": "pg_catalog,public",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "xmloption": "content",
    # Never silently a part of the rows: PostgreSQL refuses a query from which a policy would hide rows.
    "row_security": "off",
    # No notices between the messages of a copy.
    "client_min_messages": "error",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # A snapshot may take any time. The connection that exports it only waits, and a worker's connection may wait
    # too.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
YOUNGER = {"transaction_timeout": (170_000, "0")}
"""Settings that only newer versions know: the first such version, and the value."""
NETWORK = {
    # A peer that has disappeared is noticed after a minute and a half.
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}


def options(more: dict[str, str]) -> str:
    """The settings, with these added or replaced, as libpq's ``options``."""
    settings = SETTINGS | more
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def pin_younger(server: PGconn) -> None:
    """Set the settings that an older server would refuse when the session starts."""
    for name, (version, value) in YOUNGER.items():
        if server.server_version >= version:
            server.exec_(f"SET {name} = '{value}'".encode())  # the replication protocol has this statement too


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
