"""Connections of plain clients to the tests' databases, from the settings that the commands read."""

from collections.abc import Mapping
from typing import Any

import mysql.connector
import psycopg
import psycopg2
import pymysql

from pg_to_mysql import Source


def to_postgres(settings: Mapping[str, str], **options: Any) -> psycopg.Connection:
    """A connection to PostgreSQL that commits each statement."""
    return psycopg.connect(**_of_postgres(settings), autocommit=True, **options)


def to_mysql(settings: Mapping[str, str]) -> "pymysql.Connection[Any]":
    """A connection to MySQL that commits each statement."""
    return pymysql.connect(**_of_mysql(settings), autocommit=True)


def to_postgres_by_another_driver(settings: Mapping[str, str]) -> Any:
    """The same with a driver that the commands do not use, so that it can't hide a fault of theirs."""
    connection = psycopg2.connect(**_of_postgres(settings))
    connection.autocommit = True
    return connection


def to_mysql_by_another_driver(settings: Mapping[str, str]) -> Any:
    """The same with a driver that the commands do not use, so that it can't hide a fault of theirs."""
    return mysql.connector.connect(
        **_of_mysql(settings), charset="utf8mb4", collation="utf8mb4_bin", autocommit=True
    )


def to_source(settings: Mapping[str, str]) -> Source:
    """PostgreSQL as the replicator's source."""
    return Source(**_of_postgres(settings))


def _of_postgres(settings: Mapping[str, str]) -> dict[str, Any]:
    return {
        "host": settings["PGHOST"],
        "port": settings["PGPORT"],
        "user": settings["PGUSER"],
        "password": settings["PGPASSWORD"],
        "dbname": settings["PGDATABASE"],
    }


def _of_mysql(settings: Mapping[str, str]) -> dict[str, Any]:
    return {
        "host": settings["MYSQL_HOST"],
        "port": int(settings["MYSQL_TCP_PORT"]),
        "user": settings["MYSQL_USER"],
        "password": settings["MYSQL_PWD"],
        "database": settings["MYSQL_DATABASE"],
    }
