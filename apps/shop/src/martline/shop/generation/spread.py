"""Assigns rows evenly to other rows, in their order."""

from collections.abc import Callable

import numpy as np

from martline.shop.generation.numbers import Integers, Rows

Found = tuple[Integers, ...]
FEW = 2**16


def spread(rows: Rows, count: int, among: int) -> Rows:
    """For each row of ``count``, the number of one of ``among`` others. All are used before one is used again."""
    whole_rounds = count // among * among
    left = max(1, count - whole_rounds)
    return np.where(rows < whole_rounds, rows % among, (rows - whole_rounds) * among // left)


def parts(numbers: Rows, among: int, find: Callable[[Rows], Found]) -> Found:
    """What ``find`` returns for the numbers. If ``among`` is large, it is called for each ascending run."""
    if len(numbers) == 0 or among <= FEW:
        return find(numbers)
    rounds = np.split(numbers, np.flatnonzero(np.diff(numbers) < 0) + 1)
    return tuple(np.concatenate(columns) for columns in zip(*map(find, rounds), strict=True))
