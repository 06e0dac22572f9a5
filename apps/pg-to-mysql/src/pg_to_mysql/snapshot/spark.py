"""The tasks of a snapshot, on a Spark cluster."""

import contextlib
import gc
import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pg_to_mysql.errors import Failure

T = TypeVar("T")
BROKEN = (PySparkException, Py4JError, OSError)
"""Errors that PySpark raises; the last one means that Spark's own process has died."""


class Spark:
    """A Spark session on the cluster ``master``; the rest comes from Spark's configuration."""

    def __init__(self, master: str) -> None:
        try:
            self._session = (
                SparkSession.builder.master(master)
                .appName("replicate")
                .config("spark.ui.showConsoleProgress", "false")
                .getOrCreate()
            )
            # This starts the workers together with Spark, not with the first task.
            cores = self._session.sparkContext.defaultParallelism
            self._session.sparkContext.parallelize(range(cores), cores).foreachPartition(_load_program)
        except BROKEN as error:
            raise Failure(
                f"Spark does not start on {master}; check JAVA_HOME (Java 17 or 21), SPARK_CONF_DIR and that its"
                f" workers have the package `pg_to_mysql`: {_innermost_cause(error)}"
            ) from error

    def run(self, work: Callable[[T], None], tasks: Sequence[T]) -> None:
        """Run ``work`` on each of the tasks, in their order, as many at once as there are cores.

        Spark may write the tasks to its local disks, but not what ``work`` holds.
        """

        def work_on_all(tasks: Any) -> None:
            for task in tasks:
                work(task)

        try:
            self._session.sparkContext.parallelize(tasks, len(tasks)).foreachPartition(work_on_all)
        except BROKEN as error:
            raise Failure(f"Spark can't copy the tables: {_innermost_cause(error)}") from error

    def stop(self) -> None:
        """End Spark, unless it has ended by itself."""
        with contextlib.suppress(*BROKEN):
            self._session.stop()


def _load_program(_: Any) -> None:
    importlib.import_module("pg_to_mysql.snapshot.worker")
    # PySpark collects garbage after each task; the program's own objects need not be searched.
    gc.freeze()


def _innermost_cause(error: Exception) -> str:
    if not isinstance(error, Py4JJavaError):
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    cause: Any = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    # The last line of a Python exception says what happened.
    return str(cause.getMessage() or cause.toString()).strip().splitlines()[-1]
