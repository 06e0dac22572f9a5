"""The collation under which MySQL distinguishes the same texts as PostgreSQL."""

from typing import Any

from pymysql.connections import Connection

from pg_to_mysql.mysql.version import is_mariadb


def exact_collation(version: str) -> str:
    """The name of this collation on a server of this version.

    It does not ignore trailing blanks, so ``a`` and ``a `` are two keys.
    """
    return "utf8mb4_nopad_bin" if is_mariadb(version) else "utf8mb4_0900_bin"


def collation_on(connection: "Connection[Any]") -> str:
    """The name of this collation on the connection's server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        [(version,)] = cursor.fetchall()
    return exact_collation(version)
