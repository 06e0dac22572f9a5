"""DuckDB in the command itself: no server and no start to wait for."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
from ibis.expr.types import Table

from martline.command import Failure
from martline.marts.definition import Mart
from martline.marts.engines.scratch import scratch
from martline.marts.reading.blocks import BlockReader
from martline.marts.reading.plan import Plan
from martline.marts.reading.ranges import Task
from martline.marts.statement import Dialect, frame_of, statement, typed

MEMORY = "1500MB"
"""The memory of DuckDB, which uses a temporary file beyond it. The texts that are read need more memory."""


class DuckDB:
    """A database in memory, which uses temporary files when the memory is full."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.parallel = len(os.sched_getaffinity(0))

    @classmethod
    @contextmanager
    def opened(cls, database: Path | None = None) -> Iterator[Self]:
        """Such a database, or one in a file.

        :raises Failure: the file is no database of DuckDB, or another process uses it.
        """
        with scratch() as folder:
            settings: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": MEMORY,
                "temp_directory": str(folder),
                "threads": len(os.sched_getaffinity(0)),
                "TimeZone": "UTC",
                "autoinstall_known_extensions": False,
                "preserve_insertion_order": False,
            }
            try:
                connected = duckdb.connect(database or ":memory:", config=settings)
            except duckdb.Error as error:
                raise Failure(f"{database} can't be opened: {_first_line(error)}") from error
            with closing(connected) as connection:
                yield cls(connection)

    def read(self, plan: Plan) -> None:
        """See :class:`Engine`."""
        for table, (reader, _) in plan.items():
            self.add(table, reader.schema.empty_table())
        self.insert(plan)

    def insert(self, plan: Plan) -> None:
        """Read rows into existing tables."""
        todo = [(reader, task) for reader, tasks in plan.values() for task in tasks]
        with ThreadPoolExecutor(self.parallel) as pool:
            for done in [pool.submit(self._read, reader, task) for reader, task in todo]:
                done.result()

    def add(self, table: str, rows: pa.Table) -> None:
        """Make a table of these rows."""
        self.connection.register("rows", rows)
        self.connection.execute(f'CREATE TABLE "{table}" AS FROM rows')
        self.connection.unregister("rows")

    @contextmanager
    def written_to(self, file: Path) -> Iterator[str]:
        """Write all tables to a new file. In the block, the file is a database with the name that is yielded."""
        self.connection.execute("ATTACH '" + str(file).replace("'", "''") + "' AS written")
        self.connection.execute("COPY FROM DATABASE memory TO written")
        yield "written"
        self.connection.execute("DETACH written")

    def _read(self, reader: BlockReader, task: Task) -> None:
        with closing(self.connection.cursor()) as connection:
            for batch in reader.read(task):
                rows = pa.Table.from_batches([batch])
                connection.register("rows", rows)
                connection.execute(f'INSERT INTO "{reader.table}" FROM rows')

    def compute(self, frame: Table) -> pa.Table:
        """See :class:`Engine`."""
        try:
            return typed(self.connection.sql(statement(frame, Dialect.DUCKDB)).to_arrow_table(), frame)
        except duckdb.Error as error:
            raise Failure(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def compute(mart: Mart, tables: Mapping[str, pa.Table]) -> pa.Table:
    """The mart of these rows, for trials and tests: no server is asked.

    :param tables: the rows of each of the mart's sources, with at least the columns that it declares.
    """
    frame = frame_of(mart, {name: rows.schema for name, rows in tables.items()})
    with DuckDB.opened() as engine:
        for name, rows in tables.items():
            engine.add(name, rows)
        return engine.compute(frame)
