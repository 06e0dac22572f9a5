"""PostgreSQL's side of a comparison: checksums, hashes and texts of a table's rows."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from pg_to_mysql.comparison.parts import PART_DIGITS, Hashed, Key, Split, Sums, Texts, batched, bounds
from pg_to_mysql.postgres.copy_out import copy_out, copy_statement
from pg_to_mysql.postgres.expressions import fill
from pg_to_mysql.rows import Stream
from pg_to_mysql.tables.table import Table

MOST_ARGUMENTS = 90
"""The largest number of arguments that are given to a function; PostgreSQL allows 100."""


class PostgresSide:
    """A table in PostgreSQL, read by a connection that sees one moment."""

    def __init__(self, reader: psycopg.Connection, schema: str, table: Table) -> None:
        self._reader = reader
        self._table = table
        query = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s"
        [(partitioned,)] = reader.execute(query, [table.oid]).fetchall()
        # Partitions are part of the table, but other tables that inherit from it are separate tables.
        self._from = sql.SQL("" if partitioned else "ONLY ") + sql.Identifier(schema, table.name)
        self._names = [sql.SQL("source.") + sql.Identifier(column.name) for column in table.columns]
        self._texts = [fill(kind.source_text, name) for name, kind in zip(self._names, table.types, strict=True)]
        self._short_texts = [
            fill(kind.digests[0], name) if kind.digests else text
            for name, text, kind in zip(self._names, self._texts, table.types, strict=True)
        ]
        self._key = sql.SQL(", ").join(_text(self._texts[i]) for i in table.key)
        self.by_digests = False

    @property
    def _row(self) -> sql.Composable:
        pieces: list[sql.Composable] = []
        columns = zip(self._table.columns, self._table.types, self._texts, self._short_texts, strict=True)
        for column, kind, text, short in columns:
            # concat_ws leaves NULL out, with its comma. It makes a text of a value faster than a cast does.
            template = "coalesce(({})::text, '')" if column.may_be_null(kind) else "{}"
            if kind.free_text and not self.by_digests:
                pieces.append(fill(template, fill("length({})", text)))
            pieces.append(fill(template, short if self.by_digests else text))
        return sql.SQL("sha256(textsend({}))").format(_concat(pieces))

    def limits(self) -> tuple[int | None, int | None]:
        """The smallest and the largest value of an integer key."""
        key = self._names[self._table.key[0]]
        [row] = self._ask(sql.SQL("SELECT min({key}), max({key}) FROM {table}").format(key=key, table=self._as()))
        return row[0], row[1]

    def sums(self, split: Split | None) -> Sums:
        """The number of rows and the checksum of each part; without a split, of the whole table."""
        part, where = self._part(split)
        query = sql.SQL(
            "SELECT {part}, count(*), bit_xor(('x' || encode(substr({row}, 1, 8), 'hex'))::bit(64)::bigint)"
            " FROM {table} WHERE {where} GROUP BY 1"
        ).format(part=part, row=self._row, table=self._as(), where=where)
        # As in MySQL, without a sign.
        return {part: (count, checksum % 2**64) for part, count, checksum in self._ask(query)}

    def hashes(self, split: Split, parts: Sequence[Any]) -> dict[Key, str]:
        """The hash of each row of the parts, by key."""
        part, where = self._part(split, parts)
        query = sql.SQL("SELECT {row}, {key} FROM {table} WHERE {where} AND {part} = ANY ({parts})").format(
            row=self._row, key=self._key, table=self._as(), where=where, part=part, parts=list(parts)
        )
        return {tuple(key): bytes(row).hex() for row, *key in self._ask(query)}

    def texts(self, keys: Sequence[Key]) -> Texts:
        """The short texts of the rows with these keys."""
        rows = self._ask(
            sql.SQL("SELECT {}, {} {}").format(
                self._key, sql.SQL(", ").join(map(_text, self._short_texts)), self._from_keys(keys)
            )
        )
        width = len(self._table.key)
        return {tuple(row[:width]): row[width:] for row in rows}

    def copy(self, keys: Sequence[Key], stream: Stream) -> int:
        """Write the rows with these keys as a copy does; return their number."""
        statement = copy_statement(self._table, self._names, self._from_keys(keys))
        return copy_out(self._reader, statement.as_bytes(self._reader), stream)

    def _from_keys(self, keys: Sequence[Key]) -> sql.Composable:
        """The FROM clause that selects the rows with these keys."""
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

    def _part(self, split: Split | None, parts: Sequence[int] = ()) -> tuple[sql.Composable, sql.Composable]:
        """The expression for a row's part, and the condition that selects the rows."""
        if split is None:
            return sql.SQL("0"), sql.SQL("true")
        if isinstance(split, Hashed):
            key = _concat([self._texts[i] for i in self._table.key])
            part = sql.SQL("substr(encode(sha256(textsend({})), 'hex'), 1, {})").format(key, PART_DIGITS)
            return part, sql.SQL("true")
        key = self._names[self._table.key[0]]
        part = sql.SQL("div({}::numeric - {}, {})::int").format(key, split.low, split.width)
        low, high = bounds(split, parts)
        return part, sql.SQL("{} BETWEEN {} AND {}").format(key, low, high)

    def _as(self) -> sql.Composable:
        return sql.SQL("{} AS source").format(self._from)

    def _ask(self, query: sql.Composed) -> list[tuple[Any, ...]]:
        # Without parameters, because psycopg would take a percent sign in a name for one.
        return self._reader.execute(query).fetchall()


def _text(value: sql.Composable) -> sql.Composable:
    return fill("({})::text", value)


def _concat(pieces: Sequence[sql.Composable]) -> sql.Composable:
    """The pieces, joined by commas. None of them may be NULL."""
    groups = [
        sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(some)) for some in batched(pieces, MOST_ARGUMENTS)
    ]
    return groups[0] if len(groups) == 1 else _concat(groups)
