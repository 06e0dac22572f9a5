"""The changes that a slot holds, read in pieces of bounded size.

They are read by SQL from a temporary copy of the slot, which goes on as they are read and ends with its
connection, while the slot itself stays where it is until MySQL has committed. So the next changes are decoded
while MySQL still writes the last ones, and each only once.
"""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import psycopg
from psycopg import sql

from pg_to_mysql.errors import Failure
from pg_to_mysql.postgres import export, slots, wal
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.postgres.copy_out import copied_rows
from pg_to_mysql.postgres.pgoutput import COMMIT, SPARE, Messages, Positions

MESSAGES_AT_ONCE = 300_000
"""Decoded by one call, and the rest of the transaction; each call reads again from the slot's restart point."""
FIRST_MESSAGES, GROWTH = 20_000, 3
"""The first call decodes fewer and each one more than the last, as MySQL has nothing to do until then."""
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
        at_once, more = FIRST_MESSAGES, True
        while more:
            count = 0
            for piece in pieces_of(self._messages(upto, at_once)):
                count += len(piece.messages.starts)
                yield piece
            more = count >= at_once
            at_once = min(at_once * GROWTH, MESSAGES_AT_ONCE)

    def _messages(self, upto: int, at_once: int) -> Iterator[list[memoryview]]:
        query = sql.SQL(
            "COPY (SELECT data FROM pg_logical_slot_get_binary_changes({slot}, {upto}, {count},"
            " 'proto_version', '1', 'publication_names', {publication})) TO STDOUT (FORMAT binary)"
        ).format(slot=self._slot, upto=wal.format_lsn(upto), count=at_once, publication=self._publication)
        with closing(copied_rows(self._connection, query.as_bytes(self._connection))) as blocks:
            header = HEADER
            for rows in blocks:
                if len(rows[0]) < header:
                    raise Failure("PostgreSQL sends the changes in an unknown form")
                rows[0], header = rows[0][header:], 0
                try:
                    yield rows
                except GeneratorExit:
                    with suppress(psycopg.Error):
                        self._connection.cancel_safe()  # what is left may be much
                    raise


def pieces_of(blocks: Iterable[list[memoryview]]) -> Iterator[Piece]:
    """Join the messages, each after its prefix, into pieces that end a transaction wherever that is possible."""
    held: list[bytes] = []
    lengths: list[int] = []
    size = 0
    for rows in blocks:
        held.append(b"".join(rows))
        lengths += map(len, rows)
        size += len(held[-1])
        if size > PIECE_BYTES:
            data, starts = b"".join(held), _starts(lengths)
            commits = np.flatnonzero(np.frombuffer(data, np.uint8)[starts] == COMMIT)
            end = int(commits[-1]) + 1 if len(commits) else len(starts)
            cut = int(starts[end]) - PREFIX if end < len(starts) else size
            messages = Messages(b"".join((memoryview(data)[:cut], SPARE)), starts[:end])
            held, lengths, size = [data[cut:]], lengths[end:], size - cut
            yield Piece(messages, complete=len(commits) > 0)
    starts = _starts(lengths)
    if len(starts):
        yield Piece(Messages(b"".join((*held, SPARE)), starts), complete=True)


def _starts(lengths: list[int]) -> Positions:
    """Where the messages start that stand one after the other, each after its prefix."""
    sizes = np.array(lengths, np.int64)
    starts = np.cumsum(sizes) - sizes + PREFIX
    return starts[sizes > PREFIX]  # what is shorter ends the data


def ahead(items: Generator[Item]) -> Generator[Item]:
    """The same items, each made in another thread while the one before it is in use."""
    with closing(items), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
