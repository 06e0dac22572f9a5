"""Turns NumPy's arrays into Arrow's columns."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from martline.shop.generation.numbers import Integers

Column: TypeAlias = Any
"""A ``pyarrow.Array``, for which PyArrow has no type annotations."""
PRICE = pa.decimal128(10, 2)
AMOUNT = pa.decimal128(12, 2)


def money(cents: Integers, kind: pa.DataType = AMOUNT) -> Column:
    """Cents as exact decimals."""
    # A 128-bit decimal is two words, the low one first. Cents are never negative, so the high word is 0.
    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(kind, len(cents), [None, pa.py_buffer(words)])


def moments(seconds: Integers, missing: NDArray[np.bool_] | None = None) -> Column:
    """Timestamps without a time zone, null where ``missing`` is true."""
    return pa.array(seconds, mask=missing).view(pa.timestamp("s"))


def chosen(pool: Sequence[str] | Column, numbers: Integers) -> Column:
    """The strings of a pool that have these numbers."""
    strings = pool if isinstance(pool, pa.Array) else pa.array(pool, pa.string())
    return strings.take(pa.array(numbers))


def joined(*parts: Column | str, separator: str = "") -> Column:
    """The parts concatenated row by row; columns of other types are converted to strings."""
    strings = [part if isinstance(part, str) else pc.cast(part, pa.string()) for part in parts]
    return pc.binary_join_element_wise(*strings, separator)


def whole(numbers: Integers, kind: pa.DataType | None = None) -> Column:
    """Integers, of 64 bits by default."""
    return pa.array(numbers, kind or pa.int64())
