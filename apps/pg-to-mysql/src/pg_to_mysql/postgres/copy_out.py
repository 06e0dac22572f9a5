"""Rows from PostgreSQL's ``COPY … TO STDOUT``, unchanged, for MySQL's ``LOAD DATA``.

psycopg's own ``for block in copy`` does the same, but uses twice the processor time. See *Functions Associated
with the COPY Command* in libpq's documentation.
"""

import select
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import psycopg
from psycopg import sql
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from pg_to_mysql.errors import Failure, Kind, PassingFailure
from pg_to_mysql.passing import kind_of_sqlstate
from pg_to_mysql.postgres.export import BEING_ALTERED
from pg_to_mysql.postgres.expressions import fill
from pg_to_mysql.rows import BLOCK_BYTES, Stream
from pg_to_mysql.tables.table import Table

LOCK_NOT_AVAILABLE = b"55P03"


def copy_statement(table: Table, columns: Sequence[sql.Composable], rows: sql.Composable) -> sql.Composed:
    """The statement that copies these columns of the table out of the rows that a FROM clause gives."""
    values = [fill(kind.copied, column) for column, kind in zip(columns, table.types, strict=True)]
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT (FORMAT csv, NULL 'NULL', ENCODING 'UTF8')").format(
        sql.SQL(", ").join(values), rows
    )


def copy_out(connection: psycopg.Connection, statement: bytes, stream: Stream) -> int:
    """Run ``COPY … TO STDOUT`` and write its output to the stream; return the number of rows.

    The connection can be used again afterwards, whatever fails.

    :raises Failure: PostgreSQL ends the copy; :class:`PassingFailure` if it may succeed later.
    """
    with closing(copied_rows(connection, statement)) as blocks:
        while True:
            try:
                rows = next(blocks)
            except StopIteration as ended:
                return int(ended.value)
            stream.write(b"".join(rows))


def copied_rows(connection: psycopg.Connection, statement: bytes) -> Generator[list[memoryview], None, int]:
    """Run ``COPY … TO STDOUT`` and yield its rows, some at once; return their number.

    Closed before its end, it reads what is left, so that the connection can be used again.

    :raises Failure: PostgreSQL ends the copy; a :class:`PassingFailure` if it may succeed later.
    """
    server = connection.pgconn
    try:
        begun = server.exec_(statement)
        if begun.status != ExecStatus.COPY_OUT:
            raise _refusal(begun)
        blocks = _blocks(server)
        try:
            for block in blocks:  # noqa: UP028 - that would close them with this
                yield block
        finally:
            for _ in blocks:
                pass  # read the rest, so that the connection can be used again
            ended = list(iter(server.get_result, None))
    except psycopg.OperationalError as error:
        sentence = f"PostgreSQL has ended the connection of a copy: {' '.join(str(error).split())}"
        raise PassingFailure(sentence, Kind.CONNECTION) from error
    for result in ended:
        if result.status != ExecStatus.COMMAND_OK:
            raise _refusal(result)
    return ended[-1].command_tuples or 0


def _blocks(server: PGconn) -> Iterator[list[memoryview]]:
    """The rows, so many at once as make :data:`~pg_to_mysql.rows.BLOCK_BYTES`."""
    arrived = select.poll()
    arrived.register(server.socket, select.POLLIN)
    next_row = server.get_copy_data
    block: list[memoryview] = []
    size = length = 0
    while length >= 0:
        length, row = next_row(1)  # it does not wait, so other threads can run meanwhile
        if length > 0:
            block.append(row)
            size += length
            if size < BLOCK_BYTES:
                continue
        if block:
            yield block
            block = []
            size = 0
        if length == 0:
            arrived.poll()
            server.consume_input()


def _refusal(result: PGresult) -> Failure:
    state = result.error_field(DiagnosticField.SQLSTATE)
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    if state == LOCK_NOT_AVAILABLE:
        return PassingFailure(BEING_ALTERED)
    sentence = f"PostgreSQL ends a copy: {message.decode(errors='replace').strip()}"
    kind = kind_of_sqlstate(state.decode()) if state else Kind.CONNECTION
    return PassingFailure(sentence, kind) if kind else Failure(sentence)
