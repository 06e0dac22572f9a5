"""The engines that compute the marts: DuckDB in the command itself, or Spark on a cluster."""

import os
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa
from ibis.expr.types import Table

from martline.marts.reading.plan import Plan
from pg_to_mysql.snapshot.copy import THIS_MACHINE


class Engine(Protocol):
    """Holds the tables of a run, and computes marts of them."""

    parallel: int
    """The number of tasks that it reads at once."""

    def read(self, plan: Plan) -> None:
        """Read the tables, each row once.

        :raises Failure: a table can't be read, or the replica is of another moment by now.
        """

    def compute(self, frame: Table) -> pa.Table:
        """The frame's rows, which are of its types.

        :raises Failure: they can't be computed.
        """


def on_this_machine() -> bool:
    """Whether the command itself computes the marts, which is so unless ``SPARK_MASTER`` names a cluster."""
    return THIS_MACHINE.fullmatch(os.environ.get("SPARK_MASTER", "")) is not None


def opened() -> AbstractContextManager[Engine]:
    """Open Spark if ``SPARK_MASTER`` names a cluster, otherwise DuckDB. The other one is not imported."""
    if on_this_machine():
        from martline.marts.engines.duck import DuckDB

        return DuckDB.opened()
    from martline.marts.engines.spark import Spark

    return Spark.opened(os.environ["SPARK_MASTER"])
