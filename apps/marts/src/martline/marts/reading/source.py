"""Spark's way to the replica's tables: a data source in Python, which takes the table for its path.

Spark starts many Python processes that import this module. It imports nothing that they do not need: Ibis alone
would take half of their time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from martline.marts.reading.blocks import BlockReader
from martline.marts.reading.ranges import Task

if TYPE_CHECKING:
    from martline.marts.reading.plan import Plan

NAME = "replica"


def replica(plan: "Plan") -> type[DataSource]:
    """The data source of these tables. Settings are in the class itself: options are shown in plans and pages."""
    readers = {table: _Reader(reader, tasks) for table, (reader, tasks) in plan.items()}

    class Replica(DataSource):
        @classmethod
        def name(cls) -> str:
            return NAME

        def schema(self) -> StructType:
            return readers[self.options["path"]].schema

        def reader(self, schema: StructType) -> DataSourceReader:
            return readers[self.options["path"]]

    return Replica


class _Reader(DataSourceReader):
    def __init__(self, reader: BlockReader, todo: list[Task]) -> None:
        # A time without a zone is one in Spark too.
        self.schema = from_arrow_schema(reader.schema, prefer_timestamp_ntz=True)
        self._reader = reader
        self._todo = todo

    def partitions(self) -> list[InputPartition]:
        # Without any, Spark would ask for one of its own.
        return [InputPartition(task) for task in self._todo or [()]]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return self._reader.read(partition.value)
