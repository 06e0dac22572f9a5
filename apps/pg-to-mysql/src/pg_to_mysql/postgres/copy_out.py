"""Rows from PostgreSQL's ``COPY … TO STDOUT``, for MySQL's ``LOAD DATA``.

Each row comes as a message of its own: the letter d, four bytes of length, and the line. To take these five bytes
off costs more than anything else that is done for a row here. So the messages are handed on as they come from the
socket, and MySQL skips what is not a line: each begins with :data:`ROW_START`, for ``LINES STARTING BY``. See
*Frontend/Backend Protocol, Message Formats* in PostgreSQL's documentation.
"""

import os
import re
import select
from collections.abc import Iterator, Sequence

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

FIRST_COLUMN = "9876"
ROW_START = f"{FIRST_COLUMN},"
"""It is neither in a message's five bytes, nor can it begin there: they would have to end as it begins."""
KEPT_BYTES = 16 << 10
"""Of the last messages: they tell how it ended."""

READY = b"Z\x00\x00\x00\x05"
"""Begins the last message; a state follows. It is in no other: a text has no NUL, and no row 1.5 GB."""
COPIED = re.compile(rb"c\x00\x00\x00\x04C.{4}COPY (\d+)\x00" + READY + rb".\Z", re.DOTALL)
ERROR = re.compile(rb"S[^\x00]+\x00V(?:ERROR|FATAL|PANIC)\x00(?:[^\x00]+\x00)+")
LOCK_NOT_AVAILABLE = b"55P03"


def copy_statement(table: Table, columns: Sequence[sql.Composable], rows: sql.Composable) -> sql.Composed:
    """The statement that copies the table's values out of these columns of these rows, a FROM clause."""
    values = [fill(kind.copied, column) for column, kind in zip(columns, table.types, strict=True)]
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT (FORMAT csv, NULL 'NULL', ENCODING 'UTF8')").format(
        sql.SQL(", ").join([sql.SQL(FIRST_COLUMN), *values]), rows
    )


def copy_out(connection: psycopg.Connection, statement: bytes, stream: Stream) -> int:
    """Run ``COPY … TO STDOUT`` as text or CSV and write what it gives to the stream; return the number of rows.

    Each line must begin with :data:`ROW_START`; between the lines may be anything else.
    """
    server = connection.pgconn
    if server.ssl_in_use or server.used_gssapi:
        return _decrypted(server, statement, stream)
    _send(server.socket, b"Q%b%b\0" % ((len(statement) + 5).to_bytes(4, "big"), statement))
    answer = _Answer(server.socket)
    try:
        for block in answer:
            stream.write(block)
    finally:
        for _ in answer:
            pass  # what is left, so that the connection can be used again
    copied = COPIED.search(answer.end)
    if not copied:
        raise _failure(answer.end)
    return int(copied[1])


def _send(socket: int, message: bytes) -> None:
    sendable = select.poll()
    sendable.register(socket, select.POLLOUT)
    rest = memoryview(message)
    while rest:
        sendable.poll()
        try:
            rest = rest[os.write(socket, rest) :]
        except OSError as error:
            raise _failure(b"") from error


class _Answer:
    """The messages of a server, up to the one that says that it is ready for another statement."""

    def __init__(self, socket: int) -> None:
        self.end = b""
        """The last of what has come."""
        self._socket = socket
        self._arrived = select.poll()
        self._arrived.register(socket, select.POLLIN)

    def __iter__(self) -> Iterator[memoryview]:
        block = memoryview(bytearray(BLOCK_BYTES))
        while self.end[-6:-1] != READY:
            try:
                size = os.readv(self._socket, [block])
            except BlockingIOError:
                self._arrived.poll()
                continue
            except OSError:  # the network has ended it, which PostgreSQL may not know
                size = 0
            if size == 0:
                raise _failure(self.end)
            self.end = (self.end + block[max(0, size - KEPT_BYTES) : size])[-KEPT_BYTES:]
            yield block[:size]


def _failure(end: bytes) -> Failure:
    errors = ERROR.findall(end)
    if not errors:
        return PassingFailure("PostgreSQL has ended the connection of a copy: see its log", Kind.CONNECTION)
    fields = {field[:1]: field[1:] for field in errors[-1].split(b"\0")}
    return _told(fields[b"C"], fields[b"M"])


def _told(state: bytes | None, message: bytes) -> Failure:
    if state == LOCK_NOT_AVAILABLE:
        return PassingFailure(BEING_ALTERED)
    sentence = f"PostgreSQL ends a copy: {message.decode(errors='replace').strip()}"
    kind = kind_of_sqlstate(state.decode()) if state else Kind.CONNECTION
    return PassingFailure(sentence, kind) if kind else Failure(sentence)


def _decrypted(server: PGconn, statement: bytes, stream: Stream) -> int:
    """The same where only libpq can read what comes; it gives each row without its message's five bytes.

    psycopg's own ``for block in copy`` does the same with twice the processor time. See *Functions Associated
    with the COPY Command* in libpq's documentation.
    """
    try:
        begun = server.exec_(statement)
        if begun.status != ExecStatus.COPY_OUT:
            raise _refusal(begun)
        blocks = _decrypted_blocks(server)
        try:
            for block in blocks:
                stream.write(block)
        finally:
            for _ in blocks:
                pass  # what is left, so that the connection can be used again
            ended = list(iter(server.get_result, None))
    except psycopg.OperationalError as error:
        raise Failure(f"PostgreSQL has ended the connection of a copy: {' '.join(str(error).split())}") from error
    for result in ended:
        if result.status != ExecStatus.COMMAND_OK:
            raise _refusal(result)
    return ended[-1].command_tuples or 0


def _decrypted_blocks(server: PGconn) -> Iterator[bytes]:
    arrived = select.poll()
    arrived.register(server.socket, select.POLLIN)
    next_row = server.get_copy_data
    block: list[memoryview] = []
    size = length = 0
    while length >= 0:
        length, row = next_row(1)  # does not wait, so that other threads can run meanwhile
        if length > 0:
            block.append(row)
            size += length
            if size < BLOCK_BYTES:
                continue
        if block:
            yield b"".join(block)
            block.clear()
            size = 0
        if length == 0:
            arrived.poll()
            server.consume_input()


def _refusal(result: PGresult) -> Failure:
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    return _told(result.error_field(DiagnosticField.SQLSTATE), message)
