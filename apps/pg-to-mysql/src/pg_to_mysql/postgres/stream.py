"""The changes that a slot holds, read in pieces of bounded size.

They are read by SQL from a temporary copy of the slot, which goes on as they are read and ends with its
connection, while the slot itself stays where it is until MySQL has committed. So the next changes are decoded
while MySQL still writes the last ones, and each only once.
"""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from psycopg import sql

from pg_to_mysql.errors import Failure
from pg_to_mysql.postgres import export, slots, wal
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.postgres.pgoutput import COMMIT, SPARE, Messages

MESSAGES_AT_ONCE = 300_000
"""Decoded by one call, and the rest of the transaction; each call reads again from the slot's restart point."""
PIECE_BYTES = 16 << 20
"""Of a piece, a bound for memory: Python holds about ten times as much for it."""
DECODING_MEMORY = "256MB"
"""That PostgreSQL may use for the transactions it decodes, a million changes: more go to its disk and back."""
# Of a message in PostgreSQL's binary format of COPY: the number of columns (2 bytes) and the length (4).
PREFIX = 6
HEADER = 19

Item = TypeVar("Item")


@dataclass(frozen=True)
class Piece:
    """Messages, of which the last ends a transaction if the piece is ``complete``."""

    messages: Messages
    complete: bool


class ChangeStream:
    """Reads a slot's changes from where it is.

    With ``exported``, these are the changes since a snapshot, from the slot that exported it.
    """

    def __init__(self, source: Source, slot: str, exported: export.Exported | None = None) -> None:
        self._publication = slot
        self._connection = exported.connection if exported else source.connect(autocommit=True)
        self._connection.execute(sql.SQL("SET logical_decoding_work_mem = {}").format(DECODING_MEMORY))
        if self._connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Else PostgreSQL itself refuses a value that is no UTF-8, and with it the changes of all tables.
            self._connection.execute("SET client_encoding = 'SQL_ASCII'")
        if exported:
            self._slot, self.since = exported.slot, exported.lsn
        else:
            self._slot, self.since = slots.copy_slot(self._connection, slot)

    def close(self) -> None:
        """End the connection, and the copy of the slot with it."""
        self._connection.close()

    def pieces(self, upto: int) -> Iterator[Piece]:
        """What has been committed since the last call, up to the LSN ``upto``."""
        count = MESSAGES_AT_ONCE
        while count >= MESSAGES_AT_ONCE:
            count = 0
            for piece in _pieces(self._messages(upto)):
                count += len(piece.messages.starts)
                yield piece

    def _messages(self, upto: int) -> Iterator[bytes]:
        query = sql.SQL(
            "COPY (SELECT data FROM pg_logical_slot_get_binary_changes({slot}, {upto}, {count},"
            " 'proto_version', '1', 'publication_names', {publication})) TO STDOUT (FORMAT binary)"
        ).format(
            slot=self._slot,
            upto=wal.format_lsn(upto),
            count=MESSAGES_AT_ONCE,
            publication=self._publication,
        )
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            first = bytes(copy.read())
            if len(first) < HEADER:
                raise Failure("PostgreSQL sends the changes in an unknown form")
            yield first[HEADER:]
            yield from map(bytes, copy)


def _pieces(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """Join the messages, each after its prefix, into pieces that end a transaction wherever that is possible."""
    held: list[bytes] = []
    size = 0
    for block in blocks:
        if len(block) <= PREFIX:  # the end of the data
            continue
        held.append(block)
        size += len(block)
        if size > PIECE_BYTES:
            end = next((i for i in range(len(held), 0, -1) if held[i - 1][PREFIX] == COMMIT), 0)
            yield _piece(held[: end or None], complete=end > 0)
            held = held[end:] if end else []
            size = sum(map(len, held))
    if held:
        yield _piece(held, complete=True)


def _piece(blocks: list[bytes], *, complete: bool) -> Piece:
    lengths = np.fromiter(map(len, blocks), np.int64, len(blocks))
    return Piece(Messages(b"".join((*blocks, SPARE)), np.cumsum(lengths) - lengths + PREFIX), complete)


def ahead(items: Generator[Item]) -> Generator[Item]:
    """The same items, each made in another thread while the one before it is in use."""
    with closing(items), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
