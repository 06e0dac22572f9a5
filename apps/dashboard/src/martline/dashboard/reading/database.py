"""Questions to MySQL."""

from typing import Any

from pymysql.connections import Connection


def ask(connection: "Connection[Any]", query: str) -> list[tuple[Any, ...]]:
    """The rows of the answer."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def present_tables(connection: "Connection[Any]") -> set[str]:
    """The tables of the database that the user may read."""
    return {
        name
        for (name,) in ask(
            connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        )
    }
