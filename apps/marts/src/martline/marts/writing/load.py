"""Rows of a mart into its table by ``LOAD DATA``, as text that Arrow makes of whole columns."""

from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from martline.command import Failure, MySQLSettings
from pg_to_mysql.mysql.loading import LoadingConnection
from pg_to_mysql.mysql.quoting import quote_all
from pg_to_mysql.rows import BLOCK_BYTES, Stream

ROWS_AT_ONCE = 50_000
"""The number of rows that become one text, which takes some megabytes of memory."""
ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"))


def load(settings: MySQLSettings, table: str, rows: pa.Table, key: tuple[str, ...]) -> None:
    """Load the rows in the order of the table's key, for which MySQL need not look for the place of each.

    It is one transaction.

    :raises Failure: MySQL has not stored each of them as it is.
    """
    if not rows.num_rows:
        return
    ordered = rows.sort_by([(name, "ascending") for name in key])
    names = quote_all(rows.column_names)
    statement = f"LOAD DATA LOCAL INFILE 'mart' INTO TABLE `{table}` CHARACTER SET utf8mb4 ({names})"

    def send(stream: Stream) -> None:
        for batch in ordered.to_batches(ROWS_AT_ONCE):
            stream.write(lines(batch))

    with closing(settings.connect(LoadingConnection, autocommit=True)) as connection:
        loaded = connection.load(statement, "mart", send, BLOCK_BYTES)
        if loaded.rows != rows.num_rows or loaded.warnings:
            with connection.cursor() as cursor:
                cursor.execute("SHOW WARNINGS LIMIT 1")
                said = "; ".join(str(message) for _, _, message in cursor.fetchall())
            raise Failure(f"MySQL has stored {loaded.rows} of {rows.num_rows} rows and says: {said}")


def lines(batch: pa.RecordBatch) -> bytes:
    r"""The rows as ``LOAD DATA`` takes them unless told otherwise: tabs between values, ``\N`` for NULL."""
    columns = [_texts(column) for column in batch.columns]
    joined = pc.binary_join_element_wise(*columns, "\t", null_handling="replace", null_replacement="\\N")
    ended = pc.binary_join_element_wise(joined, "\n", "")
    # Whole columns have one buffer, in which their texts follow each other: it is what is sent.
    return ended.buffers()[2].to_pybytes() if len(ended) else b""


def _texts(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    for character, escaped in ESCAPES:
        column = pc.replace_substring(column, character, escaped)
    return column
