"""Random numbers that depend only on seed, column and row, so that any row can be made without those before it.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014). The
state of a row is ``key + row * GAMMA``, so it is reached in one step. Only integers and the operations that IEEE
754 rounds exactly (``+ - * /`` and the square root) turn the numbers into values, because logarithms and powers
come from the machine's own mathematical library, whose last bit differs between machines.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-52

Integers = NDArray[np.int64]
Rows = NDArray[np.int64]
"""Numbers of rows, counted from 0."""


def column_key(seed: int, column: str) -> np.uint64:
    """The state from which the numbers of a column begin."""
    digest = blake2b(f"{seed} {column}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


class Numbers:
    """The random numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[str, np.uint64] = {}

    def raw(self, column: str, rows: Rows) -> NDArray[np.uint64]:
        """64 random bits for each row."""
        key = self._keys.get(column)
        if key is None:
            key = self._keys[column] = column_key(self._seed, column)
        bits = rows.astype(np.uint64)
        bits *= GAMMA
        bits += key
        bits ^= bits >> np.uint64(30)
        bits *= _FIRST
        bits ^= bits >> np.uint64(27)
        bits *= _SECOND
        bits ^= bits >> np.uint64(31)
        return bits

    def fraction(self, column: str, rows: Rows) -> NDArray[np.float64]:
        """Numbers from 0 to below 1, in multiples of 2^-52."""
        # With 52 bits, the product with a bound below 2^52 is always below that bound.
        fractions = (self.raw(column, rows) >> np.uint64(12)).astype(np.float64)
        fractions *= _UNIT
        return fractions

    def below(self, column: str, rows: Rows, bound: int | Integers) -> Integers:
        """Integers from 0 to below ``bound``, which must be below 2^52."""
        return (self.fraction(column, rows) * bound).astype(np.int64)
