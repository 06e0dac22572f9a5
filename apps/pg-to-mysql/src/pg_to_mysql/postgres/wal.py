"""Positions in PostgreSQL's log (LSNs), as numbers."""

import psycopg


def current_lsn(connection: psycopg.Connection) -> int:
    """How far PostgreSQL's log is safely written."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def inserted_lsn(connection: psycopg.Connection) -> int:
    """How far PostgreSQL's log is written, also what is not safe yet."""
    [(lsn,)] = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchall()
    return int(lsn)


def format_lsn(lsn: int) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
