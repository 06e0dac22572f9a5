"""How a table is divided into parts, and what is compared for each part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pg_to_mysql.tables.table import Table

PARTS = 1000
"""The number of parts of a range of an integer key."""
PART_DIGITS = 3
"""The number of hexadecimal digits of the key's SHA-256 that name the part of another key. That makes 4096
parts."""

Item = TypeVar("Item")
Key = tuple[str, ...]
"""The canonical texts of a key's values."""
Sums = dict[Any, tuple[int, int]]
"""For each part, the number of rows and the checksum of their hashes."""
Texts = dict[Key, Sequence[str]]
"""For each key, a short text of each column's value. Equal values have equal texts."""


class Hashed:
    """All rows, divided by a hash of the key."""


@dataclass(frozen=True)
class Range:
    """The rows in a range of an integer key, divided into parts of equal width."""

    low: int
    high: int

    @property
    def width(self) -> int:
        """The largest number of key values in a part."""
        return (self.high - self.low) // PARTS + 1

    def part(self, number: int) -> "Range":
        """One of the parts, as a range that can be divided again."""
        low = self.low + number * self.width
        return Range(low, min(low + self.width - 1, self.high))


Split = Hashed | Range


def has_integer_key(table: Table) -> bool:
    """Whether the table can be divided into ranges."""
    return len(table.key) == 1 and table.columns[table.key[0]].type_name in ("int2", "int4", "int8")


def bounds(split: Range, parts: Sequence[int]) -> tuple[int, int]:
    """The smallest and the largest key of the parts; without parts, of the whole range."""
    if not parts:
        return split.low, split.high
    return split.part(min(parts)).low, split.part(max(parts)).high


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in batches of this size."""
    return (items[i : i + size] for i in range(0, len(items), size))
