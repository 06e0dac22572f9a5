"""Reads a slot's changes in pieces of limited size.

They are read by SQL from a temporary copy of the slot. The copy advances with the reading and ends with its
connection; the slot itself advances only after MySQL has committed. So PostgreSQL decodes the next changes while
MySQL still writes the last ones, and decodes each change only once.
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
"""The number of messages after which a call ends with the current transaction. Each call reads again from the
slot's restart point."""
FIRST_MESSAGES, GROWTH = 20_000, 3
"""The messages of the first call, and the factor by which each call reads more. MySQL is idle until the first
call ends."""
PIECE_BYTES = 16 << 20
"""The bytes after which a piece ends. Python needs about ten times as much memory for it."""
DECODING_MEMORY = "256MB"
"""PostgreSQL's memory for the transactions that it decodes, about a million changes. It writes more to its
disk."""
# In COPY's binary format, these bytes precede each message: the number of columns (2) and the length (4).
PREFIX = 6
HEADER = 19

Item = TypeVar("Item")


@dataclass(frozen=True)
class Piece:
    """Messages. If the piece is ``complete``, the last one ends a transaction."""

    messages: Messages
    complete: bool


class ChangeStream:
    """Reads the changes from the slot's position on.

    With ``exported``, it reads the changes since a snapshot, from the slot that exported the snapshot.
    """

    def __init__(self, source: Source, slot: str, exported: export.Exported | None = None) -> None:
        self._publication = slot
        self._connection = exported.connection if exported else source.connect(autocommit=True)
        self._connection.execute(sql.SQL("SET logical_decoding_work_mem = {}").format(DECODING_MEMORY))
        if self._connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Otherwise one value that is not UTF-8 makes PostgreSQL refuse the changes of all tables.
            self._connection.execute("SET client_encoding = 'SQL_ASCII'")
        if exported:
            self._slot, self.since = exported.slot, exported.lsn
        else:
            self._slot, self.since = slots.copy_slot(self._connection, slot)

    def close(self) -> None:
        """End the connection, and with it the copy of the slot."""
        self._connection.close()

    def pieces(self, upto: int) -> Iterator[Piece]:
        """The changes that were committed since the last call, up to the LSN ``upto``."""
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
    """Join messages, each with its prefix, into pieces that end with a transaction if possible."""
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
    """The positions of messages that follow each other, each with its prefix."""
    sizes = np.array(lengths, np.int64)
    starts = np.cumsum(sizes) - sizes + PREFIX
    return starts[sizes > PREFIX]  # shorter ones mark the end of the data


def ahead(items: Generator[Item]) -> Generator[Item]:
    """The same items. Another thread makes the next one while the caller uses the last one."""
    with closing(items), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
