"""The Spark session of a build, its way to MySQL, and what its errors say."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from martline.command import Failure, MySQLSettings

SESSION = {
    # An empty or cut value is an error, and names are quoted as Spark quotes them.
    "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "time_zone": "'+00:00'",
    "sql_select_limit": "18446744073709551615",
    "sql_big_selects": "1",
    "sql_safe_updates": "0",
    "foreign_key_checks": "0",
    "wait_timeout": "28800",
    "net_read_timeout": "3600",
    "net_write_timeout": "3600",
}
"""What Spark's connections depend on, whatever the server's own settings; the names are MySQL's and MariaDB's."""


def jdbc_options(settings: MySQLSettings) -> dict[str, str]:
    """Options for Spark's JDBC source. User and password are apart from the URL, which may be logged."""
    return {
        "url": f"jdbc:mysql://{settings.host}:{settings.port}/{settings.database}",
        "driver": "com.mysql.cj.jdbc.Driver",
        "user": settings.user,
        "password": settings.password,
        "sslMode": settings.ssl_mode,
        # DATETIME has no time zone: keep Spark from reading one into it.
        "preferTimestampNTZ": "true",
        # TINYINT(1) is a number here, not a boolean.
        "tinyInt1isBit": "false",
        # No server gets a file of this machine.
        "allowLoadLocalInfile": "false",
        "allowUrlInLocalInfile": "false",
        "rewriteBatchedStatements": "true",
        "batchsize": "5000",
        "sessionVariables": ",".join(f"{name}={value}" for name, value in SESSION.items()),
    }


@contextmanager
def session() -> Iterator[SparkSession]:
    """A Spark session on ``SPARK_MASTER`` (``local[*]`` unless set); Spark's configuration says the rest."""
    master = os.environ.get("SPARK_MASTER") or "local[*]"
    # Nothing here is to depend on where the machine is.
    os.environ["TZ"] = "UTC"
    with failures(f"Spark does not start on {master}; check JAVA_HOME (Java 17 or 21) and SPARK_CONF_DIR"):
        spark = (
            SparkSession.builder.master(master)
            .appName("build-marts")
            .config("spark.executorEnv.TZ", "UTC")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
            .getOrCreate()
        )
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Turn Spark's errors into a :class:`Failure` that says ``what`` went wrong and the innermost cause."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise Failure(f"{what}: {_innermost_cause(error)}") from error


def _innermost_cause(error: PySparkException | Py4JError) -> str:
    if not isinstance(error, Py4JJavaError):
        return str(error).strip().splitlines()[0]
    cause: Any = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.toString()).splitlines()[0]
