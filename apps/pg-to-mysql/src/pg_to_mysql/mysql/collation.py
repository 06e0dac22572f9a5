"""The collation under which MySQL distinguishes the same texts as PostgreSQL."""

from typing import Any

from pymysql.connections import Connection


def exact_collation(connection: "Connection[Any]") -> str:
    """The name of this collation on the connection's server.

    It does not ignore trailing blanks, so ``a`` and ``a `` are two keys.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        [(version,)] = cursor.fetchall()
    return "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"
