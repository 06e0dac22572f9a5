"""Many changes of a table, reduced to the last state of each key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pg_to_mysql.postgres.pgoutput import DELETE, NEW_ROW, UNCHANGED, Messages, Positions, Values

Key = bytes
"""The texts of a key's columns, joined by a NUL byte, which no text of PostgreSQL contains."""
GONE = -1


@dataclass
class Fold:
    """What is to be done to a table: empty it if ``truncated``, delete ``deleted``, write the rows.

    ``rows`` and ``partial`` are numbers of rows in ``values``. A partial row lacks unchanged values, which the
    table has in the row with the key that ``bases`` tells, and which are to be taken from there before
    anything is deleted. ``keys`` are those of all rows that are deleted or written.
    """

    values: Values
    truncated: bool = False
    deleted: list[Key] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    partial: list[int] = field(default_factory=list)
    bases: list[Key] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)


def fold(
    messages: Messages, changes: Positions, columns: int, key: Sequence[int], *, truncated: bool = False
) -> Fold:
    """Reduce the inserts, updates and deletes of one table, whose numbers among the messages are ``changes``.

    ``columns`` is how many the table has, ``key`` the indexes of those that make its key. ``truncated`` says
    that the table was emptied before the first of them.
    """
    starts, kinds = messages.starts[changes], messages.kinds[changes]
    first, ends = messages.rows(starts + 6, columns)
    # Where not the new row alone is sent, the old one, or its key, comes first.
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
    """The rows roughly in the order of a column of the key, in which MySQL finds their places faster.

    Numbers, and texts of equal length, are in order by their first eight characters.
    """
    starts, ends = values.starts[column, rows], values.ends[column, rows]
    return rows[np.lexsort((messages.number(8, starts), ends - starts))]


def _take_large_keys(new: Values, old: Values, key: Sequence[int]) -> None:
    """A large value of the key may be unchanged: the old key has it."""
    for column in key:
        unchanged = np.flatnonzero(new.kinds[column] == UNCHANGED)
        for target, origin in zip(new.arrays, old.arrays, strict=True):
            target[column, unchanged] = origin[column, unchanged]


def _keys(messages: Messages, values: Values, key: Sequence[int]) -> list[Key]:
    columns = [messages.texts(values.starts[i], values.ends[i]) for i in key]
    return columns[0] if len(columns) == 1 else [b"\0".join(texts) for texts in zip(*columns, strict=True)]


def _steps(old: tuple[Positions, list[Key]], new: tuple[Positions, list[Key]]) -> Iterable[tuple[Key, int]]:
    """What becomes of the keys, in order: GONE, or the number of the row that is written.

    ``old`` and ``new`` are the numbers of the changes that have an old key, or write a row, and these keys.
    A change's old key comes before its new one.
    """
    (leaving, old_keys), (writing, new_keys) = old, new
    if not len(leaving):
        return zip(new_keys, range(len(new_keys)), strict=True)
    order = np.argsort(np.concatenate((2 * leaving, 2 * writing + 1)))
    rows = np.concatenate((np.full(len(old_keys), GONE), np.arange(len(new_keys))))[order]
    return zip(map((old_keys + new_keys).__getitem__, order.tolist()), rows.tolist(), strict=True)


def _fold_partial(result: Fold, steps: Iterable[tuple[Key, int]], has_old: Sequence[bool]) -> None:
    """Fold rows of which some lack values, that a row before may have brought."""
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
