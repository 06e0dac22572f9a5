"""What MySQL holds."""

from typing import Any

from pymysql.connections import Connection


def present_tables(connection: "Connection[Any]") -> set[str]:
    """The names of the tables in the connection's database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        return {name for (name,) in cursor}
