"""Writes folded changes to a table of MySQL, within the caller's transaction.

LOAD DATA gets the rows as CSV with NUL bytes as quotes. PostgreSQL's texts never contain NUL, so nothing needs
escaping. And no value has to be moved to make room for the quotes: the byte before a value in a message is the
end of its length, and the byte after it is the kind of the next value, and neither is needed any more.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from pg_to_mysql.changes.fold import Fold, Key
from pg_to_mysql.errors import Refused
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.refusal import name_key
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres.pgoutput import NULL, SPARE, TEXT, UNCHANGED, Messages, Positions
from pg_to_mysql.rows import Stream, Write
from pg_to_mysql.tables.table import Table

KEYS = "_replication_keys"
ROWS = "_replication_rows"
ROW = "_replication_row"
ROWS_AT_ONCE = 20_000
"""The number of rows that are turned into text at once. This limits the memory."""


def enclose(messages: Messages, folds: Iterable[Fold]) -> bytes:
    """The messages, with quotes around all values of the folds. NULL values then point to the word NULL."""
    text = messages.bytes.copy()
    null = len(text) - len(SPARE) + SPARE.index(b"NULL")
    for fold in folds:
        values = fold.values
        present, missing = values.kinds == TEXT, values.kinds == NULL
        text[values.starts[present] - 1] = text[values.ends[present]] = 0
        # The first and the last letter of the word take the places of the quotes.
        values.starts[missing], values.ends[missing] = null + 1, null + 3
    return text.tobytes()


def write(target: Target, table: Table, fold: Fold, text: bytes) -> int:
    """Apply a fold, whose values are in ``text``, to the table; return the number of rows deleted and written."""
    partial = _Partial(target, table, fold, text) if fold.partial else None
    if fold.truncated:
        target.execute(f"DELETE FROM {quote(table.name)}")
    if fold.deleted:
        _delete(target, table, fold.deleted)
    if fold.rows:
        indexes = range(len(table.columns))
        columns = [(table.columns[i].name, i) for i in indexes]
        rows = _rows(table, fold, text, indexes, fold.rows)
        with _naming_keys(table, fold, text, fold.rows):
            target.load(table.name, table, columns, rows, replace=True, enclosure="\0")
    if partial:
        partial.write()
    return len(fold.deleted) + len(fold.rows) + len(fold.partial)


@contextmanager
def _naming_keys(table: Table, fold: Fold, text: bytes, rows: Sequence[int]) -> Iterator[None]:
    """Make an error that states the number of a row, among ``rows``, state the key of the row instead."""

    def find(number: int) -> Sequence[object]:
        row = rows[number - 1]
        return [
            text[fold.values.starts[i, row] : fold.values.ends[i, row]].decode(errors="replace")
            for i in table.key
        ]

    try:
        yield
    except Refused as refused:
        raise name_key(refused, table, find) from refused


def _rows(table: Table, fold: Fold, text: bytes, columns: Sequence[int], rows: Sequence[int]) -> Write:
    """A function that writes these columns of these rows."""

    def write(stream: Stream) -> None:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = np.array(rows[start : start + ROWS_AT_ONCE])
            values = [_column(table, fold, text, column, some) for column in columns]
            stream.write(b"\n".join(map(b",".join, zip(*values, strict=True))))
            stream.write(b"\n")

    return write


def _column(table: Table, fold: Fold, text: bytes, column: int, rows: Positions) -> list[bytes]:
    starts = (fold.values.starts[column, rows] - 1).tolist()
    ends = (fold.values.ends[column, rows] + 1).tolist()
    values = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    decode = table.types[column].decode
    if decode is None:
        return values
    return [value if value == b"NULL" else _enclosed(decode(value[1:-1])) for value in values]


def _enclosed(value: bytes | None) -> bytes:
    return b"NULL" if value is None else b"\0%b\0" % value


class _Partial:
    """Rows that lack unchanged values: these are read from the table first, and the rows are written last."""

    def __init__(self, target: Target, table: Table, fold: Fold, text: bytes) -> None:
        self._target = target
        self._table = table
        definitions = target.column_definitions(table)
        bases = [f"{quote(self._base(i))} {table.types[i].name}" for i in table.key]
        # Servers may be set to require a primary key.
        key = f"{quote(ROW)} BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY"
        target.create_temporary(ROWS, [*definitions, *bases, key])
        unchanged = fold.values.kinds == UNCHANGED
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, row in enumerate(fold.partial):
            groups.setdefault(tuple(np.flatnonzero(unchanged[:, row]).tolist()), []).append(place)
        for missing, places in groups.items():
            self._load(fold, text, missing, places)

    def write(self) -> None:
        names = ", ".join(quote(column.name) for column in self._table.columns)
        self._target.execute(f"REPLACE INTO {quote(self._table.name)} ({names}) SELECT {names} FROM {ROWS}")
        self._target.drop_temporary(ROWS)

    def _load(self, fold: Fold, text: bytes, missing: Sequence[int], places: Sequence[int]) -> None:
        table = self._table
        known = [i for i in range(len(table.columns)) if i not in missing]
        columns = [(table.columns[i].name, i) for i in known] + [(self._base(i), i) for i in table.key]
        numbers = [fold.partial[place] for place in places]
        rows = np.array(numbers)
        values = [_column(table, fold, text, column, rows) for column in known]
        bases = [_key_text(table, fold.bases[place]) for place in places]
        lines = [b",".join((*row, base)) for *row, base in zip(*values, bases, strict=True)]
        with _naming_keys(table, fold, text, numbers):
            self._target.load(ROWS, table, columns, _lines(lines), enclosure="\0")
        name = quote(table.name)
        same_key = " AND ".join(
            f"{name}.{quote(table.columns[i].name)} = {ROWS}.{quote(self._base(i))}" for i in table.key
        )
        values_missing = ", ".join(
            f"{ROWS}.{quote(table.columns[i].name)} = {name}.{quote(table.columns[i].name)}" for i in missing
        )
        # A completed row has no base any more, so the next group does not change it.
        done = ", ".join(f"{ROWS}.{quote(self._base(i))} = NULL" for i in table.key)
        self._target.execute(f"UPDATE {ROWS} JOIN {name} ON {same_key} SET {values_missing}, {done}")

    def _base(self, index: int) -> str:
        return f"_base_{index}"


def _delete(target: Target, table: Table, keys: Collection[Key]) -> None:
    definitions = target.column_definitions(table)
    columns = [(table.columns[i].name, i) for i in table.key]
    names = ", ".join(quote(name) for name, _ in columns)
    target.create_temporary(KEYS, [*(definitions[i] for i in table.key), f"PRIMARY KEY ({names})"])
    target.load(KEYS, table, columns, _lines(_key_text(table, key) for key in keys), enclosure="\0")
    name = quote(table.name)
    target.execute(f"DELETE {name} FROM {KEYS} JOIN {name} USING ({names})")
    target.drop_temporary(KEYS)


def _key_text(table: Table, key: Key) -> bytes:
    texts = key.split(b"\0")
    decoders = [table.types[i].decode for i in table.key]
    decoded = (decode(text) if decode else text for decode, text in zip(decoders, texts, strict=True))
    return b",".join(map(_enclosed, decoded))


def _lines(lines: Iterable[bytes]) -> Write:
    def write(stream: Stream) -> None:
        for line in lines:
            stream.write(line + b"\n")

    return write
