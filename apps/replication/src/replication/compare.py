"""Do both sides hold the same rows? Checksums first; then the rows of the parts that differ.

Each server puts its rows into parts by a hash of the key, and adds up two 60-bit numbers of each row's SHA-256.
Only a part whose sums differ is read row by row. A row's text is canonical: each value's length and its text
as :mod:`replication.types` defines it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from replication.source import Table
from replication.target import Target, quote

PART_DIGITS = 3
"""Hexadecimal digits of the key's SHA-256 that make the part: 4096 parts."""


@dataclass(frozen=True)
class Comparison:
    """A table's rows in PostgreSQL, and the keys (as text) that differ, with how."""

    rows: int
    differences: dict[str, str]


def compare_table(reader: psycopg.Connection, schema: str, target: Target, table: Table) -> Comparison:
    """Compare one table; ``reader`` and the target must both hold still."""
    sides = _Source(reader, schema, table), _Target(target, table)
    sums, target_sums = (side.sums() for side in sides)
    parts = sorted(part for part in sums.keys() | target_sums.keys() if sums.get(part) != target_sums.get(part))
    differences: dict[str, str] = {}
    if parts:
        rows, target_rows = (side.rows(parts) for side in sides)
        for key in sorted(rows.keys() | target_rows.keys()):
            if rows.get(key) != target_rows.get(key):
                differences[key] = _what(key in rows, key in target_rows)
    return Comparison(sum(int(count) for count, *_ in sums.values()), differences)


def _what(in_source: bool, in_target: bool) -> str:
    if in_source and in_target:
        return "has other values in MySQL"
    return "is missing in MySQL" if in_source else "is in MySQL alone"


class _Source:
    """PostgreSQL's side."""

    def __init__(self, reader: psycopg.Connection, schema: str, table: Table) -> None:
        self._reader = reader
        self._from = sql.Identifier(schema, table.name)
        texts = [
            _fill_sql(kind.source_text, sql.Identifier(column.name))
            for column, kind in zip(table.columns, table.types, strict=True)
        ]
        self._key = sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(texts[i] for i in table.key))
        self._row = sql.SQL("concat({})").format(
            sql.SQL(", ").join(
                sql.SQL("coalesce(length({0}) || ':' || {0}, '-')").format(
                    sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(sql.Identifier(column.name), text)
                )
                for column, text in zip(table.columns, texts, strict=True)
            )
        )

    def sums(self) -> dict[str, tuple[Any, ...]]:
        """Each part's count and sums."""
        query = sql.SQL(
            "SELECT part, count(*), sum(('x' || substr(hash, 1, 15))::bit(60)::bigint),"
            " sum(('x' || substr(hash, 16, 15))::bit(60)::bigint) FROM"
            " (SELECT {part} AS part, {hash} AS hash FROM {table}) hashed GROUP BY part"
        ).format(part=self._part(), hash=_hash(self._row), table=self._from)
        return {part: tuple(map(int, sums)) for part, *sums in self._reader.execute(query).fetchall()}

    def rows(self, parts: Sequence[str]) -> dict[str, str]:
        """The key and the hash of each row of the parts."""
        query = sql.SQL("SELECT {key}, {hash} FROM {table} WHERE {part} = ANY ({parts})").format(
            key=self._key, hash=_hash(self._row), table=self._from, part=self._part(), parts=list(parts)
        )
        return dict(self._reader.execute(query).fetchall())

    def _part(self) -> sql.Composable:
        return sql.SQL("substr({}, 1, {})").format(_hash(self._key), PART_DIGITS)


def _hash(text: sql.Composable) -> sql.Composable:
    return sql.SQL("encode(sha256(convert_to({}, 'UTF8')), 'hex')").format(text)


class _Target:
    """MySQL's side."""

    def __init__(self, target: Target, table: Table) -> None:
        self._target = target
        self._from = quote(table.name)
        texts = [
            kind.target_text.replace("{}", quote(column.name))
            for column, kind in zip(table.columns, table.types, strict=True)
        ]
        self._key = f"CONCAT_WS(',', {', '.join(texts[i] for i in table.key)})"
        values = (f"COALESCE(CONCAT(CHAR_LENGTH({text}), ':', {text}), '-')" for text in texts)
        self._row = f"CONCAT({', '.join(values)})"
        self._part = f"LEFT(SHA2({self._key}, 256), {PART_DIGITS})"

    def sums(self) -> dict[str, tuple[Any, ...]]:
        """Each part's count and sums."""
        rows = self._target.execute(
            "SELECT part, COUNT(*), SUM(CAST(CONV(SUBSTR(hash, 1, 15), 16, 10) AS UNSIGNED)),"
            " SUM(CAST(CONV(SUBSTR(hash, 16, 15), 16, 10) AS UNSIGNED)) FROM"
            f" (SELECT {self._part} AS part, SHA2({self._row}, 256) AS hash FROM {self._from}) hashed"
            " GROUP BY part"
        )
        return {part: tuple(map(int, sums)) for part, *sums in rows}

    def rows(self, parts: Sequence[str]) -> dict[str, str]:
        """The key and the hash of each row of the parts."""
        places = ", ".join(f"'{part}'" for part in parts)
        query = f"SELECT {self._key}, SHA2({self._row}, 256) FROM {self._from} WHERE {self._part} IN ({places})"
        return dict(self._target.execute(query))


def _fill_sql(template: str, column: sql.Identifier) -> sql.Composed:
    """``template`` with the column in each of its places."""
    first, *others = template.split("{}")
    return sql.Composed([sql.SQL(first), *(part for text in others for part in (column, sql.SQL(text)))])
