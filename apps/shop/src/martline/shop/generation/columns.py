"""Arrow's columns of what NumPy has computed."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from martline.shop.generation.numbers import Integers

Column: TypeAlias = Any
"""A ``pyarrow.Array``: Arrow comes without types."""
PRICE = pa.decimal128(10, 2)
AMOUNT = pa.decimal128(12, 2)


def money(cents: Integers, kind: pa.DataType = AMOUNT) -> Column:
    """Exact decimals of cents."""
    # A decimal of 128 bits is two words, the lower one first; cents are never negative, so the other is 0.
    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(kind, len(cents), [None, pa.py_buffer(words)])


def moments(seconds: Integers, missing: NDArray[np.bool_] | None = None) -> Column:
    """Timestamps without a time zone, null where they are missing."""
    return pa.array(seconds, mask=missing).view(pa.timestamp("s"))


def chosen(pool: Sequence[str] | Column, numbers: Integers) -> Column:
    """Strings of a pool by their numbers."""
    strings = pool if isinstance(pool, pa.Array) else pa.array(pool, pa.string())
    return strings.take(pa.array(numbers))


def joined(*parts: Column | str, separator: str = "") -> Column:
    """Strings put together row by row; what is not a string is written as one."""
    strings = [part if isinstance(part, str) else pc.cast(part, pa.string()) for part in parts]
    return pc.binary_join_element_wise(*strings, separator)


def whole(numbers: Integers, kind: pa.DataType | None = None) -> Column:
    """Whole numbers, of 64 bits unless said."""
    return pa.array(numbers, kind or pa.int64())
