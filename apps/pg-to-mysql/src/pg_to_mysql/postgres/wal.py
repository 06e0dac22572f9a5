"""Positions in PostgreSQL's log (LSNs), as numbers."""

import psycopg


def current_lsn(connection: psycopg.Connection) -> int:
    """The position up to which PostgreSQL's log is flushed to disk."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def inserted_lsn(connection: psycopg.Connection) -> int:
    """The position up to which PostgreSQL's log is written, including what is not flushed yet."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def format_lsn(lsn: int) -> str:
    """The LSN in PostgreSQL's notation."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
