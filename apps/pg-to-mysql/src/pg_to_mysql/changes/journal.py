"""The keys of folded changes, for the journal."""

import numpy as np

from pg_to_mysql.changes.fold import Fold, Key
from pg_to_mysql.mysql.journal import Journal
from pg_to_mysql.tables.table import Table
from pg_to_mysql.tables.types import MySQLType


def note(journal: Journal, table: Table, fold: Fold, text: bytes) -> None:
    """Note the rows that the fold, whose values are in ``text``, writes or deletes."""
    journal.note(table.name, _changed(table, fold, text))


def _changed(table: Table, fold: Fold, text: bytes) -> list[Key] | None:
    """The keys with their values as MySQL loads them; None if that can't be told."""
    kinds = [table.types[i] for i in table.key]
    if fold.truncated or any(kind.binary for kind in kinds):  # MySQL's bytes may contain a NUL
        return None
    rows = np.array([*fold.rows, *fold.partial], np.int64)
    columns = []
    for index, kind in zip(table.key, kinds, strict=True):
        starts, ends = fold.values.starts[index, rows].tolist(), fold.values.ends[index, rows].tolist()
        texts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        columns.append([_loaded(kind, value) for value in texts] if kind.decode else texts)
    written = columns[0] if len(columns) == 1 else list(map(b"\0".join, zip(*columns, strict=True)))
    if not any(kind.decode for kind in kinds):
        return fold.deleted + written
    deleted = [b"\0".join(map(_loaded, kinds, key.split(b"\0"))) for key in fold.deleted]
    return deleted + written


def _loaded(kind: MySQLType, text: bytes) -> bytes:
    """What MySQL loads for a value of a key, which is never NULL."""
    return (kind.decode(text) or b"") if kind.decode else text
