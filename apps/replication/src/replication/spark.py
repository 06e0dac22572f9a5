"""The tasks of a snapshot, on Spark."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from command import Failure

T = TypeVar("T")


class Spark:
    """A Spark session on ``SPARK_MASTER`` (``local[*]`` unless set); Spark's configuration says the rest."""

    def __init__(self) -> None:
        master = os.environ.get("SPARK_MASTER") or "local[*]"
        if master.startswith("local"):
            # Else Spark takes whatever `python3` is on the path.
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        try:
            self._session = (
                SparkSession.builder.master(master)
                .appName("replicate")
                .config("spark.ui.showConsoleProgress", "false")
                .getOrCreate()
            )
        except (PySparkException, Py4JError) as error:
            raise Failure(
                f"Spark does not start on {master}; check JAVA_HOME (Java 17 or 21) and SPARK_CONF_DIR:"
                f" {_innermost_cause(error)}"
            ) from error

    def run(self, work: Callable[[T], None], tasks: Sequence[T]) -> None:
        """Run ``work`` on each of the tasks, in their order, as many at once as there are cores.

        The tasks may be written to Spark's local disks; what ``work`` holds is not.
        """

        def work_on_all(tasks: Any) -> None:
            for task in tasks:
                work(task)

        try:
            self._session.sparkContext.parallelize(tasks, len(tasks)).foreachPartition(work_on_all)
        except (PySparkException, Py4JError) as error:
            raise Failure(f"Spark can't copy the tables: {_innermost_cause(error)}") from error

    def stop(self) -> None:
        self._session.stop()


def _innermost_cause(error: PySparkException | Py4JError) -> str:
    if not isinstance(error, Py4JJavaError):
        return str(error).strip().splitlines()[0]
    cause: Any = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    # Of an exception in Python it is the last line that says what happened.
    return str(cause.getMessage() or cause.toString()).strip().splitlines()[-1]
