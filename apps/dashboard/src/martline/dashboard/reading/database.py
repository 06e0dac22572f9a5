"""Queries to MySQL."""

from typing import Any

from pymysql.connections import Connection


def ask(connection: "Connection[Any]", query: str) -> list[tuple[Any, ...]]:
    """The rows that the query returns."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
