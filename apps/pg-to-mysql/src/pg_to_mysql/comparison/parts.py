"""Into which parts a table is cut, and what both sides say of a part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pg_to_mysql.tables.table import Table

PARTS = 1000
"""Into so many parts a range of an integer key is cut."""
PART_DIGITS = 3
"""Hexadecimal digits of the key's SHA-256 that make the part of another key: 4096 parts."""

Item = TypeVar("Item")
Key = tuple[str, ...]
"""The canonical texts of a key's values."""
Sums = dict[Any, tuple[int, int]]
"""Of each part, the number of rows and the checksum of their hashes."""
Texts = dict[Key, Sequence[str]]
"""Of each key, a short text of each column's value: equal where the values are."""


class Hashed:
    """All rows, in parts by a hash of the key."""


@dataclass(frozen=True)
class Range:
    """The rows of a range of an integer key, in parts of equal width."""

    low: int
    high: int

    @property
    def width(self) -> int:
        """How many values of the key a part has at most."""
        return (self.high - self.low) // PARTS + 1

    def part(self, number: int) -> "Range":
        """One of the parts, to be cut again."""
        low = self.low + number * self.width
        return Range(low, min(low + self.width - 1, self.high))


Split = Hashed | Range


def has_integer_key(table: Table) -> bool:
    """Whether the table can be cut into ranges."""
    return len(table.key) == 1 and table.columns[table.key[0]].type_name in ("int2", "int4", "int8")


def bounds(split: Range, parts: Sequence[int]) -> tuple[int, int]:
    """The least and the greatest key of the parts; of the whole range if none is named."""
    if not parts:
        return split.low, split.high
    return split.part(min(parts)).low, split.part(max(parts)).high


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items, so many at once."""
    return (items[i : i + size] for i in range(0, len(items), size))
