"""Spark on a cluster: its workers read the replica's tables by a Python data source, and keep them."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import pyarrow as pa
from ibis.expr.types import Table
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from martline.command import Failure
from martline.marts.reading.plan import Plan
from martline.marts.reading.source import NAME, replica
from martline.marts.statement import Dialect, statement, typed


class Spark:
    """A session of Spark."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self.parallel = session.sparkContext.defaultParallelism

    @classmethod
    @contextmanager
    def opened(cls, master: str) -> Iterator[Self]:
        """A session on this master; Spark's configuration says the rest."""
        # Nothing here is to depend on where the machine is.
        os.environ["TZ"] = "UTC"
        with failures(f"Spark does not start on {master}; check JAVA_HOME (Java 17 or 21) and SPARK_CONF_DIR: "):
            session = (
                SparkSession.builder.master(master)
                .appName("build-marts")
                .config("spark.executorEnv.TZ", "UTC")
                .config("spark.sql.session.timeZone", "UTC")
                .config("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
                .getOrCreate()
            )
        try:
            yield cls(session)
        finally:
            session.stop()

    def read(self, plan: Plan) -> None:
        """See :class:`Engine`."""
        with failures("the source tables can't be read: "):
            self._session.dataSource.register(replica(plan))
            frames = {table: self._session.read.format(NAME).load(table).persist() for table in plan}
            with ThreadPoolExecutor(len(frames)) as pool:
                list(pool.map(DataFrame.count, frames.values()))
            for table, frame in frames.items():
                frame.createOrReplaceTempView(table)

    def compute(self, frame: Table) -> pa.Table:
        """See :class:`Engine`."""
        with failures():
            return typed(self._session.sql(statement(frame, Dialect.SPARK)).toArrow(), frame)


@contextmanager
def failures(what: str = "") -> Iterator[None]:
    """Turn Spark's errors into a :class:`Failure` that says ``what`` went wrong and the innermost cause."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise Failure(f"{what}{_innermost_cause(error)}") from error


def _innermost_cause(error: PySparkException | Py4JError) -> str:
    if not isinstance(error, Py4JJavaError):
        return str(error).strip().splitlines()[0]
    cause: Any = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.toString()).splitlines()[0]
