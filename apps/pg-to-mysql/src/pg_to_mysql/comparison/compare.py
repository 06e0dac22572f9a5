"""Do both sides hold the same rows? One checksum first; then those of parts; then the rows of parts that differ.

Both servers, at the same time, add up a 56-bit number of each row's SHA-256. Only where the sums differ are
they built again for ranges of an integer key or for parts by a hash of the key, and only the parts that differ
are read, some at once, as keys and hashes. A row's text is canonical: the texts of its values as
:mod:`pg_to_mysql.tables.types` defines them, with the length before each text that may contain a comma.

MySQL makes no text that is larger than its ``max_allowed_packet``: it has NULL instead, and a warning. A table
for which it gave one is compared by texts in which each value that may be large is its SHA-256.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from pg_to_mysql.errors import Failure, RowDifference
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres.copy_out import copy_out, copy_statement
from pg_to_mysql.postgres.expressions import fill
from pg_to_mysql.rows import Stream
from pg_to_mysql.tables.table import Table

PARTS = 1000
"""Into so many parts a range of an integer key is cut."""
PART_DIGITS = 3
"""Hexadecimal digits of the key's SHA-256 that make the part of another key: 4096 parts."""
ROWS_AT_ONCE = 200_000
"""Of each side, held in memory as keys and hashes."""
KEYS_AT_ONCE = 1000
"""Differing rows that are looked at, or fetched again, in one statement."""
MOST_ARGUMENTS = 90
"""Of a function of PostgreSQL's."""
KEYS = "_replication_compared"
TOO_LARGE = 1301
"""MySQL's warning that a text would be larger than ``max_allowed_packet``, so that it is NULL."""

Result = TypeVar("Result")
Item = TypeVar("Item")
Key = tuple[str, ...]
"""The canonical texts of a key's values."""
Sums = dict[Any, tuple[int, int]]
"""Of each part, the number of rows and the sum of their numbers."""
Texts = dict[Key, Sequence[str]]
"""Of each key, a short text of each column's value: equal where the values are."""


@dataclass(frozen=True)
class Differing:
    """A key whose row differs, and which sides have one."""

    key: Key
    in_source: bool
    in_target: bool


@dataclass(frozen=True)
class Difference:
    """The same, and what is told of it."""

    row: Differing
    told: RowDifference


@dataclass(frozen=True)
class Comparison:
    """How many rows PostgreSQL has, and how many keys differ."""

    rows: int
    differing: int


class Comparer:
    """Compares one table; the reader and the target must both hold still."""

    def __init__(self, reader: psycopg.Connection, schema: str, target: Target, table: Table) -> None:
        self._table = table
        self._source = _Source(reader, schema, table)
        self._target = _Target(target, table)

    def compare(self, found: Callable[[list[Difference]], None]) -> Comparison:
        """Compare; ``found`` gets the differences, some at once.

        :raises Failure: MySQL can't make the texts that are compared.
        """
        sums, target_sums = self._both(lambda side: side.sums(None))
        if self._target.lacks_texts():
            self._source.by_digests = self._target.by_digests = True
            sums, target_sums = self._both(lambda side: side.sums(None))
        differing = 0
        if sums != target_sums:
            for rows in self._differing_rows():
                for some in _batched(rows, KEYS_AT_ONCE):
                    found(self._describe(some))
                    differing += len(some)
            if not differing:
                raise Failure(
                    f"MySQL's rows of {self._table.name} differ, but not where they can be found: copy it again"
                )
        return Comparison(sums.get(0, (0, 0))[0], differing)

    def repair(self, rows: Sequence[Differing]) -> None:
        """Bring the rows again, in the target's open transaction.

        :raises Failure: MySQL can't hold them.
        """
        for some in _batched(rows, KEYS_AT_ONCE):
            self._target.delete([row.key for row in some if row.in_target])
            keys = [row.key for row in some if row.in_source]
            if keys:
                self._target.load(partial(self._source.copy, keys))

    def _differing_rows(self) -> Iterator[list[Differing]]:
        if not _has_integer_key(self._table):
            yield from self._differing_rows_of(_Hashed())
            return
        limits = [
            limit for limits in self._both(lambda side: side.limits()) for limit in limits if limit is not None
        ]
        if limits:
            yield from self._differing_rows_of(_Range(min(limits), max(limits)))

    def _differing_rows_of(self, split: "_Split") -> Iterator[list[Differing]]:
        sums, target_sums = self._both(lambda side: side.sums(split))
        parts: list[Any] = []
        rows = 0
        for part in sorted(sums.keys() | target_sums.keys()):
            if sums.get(part) == target_sums.get(part):
                continue
            size = max(sides.get(part, (0, 0))[0] for sides in (sums, target_sums))
            if size > ROWS_AT_ONCE and isinstance(split, _Range) and split.width > 1:
                yield from self._differing_rows_of(split.part(part))
                continue
            if parts and rows + size > ROWS_AT_ONCE:
                yield self._differing_rows_in(split, parts)
                parts, rows = [], 0
            parts.append(part)
            rows += size
        if parts:
            yield self._differing_rows_in(split, parts)

    def _differing_rows_in(self, split: "_Split", parts: Sequence[Any]) -> list[Differing]:
        rows, target_rows = self._both(lambda side: side.hashes(split, parts))
        return [
            Differing(key, key in rows, key in target_rows)
            for key in sorted(rows.keys() | target_rows.keys())
            if rows.get(key) != target_rows.get(key)
        ]

    def _describe(self, differing: Sequence[Differing]) -> list[Difference]:
        # Only of keys that it has: another may be no value of PostgreSQL's type.
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

    def _both(self, ask: "Callable[[_Source | _Target], Result]") -> tuple[Result, Result]:
        with ThreadPoolExecutor(1) as other:
            source = other.submit(ask, self._source)
            target = ask(self._target)
            return source.result(), target


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[i : i + size] for i in range(0, len(items), size))


class _Hashed:
    """All rows, in parts by a hash of the key."""


@dataclass(frozen=True)
class _Range:
    """The rows of a range of an integer key, in parts of equal width."""

    low: int
    high: int

    @property
    def width(self) -> int:
        return (self.high - self.low) // PARTS + 1

    def part(self, number: int) -> "_Range":
        low = self.low + number * self.width
        return _Range(low, min(low + self.width - 1, self.high))


_Split = _Hashed | _Range


def _has_integer_key(table: Table) -> bool:
    return len(table.key) == 1 and table.columns[table.key[0]].type_name in ("int2", "int4", "int8")


class _Source:
    """PostgreSQL's side."""

    def __init__(self, reader: psycopg.Connection, schema: str, table: Table) -> None:
        self._reader = reader
        self._table = table
        query = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s"
        [(partitioned,)] = reader.execute(query, [table.oid]).fetchall()
        # Partitions are the table; what else inherits from it is a table of its own.
        self._from = sql.SQL("" if partitioned else "ONLY ") + sql.Identifier(schema, table.name)
        self._names = [sql.SQL("source.") + sql.Identifier(column.name) for column in table.columns]
        self._texts = [fill(kind.source_text, name) for name, kind in zip(self._names, table.types, strict=True)]
        self._short_texts = [
            fill(kind.digests[0], name) if kind.digests else text
            for name, text, kind in zip(self._names, self._texts, table.types, strict=True)
        ]
        self._key = sql.SQL(", ").join(self._texts[i] for i in table.key)
        self.by_digests = False

    @property
    def _row(self) -> sql.Composable:
        pieces: list[sql.Composable] = []
        for text, short, kind in zip(self._texts, self._short_texts, self._table.types, strict=True):
            if kind.free_text and not self.by_digests:
                pieces.append(sql.SQL("length({})").format(text))
            pieces.append(short if self.by_digests else text)
        return sql.SQL("sha256(textsend({}))").format(_concat(pieces))

    def limits(self) -> tuple[int | None, int | None]:
        """The integer key's least and greatest value."""
        key = self._names[self._table.key[0]]
        [row] = self._ask(sql.SQL("SELECT min({key}), max({key}) FROM {table}").format(key=key, table=self._as()))
        return row[0], row[1]

    def sums(self, split: _Split | None) -> Sums:
        """Of each part; of all rows without a split."""
        part, where = self._part(split)
        query = sql.SQL(
            "SELECT {part}, count(*), sum(('x' || encode(substr({row}, 1, 7), 'hex'))::bit(56)::bigint)"
            " FROM {table} WHERE {where} GROUP BY 1"
        ).format(part=part, row=self._row, table=self._as(), where=where)
        return {part: (int(count), int(number)) for part, count, number in self._ask(query)}

    def hashes(self, split: _Split, parts: Sequence[Any]) -> dict[Key, str]:
        """The key and the hash of each row of the parts."""
        part, where = self._part(split, parts)
        query = sql.SQL("SELECT {row}, {key} FROM {table} WHERE {where} AND {part} = ANY ({parts})").format(
            row=self._row, key=self._key, table=self._as(), where=where, part=part, parts=list(parts)
        )
        return {tuple(key): bytes(row).hex() for row, *key in self._ask(query)}

    def texts(self, keys: Sequence[Key]) -> Texts:
        """What the keys' rows are."""
        rows = self._ask(
            sql.SQL("SELECT {}, {} {}").format(
                self._key, sql.SQL(", ").join(self._short_texts), self._from_keys(keys)
            )
        )
        width = len(self._table.key)
        return {tuple(row[:width]): row[width:] for row in rows}

    def copy(self, keys: Sequence[Key], stream: Stream) -> int:
        """Write the keys' rows as a copy does; return their number."""
        statement = copy_statement(self._table, self._names, self._from_keys(keys))
        return copy_out(self._reader, statement.as_bytes(self._reader), stream)

    def _from_keys(self, keys: Sequence[Key]) -> sql.Composable:
        """The keys' rows, for a SELECT."""
        oids = [self._table.columns[i].type_oid for i in self._table.key]
        query = sql.SQL("SELECT format_type(oid, -1) FROM unnest({}::oid[]) oid").format(oids)
        types = [name for (name,) in self._ask(query)]
        places = [sql.Identifier(f"key_{i}") for i in range(len(oids))]
        return sql.SQL("FROM {table} JOIN unnest({arrays}) AS keys ({places}) ON {same}").format(
            table=self._as(),
            arrays=sql.SQL(", ").join(
                sql.SQL("{}::text[]").format(list(values)) for values in zip(*keys, strict=True)
            ),
            places=sql.SQL(", ").join(places),
            same=sql.SQL(" AND ").join(
                sql.SQL("{} = {}::{}").format(self._names[i], place, sql.SQL(type_name))
                for i, place, type_name in zip(self._table.key, places, types, strict=True)
            ),
        )

    def _part(self, split: _Split | None, parts: Sequence[int] = ()) -> tuple[sql.Composable, sql.Composable]:
        """The part's expression, and the condition that is true of the rows."""
        if split is None:
            return sql.SQL("0"), sql.SQL("true")
        if isinstance(split, _Hashed):
            key = _concat([self._texts[i] for i in self._table.key])
            part = sql.SQL("substr(encode(sha256(textsend({})), 'hex'), 1, {})").format(key, PART_DIGITS)
            return part, sql.SQL("true")
        key = self._names[self._table.key[0]]
        part = sql.SQL("div({}::numeric - {}, {})::int").format(key, split.low, split.width)
        low, high = _bounds(split, parts)
        return part, sql.SQL("{} BETWEEN {} AND {}").format(key, low, high)

    def _as(self) -> sql.Composable:
        return sql.SQL("{} AS source").format(self._from)

    def _ask(self, query: sql.Composed) -> list[tuple[Any, ...]]:
        # Without parameters, as a percent sign in a name would be taken for one.
        return self._reader.execute(query).fetchall()


def _bounds(split: _Range, parts: Sequence[int]) -> tuple[int, int]:
    if not parts:
        return split.low, split.high
    return split.part(min(parts)).low, split.part(max(parts)).high


def _concat(pieces: Sequence[sql.Composable]) -> sql.Composable:
    """The pieces with commas between them; NULL is nothing."""
    groups = [
        sql.SQL("concat({})").format(sql.SQL(", ',', ").join(some))
        for some in _batched(pieces, MOST_ARGUMENTS // 2)
    ]
    return groups[0] if len(groups) == 1 else _concat(groups)


class _Target:
    """MySQL's side."""

    def __init__(self, target: Target, table: Table) -> None:
        self._target = target
        self._table = table
        self._names = [f"target.{quote(column.name)}" for column in table.columns]
        self._from = f"{quote(table.name)} AS target"
        self._texts = [
            kind.target_text.replace("{}", name) for name, kind in zip(self._names, table.types, strict=True)
        ]
        self._short_texts = [
            kind.digests[1].replace("{}", name) if kind.digests else text
            for name, text, kind in zip(self._names, self._texts, table.types, strict=True)
        ]
        self._key = ", ".join(f"CONCAT({self._texts[i]})" for i in table.key)
        self.by_digests = False

    @property
    def _row(self) -> str:
        pieces: list[str] = []
        for text, short, kind in zip(self._texts, self._short_texts, self._table.types, strict=True):
            if kind.free_text and not self.by_digests:
                pieces.append(f"IFNULL(CHAR_LENGTH({text}), '')")
            pieces.append(f"IFNULL({short if self.by_digests else text}, '')")
        return "SHA2(CONCAT({}), 256)".format(", ',', ".join(pieces))

    def limits(self) -> tuple[int | None, int | None]:
        """The integer key's least and greatest value."""
        key = self._names[self._table.key[0]]
        [(low, high)] = self._target.execute(f"SELECT MIN({key}), MAX({key}) FROM {self._from}")
        return low, high

    def sums(self, split: _Split | None) -> Sums:
        """Of each part; of all rows without a split."""
        part, where = self._part(split)
        grouped = "" if split is None else " GROUP BY part"
        rows = self._ask(
            f"SELECT {part} AS part, COUNT(*), SUM(CAST(CONV(LEFT({self._row}, 14), 16, 10) AS UNSIGNED))"
            f" FROM {self._from} WHERE {where}{grouped}"
        )
        return {part: (int(count), int(number or 0)) for part, count, number in rows if count}

    def lacks_texts(self) -> bool:
        """Whether MySQL had NULL for a text that is too large, in the last statement."""
        warnings = self._target.execute("SHOW WARNINGS")
        [(count,)] = self._target.execute("SHOW COUNT(*) WARNINGS")
        # A server may be set to store none of those that it counts.
        return count > len(warnings) or any(number == TOO_LARGE for _, number, _ in warnings)

    def hashes(self, split: _Split, parts: Sequence[Any]) -> dict[Key, str]:
        """The key and the hash of each row of the parts; of a key's rows together, should they be more."""
        part, where = self._part(split, parts)
        wanted = ", ".join(f"'{part}'" for part in parts)
        rows = self._ask(
            f"SELECT {self._row}, {self._key} FROM {self._from} WHERE {where} AND {part} IN ({wanted})"
        )
        hashes: dict[Key, str] = {}
        for row, *key in rows:
            hashes[tuple(key)] = hashes.get(tuple(key), "") + row
        return hashes

    def texts(self, keys: Sequence[Key]) -> Texts:
        """What the keys' rows are."""
        self._store_keys(keys)
        texts = ", ".join(f"CONCAT({text})" for text in self._short_texts)
        rows = self._ask(f"SELECT {self._key}, {texts} FROM {self._from} {self._join}")
        width = len(self._table.key)
        return {tuple(row[:width]): row[width:] for row in rows}

    def delete(self, keys: Sequence[Key]) -> None:
        """Delete the keys' rows."""
        if keys:
            self._store_keys(keys)
            self._target.execute(f"DELETE target FROM {self._from} {self._join}")

    def load(self, copy: Callable[[Stream], int]) -> None:
        """Load the rows that ``copy`` writes, of which it returns the number."""
        self._target.load_copy(self._table.name, self._table, copy)

    @property
    def _join(self) -> str:
        return "JOIN {} USING ({})".format(
            KEYS, ", ".join(quote(self._table.columns[i].name) for i in self._table.key)
        )

    def _store_keys(self, keys: Sequence[Key]) -> None:
        columns = [(self._table.columns[i].name, i) for i in self._table.key]
        names = ", ".join(quote(name) for name, _ in columns)
        definitions = [f"{quote(name)} {self._table.types[i].name} NOT NULL" for name, i in columns]
        self._target.create_temporary(KEYS, [*definitions, f"PRIMARY KEY ({names})"])

        def write(stream: Stream) -> None:
            for key in keys:
                values = ("\0" + text.replace("\0", "\0\0") + "\0" for text in key)
                stream.write(",".join(values).encode() + b"\n")

        self._target.load(KEYS, self._table, columns, write, enclosure="\0")

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        rows = self._target.execute(query)
        if self.by_digests and self.lacks_texts():
            raise Failure(
                f"MySQL can't compare the table {self._table.name}, as the text that stands for a row is larger"
                " than its max_allowed_packet: set that to 1 MB or more for the server"
            )
        return rows

    def _part(self, split: _Split | None, parts: Sequence[int] = ()) -> tuple[str, str]:
        """The part's expression, and the condition that is true of the rows."""
        if split is None:
            return "0", "TRUE"
        if isinstance(split, _Hashed):
            key = ", ',', ".join(self._texts[i] for i in self._table.key)
            return f"LEFT(SHA2(CONCAT({key}), 256), {PART_DIGITS})", "TRUE"
        key = self._names[self._table.key[0]]
        low, high = _bounds(split, parts)
        # As DECIMAL: the difference of two BIGINTs may be none.
        part = f"CAST((CAST({key} AS DECIMAL(20)) - {split.low}) DIV {split.width} AS SIGNED)"
        return part, f"{key} BETWEEN {low} AND {high}"
