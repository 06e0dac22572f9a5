"""The settings of a session of PostgreSQL on which a result depends, whatever role, database and server have.

A session also has settings that change plans, speed and logs alone: these stay the server's. So does ``role``,
which only decides what may be done, and ``lc_monetary``, which is part of what a value of ``money`` is.
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
    # Not a part of the rows, without a word: what a policy would hide is refused.
    "row_security": "off",
    # Nothing between the messages of a copy.
    "client_min_messages": "error",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # A snapshot takes as long as it takes; the connection that exports it only waits, and so may a worker's.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
YOUNGER = {"transaction_timeout": (170_000, "0")}
"""Settings that not every version knows that we support: the first one that does, and the value."""
NETWORK = {
    # A peer that is gone without a word is noticed after a minute and a half.
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}


def options(more: dict[str, str]) -> str:
    """The settings, and more or others, as libpq's ``options``."""
    settings = SETTINGS | more
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def pin_younger(server: PGconn) -> None:
    """Give the session those settings that an older server would refuse at its start."""
    for name, (version, value) in YOUNGER.items():
        if server.server_version >= version:
            server.exec_(f"SET {name} = '{value}'".encode())  # which the replication's protocol has too


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
