"""The Spark session of a build, and what its errors say."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from martline.command import Failure


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
