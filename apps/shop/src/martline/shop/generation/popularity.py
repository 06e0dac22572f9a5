"""Zipf's law: the row with rank r is chosen with a probability proportional to 1 / r^exponent."""

from enum import Enum
from math import gcd

import numpy as np

from martline.shop.generation.numbers import Integers, Numbers, Rows

_SCALE = 2.0**40
"""The weight of rank 1. With it, the sum over all rows stays below 2^52."""
_MAKE_AT_ONCE = 2**18


class Exponent(Enum):
    """The law's exponent. These powers need only square roots, which are rounded exactly (see ``numbers``)."""

    ONE = "1"
    THREE_QUARTERS = "3/4"

    def weights(self, ranks: Integers) -> Integers:
        """The weight of each rank, counted from 1."""
        roots = np.sqrt(ranks.astype(np.float64))
        powers = ranks if self is Exponent.ONE else roots * np.sqrt(roots)
        return (_SCALE / powers).astype(np.int64)


class Popularity:
    """Chooses among ``count`` rows. Takes 8 bytes a row, for the sums of the weights."""

    def __init__(self, numbers: Numbers, name: str, count: int, exponent: Exponent) -> None:
        self._numbers = numbers
        # A step that is coprime to the count gives each row a different rank. A step near the golden ratio
        # spreads the ranks evenly over the rows, so that each year has popular and unpopular rows.
        one = np.zeros(1, dtype=np.int64)
        shift = int(numbers.below(f"{name} shift", one, count)[0])
        step = max(1, count * 618_034 // 1_000_000)
        while gcd(step, count) != 1:
            step += 1
        self.sums = np.zeros(count + 1, dtype=np.int64)
        for start in range(0, count, _MAKE_AT_ONCE):
            rows = np.arange(start, min(start + _MAKE_AT_ONCE, count), dtype=np.int64)
            ranks = (rows * step + shift) % count + 1
            self.sums[start + 1 : start + 1 + len(rows)] = exponent.weights(ranks)
        np.cumsum(self.sums, out=self.sums)

    def choose(self, column: str, rows: Rows, among: Integers) -> Rows:
        """For each row, one of the first ``among`` rows to choose from."""
        positions = self._numbers.below(column, rows, self.sums[among])
        return np.searchsorted(self.sums, positions, side="right") - 1
