"""Folds many changes of a table into the last state of each key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pg_to_mysql.postgres.pgoutput import DELETE, NEW_ROW, UNCHANGED, Messages, Positions, Values

Key = bytes
"""The texts of a key's columns, joined by a NUL byte, which no text of PostgreSQL contains."""
GONE = -1


@dataclass
class Fold:
    """The work on a table: it is emptied if it was truncated, then rows are deleted, then rows are written."""

    values: Values
    truncated: bool = False
    deleted: list[Key] = field(default_factory=list)
    """The keys of the rows to delete."""
    rows: list[int] = field(default_factory=list)
    """The complete rows to write, as numbers of rows in ``values``."""
    partial: list[int] = field(default_factory=list)
    """The rows to write that lack unchanged values, as numbers of rows in ``values``."""
    bases: list[Key] = field(default_factory=list)
    """For each partial row, the key of the row in MySQL that has its unchanged values.

    They must be read before anything is deleted.
    """
    keys: list[Key] = field(default_factory=list)
    """The keys of all rows that are deleted or written."""


def fold(
    messages: Messages, changes: Positions, columns: int, key: Sequence[int], *, truncated: bool = False
) -> Fold:
    """Fold the inserts, updates and deletes of one table.

    :param changes: the positions of these changes among the messages.
    :param columns: the number of the table's columns.
    :param key: the indexes of the key's columns.
    :param truncated: whether the table was truncated before the first of the changes.
    """
    starts, kinds = messages.starts[changes], messages.kinds[changes]
    first, ends = messages.rows(starts + 6, columns)
    # If a message also contains the old row or the old key, that comes first.
    has_old = messages.bytes[starts + 5] != NEW_ROW
    writes = kinds != DELETE
    values = first.of(writes)
    has_both = np.flatnonzero(has_old & writes)
    if len(has_both):
        new, _ = messages.rows(ends[has_both] + 1, columns)
        _take_large_keys(new, first.of(has_both), key)
        values.put((np.cumsum(writes) - 1)[has_both], new)
    steps = _steps(
        (np.flatnonzero(has_old), _keys(messages, first.of(has_old), key)),
        (np.flatnonzero(writes), _keys(messages, values, key)),
    )
    result = Fold(values, truncated)
    if (values.kinds == UNCHANGED).any():
        _fold_partial(result, steps, has_old[writes].tolist())
    else:
        last = dict(steps)
        rows = np.fromiter(last.values(), np.int64, len(last))
        result.rows = _in_order(messages, values, key[0], rows[rows != GONE]).tolist()
        result.deleted = [key for key, row in last.items() if row == GONE]
        result.keys = list(last)
    return result


def _in_order(messages: Messages, values: Values, column: int, rows: Positions) -> Positions:
    """The rows, roughly sorted by a column of the key, because MySQL then finds their places faster.

    They are sorted by the length of the column's text and then by its first eight characters.
    """
    starts, ends = values.starts[column, rows], values.ends[column, rows]
    return rows[np.lexsort((messages.number(8, starts), ends - starts))]


def _take_large_keys(new: Values, old: Values, key: Sequence[int]) -> None:
    """Take unchanged large values of the key from the old key, because the new row lacks them."""
    for column in key:
        unchanged = np.flatnonzero(new.kinds[column] == UNCHANGED)
        for target, origin in zip(new.arrays, old.arrays, strict=True):
            target[column, unchanged] = origin[column, unchanged]


def _keys(messages: Messages, values: Values, key: Sequence[int]) -> list[Key]:
    columns = [messages.texts(values.starts[i], values.ends[i]) for i in key]
    return columns[0] if len(columns) == 1 else [b"\0".join(texts) for texts in zip(*columns, strict=True)]


def _steps(old: tuple[Positions, list[Key]], new: tuple[Positions, list[Key]]) -> Iterable[tuple[Key, int]]:
    """Each key that a change touches, in order, with the number of the row that is written, or GONE.

    :param old: the positions of the changes that contain an old key, and these keys.
    :param new: the positions of the changes that write a row, and the keys of the rows.

    The old key of a change comes before its new key.
    """
    (leaving, old_keys), (writing, new_keys) = old, new
    if not len(leaving):
        return zip(new_keys, range(len(new_keys)), strict=True)
    order = np.argsort(np.concatenate((2 * leaving, 2 * writing + 1)))
    rows = np.concatenate((np.full(len(old_keys), GONE), np.arange(len(new_keys))))[order]
    return zip(map((old_keys + new_keys).__getitem__, order.tolist()), rows.tolist(), strict=True)


def _fold_partial(result: Fold, steps: Iterable[tuple[Key, int]], has_old: Sequence[bool]) -> None:
    """Fold rows of which some lack unchanged values, which an earlier row may contain."""
    kinds = result.values.kinds
    lacking = (kinds == UNCHANGED).any(axis=0).tolist()
    last: dict[Key, int] = {}
    bases: dict[int, Key] = {}
    left: tuple[Key, int | None] = (b"", None)
    for key, row in steps:
        if row == GONE:
            left = key, last.get(key)
        elif lacking[row]:
            base, before = left if has_old[row] else (key, last.get(key))
            if before is not None:
                base = bases.get(before, base)
                _complete(result.values, row, before)
            if (kinds[:, row] == UNCHANGED).any():
                bases[row] = base
        last[key] = row
    result.deleted = [key for key, row in last.items() if row == GONE]
    result.rows = [row for row in last.values() if row != GONE and row not in bases]
    result.partial = [row for row in last.values() if row in bases]
    result.bases = [bases[row] for row in result.partial]
    result.keys = list(last)


def _complete(values: Values, row: int, before: int) -> None:
    unchanged = values.kinds[:, row] == UNCHANGED
    for array in values.arrays:
        array[unchanged, row] = array[unchanged, before]
