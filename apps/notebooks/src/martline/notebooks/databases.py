"""SQL queries. Every session is read-only, whatever rights its user has."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import psycopg
import pymysql

from martline.command import Failure
from martline.notebooks.frames import frame
from pg_to_mysql.command_line.environment import mysql_from_environment

READ_ONLY = "-c default_transaction_read_only=on -c timezone=UTC"


def source(query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
    """Run a query in PostgreSQL, the shop's own database.

    :param values: what stands for each ``%s`` in the query.
    :raises Failure: PostgreSQL can't be reached, or refuses the query.
    """
    try:
        with psycopg.connect(options=READ_ONLY) as connection:
            cursor = connection.execute(query, values or None)
            return frame([column.name for column in cursor.description or ()], cursor.fetchall())
    except psycopg.Error as error:
        raise Failure(f"PostgreSQL does not answer: {str(error).strip()}") from error


def replica(query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
    """Run a query in MySQL, which has the replica of the shop's tables and the marts.

    :param values: what stands for each ``%s`` in the query.
    :raises Failure: MySQL can't be reached, or refuses the query.
    """
    try:
        with mysql_from_environment().connect() as connection, connection.cursor() as cursor:
            cursor.execute("START TRANSACTION READ ONLY")
            cursor.execute(query, tuple(values) or None)
            return frame([column[0] for column in cursor.description or ()], cursor.fetchall())
    except pymysql.MySQLError as error:
        raise Failure(f"MySQL does not answer: {error.args[-1]}") from error
