"""Reads blocks of rows: MySQL makes one CSV text of a range, and Arrow parses it.

Sending a row by itself costs MySQL and its client more than making it. ``GROUP_CONCAT`` puts the rows of a range
into one value, which needs no work for a row in Python.
"""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv
from pymysql.cursors import Cursor

from martline.command import Failure, MySQLSettings
from martline.marts.reading.moment import Moment, require
from martline.marts.reading.ranges import Listed, Range, Task
from martline.marts.reading.values import Value, arrow_schema

LONGEST = 1 << 30
"""The largest size of a block's text in bytes. The server's ``max_allowed_packet`` may be smaller."""


@dataclass(frozen=True)
class BlockReader:
    """Reads ranges of one table. Spark sends it to the workers."""

    settings: MySQLSettings
    moment: Moment
    table: str
    key: str
    values: tuple[Value, ...]

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches."""
        return arrow_schema(self.values)

    def read(self, task: Task) -> Iterator[pa.RecordBatch]:
        """The rows of the task's ranges, each once.

        :raises Failure: the replica is of another moment by now, or a row is too large for the server.
        """
        with closing(self.settings.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION group_concat_max_len = {LONGEST}")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            require(connection, self.moment)
            for part in task:
                yield from self._read(cursor, part)

    def _read(self, cursor: Cursor, part: Range | Listed) -> Iterator[pa.RecordBatch]:
        lines = ", ".join(value.text for value in self.values)
        cursor.execute(
            f"SELECT COUNT(*), CAST(GROUP_CONCAT(CONCAT_WS(',', {lines}) SEPARATOR '\\n') AS BINARY)"  # noqa: S608
            f" FROM `{self.table}` WHERE {part.condition(self.key)}"
        )
        # The server warns if it has cut the text off, or if the text is NULL because it would not fit into a
        # packet.
        whole = not cursor.warning_count
        [(count, text)] = cursor.fetchall()
        if count == 0:
            return
        if whole:
            yield from self._parse(text, count)
        elif part.keys > 1:
            for half in part.halves():
                yield from self._read(cursor, half)
        else:
            raise Failure(
                f"A row of {self.table} is larger than MySQL's max_allowed_packet: give the server a larger one"
                f" (the row where {part.condition(self.key)})"
            )

    def _parse(self, text: bytes, count: int) -> Iterator[pa.RecordBatch]:
        # Arrow reads an empty last value as a number unless the line ends after it.
        lines = text + b"\n"
        block = pyarrow.csv.read_csv(
            io.BytesIO(lines),
            pyarrow.csv.ReadOptions(column_names=self.schema.names, use_threads=False, block_size=len(lines)),
            pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            pyarrow.csv.ConvertOptions(
                column_types=self.schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        if block.num_rows != count:
            raise Failure(
                f"MySQL has sent {block.num_rows} of {count} rows of {self.table}: run build-marts again"
            )
        yield from block.to_batches()
