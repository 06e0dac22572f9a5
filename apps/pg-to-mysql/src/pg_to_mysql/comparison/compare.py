"""Compares the rows of both sides: first one checksum, then those of parts, then the rows of parts that differ.

Both servers, at the same time, combine the first 64 bits of each row's SHA-256 by XOR. A row that MySQL has twice
is noticed too: PostgreSQL's rows differ in their key, so another row must be missing if both have as many rows.
Only if the checksums differ are they computed again for parts of the table: ranges of an integer key, or parts by
a hash of another key. Only the rows of parts that differ are read, as keys and hashes.

A row's text is canonical: the texts of its values as :mod:`pg_to_mysql.tables.types` defines them, with the
length before each text that may contain a comma.

MySQL makes no text that is larger than its ``max_allowed_packet``: the result is NULL and a warning. A table with
such rows is compared a second time, with the SHA-256 of each value that may be large in place of the value.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psycopg

from pg_to_mysql.comparison.mysql_side import MySQLSide
from pg_to_mysql.comparison.parts import Hashed, Key, Range, Split, Texts, batched, has_integer_key
from pg_to_mysql.comparison.postgres_side import PostgresSide
from pg_to_mysql.errors import Failure, RowDifference
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.tables.table import Table

ROWS_AT_ONCE = 200_000
"""The number of rows of each side whose keys and hashes are in memory at once."""
KEYS_AT_ONCE = 1000
"""The number of differing rows that one statement reads or copies again."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Differing:
    """The key of a row that differs, and the sides that have such a row."""

    key: Key
    in_source: bool
    in_target: bool


@dataclass(frozen=True)
class Difference:
    """A row that differs, and its description for the user."""

    row: Differing
    told: RowDifference


@dataclass(frozen=True)
class Comparison:
    """The number of PostgreSQL's rows, and of the keys whose rows differ."""

    rows: int
    differing: int


class Comparer:
    """Compares one table. Both connections must see an unchanging state of it."""

    def __init__(self, reader: psycopg.Connection, schema: str, target: Target, table: Table) -> None:
        self._table = table
        self._source = PostgresSide(reader, schema, table)
        self._target = MySQLSide(target, table)

    def compare(self, found: Callable[[list[Difference]], None]) -> Comparison:
        """Compare the table; ``found`` is called with the differences, several times if there are many.

        :raises Failure: MySQL can't make the texts that are compared.
        """
        sums, target_sums = self._both(lambda side: side.sums(None))
        if self._target.lacks_texts():
            self._source.by_digests = self._target.by_digests = True
            sums, target_sums = self._both(lambda side: side.sums(None))
        differing = 0
        if sums != target_sums:
            for rows in self._differing_rows():
                for some in batched(rows, KEYS_AT_ONCE):
                    found(self._describe(some))
                    differing += len(some)
            if not differing:
                raise Failure(
                    f"MySQL's rows of {self._table.name} differ, but not where they can be found: copy it again"
                )
        return Comparison(sums.get(0, (0, 0))[0], differing)

    def repair(self, rows: Sequence[Differing]) -> None:
        """Copy the rows again, in the target's open transaction.

        :raises Failure: MySQL can't hold them.
        """
        for some in batched(rows, KEYS_AT_ONCE):
            self._target.delete([row.key for row in some if row.in_target])
            keys = [row.key for row in some if row.in_source]
            if keys:
                self._target.load(partial(self._source.copy, keys))

    def _differing_rows(self) -> Iterator[list[Differing]]:
        if not has_integer_key(self._table):
            yield from self._differing_rows_of(Hashed())
            return
        limits = [
            limit for limits in self._both(lambda side: side.limits()) for limit in limits if limit is not None
        ]
        if limits:
            yield from self._differing_rows_of(Range(min(limits), max(limits)))

    def _differing_rows_of(self, split: Split) -> Iterator[list[Differing]]:
        sums, target_sums = self._both(lambda side: side.sums(split))
        parts: list[Any] = []
        rows = 0
        for part in sorted(sums.keys() | target_sums.keys()):
            if sums.get(part) == target_sums.get(part):
                continue
            size = max(sides.get(part, (0, 0))[0] for sides in (sums, target_sums))
            if size > ROWS_AT_ONCE and isinstance(split, Range) and split.width > 1:
                yield from self._differing_rows_of(split.part(part))
                continue
            if parts and rows + size > ROWS_AT_ONCE:
                yield self._differing_rows_in(split, parts)
                parts, rows = [], 0
            parts.append(part)
            rows += size
        if parts:
            yield self._differing_rows_in(split, parts)

    def _differing_rows_in(self, split: Split, parts: Sequence[Any]) -> list[Differing]:
        rows, target_rows = self._both(lambda side: side.hashes(split, parts))
        return [
            Differing(key, key in rows, key in target_rows)
            for key in sorted(rows.keys() | target_rows.keys())
            if rows.get(key) != target_rows.get(key)
        ]

    def _describe(self, differing: Sequence[Differing]) -> list[Difference]:
        # Only PostgreSQL's own keys: a key from MySQL may not be a value of PostgreSQL's type.
        both = [row.key for row in differing if row.in_source and row.in_target]
        rows, target_rows = self._both(lambda side: side.texts(both)) if both else ({}, {})
        names = [self._table.columns[i].name for i in self._table.key]
        return [
            Difference(
                row,
                RowDifference(
                    self._table.name,
                    dict(zip(names, row.key, strict=True)),
                    self._what(row, rows, target_rows),
                ),
            )
            for row in differing
        ]

    def _what(self, row: Differing, rows: Texts, target_rows: Texts) -> str:
        if not row.in_target:
            return "is missing in MySQL"
        if not row.in_source:
            return "is in MySQL alone"
        texts = zip(self._table.columns, rows[row.key], target_rows[row.key], strict=True)
        names = [column.name for column, text, target_text in texts if text != target_text]
        return f"has other values in MySQL: {', '.join(names)}" if names else "is there more than once in MySQL"

    def _both(self, ask: Callable[[PostgresSide | MySQLSide], Result]) -> tuple[Result, Result]:
        with ThreadPoolExecutor(1) as other:
            source = other.submit(ask, self._source)
            target = ask(self._target)
            return source.result(), target
