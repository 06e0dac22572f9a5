"""Spark's way to the replica's tables.

Large tables come by a Python data source, which takes the table for its path: Spark's workers read its ranges. A
table that is one block comes by the driver: Spark's start of a worker lasts longer than the reading.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from martline.command import MySQLSettings
from martline.marts.reading.blocks import BlockReader
from martline.marts.reading.moment import Moment
from martline.marts.reading.ranges import Task, key_of, tasks
from martline.marts.reading.values import spark_schema, values_of

NAME = "replica"


def open_tables(
    session: SparkSession,
    connection: "Connection[Any]",
    settings: MySQLSettings,
    moment: Moment,
    needed: Mapping[str, tuple[str, ...]],
) -> dict[str, DataFrame]:
    """The tables as DataFrames of the needed columns, which are kept: each row is read once."""
    parallel = session.sparkContext.defaultParallelism
    plans = {}
    for table, columns in needed.items():
        key = key_of(connection, table)
        reader = BlockReader(settings, moment, table, key, values_of(connection, table, columns))
        plans[table] = _Reader(reader, tasks(connection, table, key, parallel))
    session.dataSource.register(_source(plans))
    large = {table: session.read.format(NAME).load(table).persist() for table in needed if plans[table].large}
    with ThreadPoolExecutor(len(needed)) as pool:
        list(pool.map(DataFrame.count, large.values()))
    small = {table: plans[table].read_here(session) for table in needed if table not in large}
    return large | small


class _Reader(DataSourceReader):
    def __init__(self, reader: BlockReader, todo: list[Task]) -> None:
        self.schema = spark_schema(reader.values)
        self.large = sum(map(len, todo)) > 1
        self._reader = reader
        self._todo = todo

    def read_here(self, session: SparkSession) -> DataFrame:
        """The whole table, read by the driver."""
        batches = [batch for task in self._todo for batch in self._reader.read(task)]
        return session.createDataFrame(pa.Table.from_batches(batches, self._reader.schema), self.schema)

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(task) for task in self._todo]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return self._reader.read(partition.value)


def _source(plans: Mapping[str, _Reader]) -> type[DataSource]:
    """The data source of these tables. Settings are in the class itself: options are shown in plans and pages."""

    class Replica(DataSource):
        @classmethod
        def name(cls) -> str:
            return NAME

        def schema(self) -> StructType:
            return plans[self.options["path"]].schema

        def reader(self, schema: StructType) -> DataSourceReader:
            return plans[self.options["path"]]

    return Replica
