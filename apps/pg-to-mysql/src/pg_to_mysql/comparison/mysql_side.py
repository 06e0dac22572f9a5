"""MySQL's side of a comparison: checksums, hashes and texts of a table's rows, and their repair."""

from collections.abc import Callable, Sequence
from typing import Any

from pg_to_mysql.comparison.parts import PART_DIGITS, Hashed, Key, Split, Sums, Texts, bounds
from pg_to_mysql.errors import Failure
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.rows import Stream
from pg_to_mysql.tables.table import Table

KEYS = "_replication_compared"
TOO_LARGE = 1301
"""The number of MySQL's warning that a text is NULL because it would be larger than ``max_allowed_packet``."""


class MySQLSide:
    """A table in MySQL that does not change meanwhile."""

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
        # IFNULL for all columns, because somebody may have let them be NULL in MySQL.
        pieces: list[str] = []
        for text, short, kind in zip(self._texts, self._short_texts, self._table.types, strict=True):
            if kind.free_text and not self.by_digests:
                pieces.append(f"IFNULL(CHAR_LENGTH({text}), '')")
            pieces.append(f"IFNULL({short if self.by_digests else text}, '')")
        return "SHA2(CONCAT({}), 256)".format(", ',', ".join(pieces))

    def limits(self) -> tuple[int | None, int | None]:
        """The smallest and the largest value of an integer key."""
        key = self._names[self._table.key[0]]
        [(low, high)] = self._target.execute(f"SELECT MIN({key}), MAX({key}) FROM {self._from}")
        return low, high

    def sums(self, split: Split | None) -> Sums:
        """The number of rows and the checksum of each part; without a split, of the whole table."""
        part, where = self._part(split)
        grouped = "" if split is None else " GROUP BY part"
        rows = self._ask(
            f"SELECT {part} AS part, COUNT(*), {self._target.hex_of_xor(f'LEFT({self._row}, 16)')}"
            f" FROM {self._from} WHERE {where}{grouped}"
        )
        return {part: (count, int(checksum, 16)) for part, count, checksum in rows if count}

    def lacks_texts(self) -> bool:
        """Whether a text in the last statement was NULL because it was too large."""
        warnings = self._target.execute("SHOW WARNINGS")
        [(count,)] = self._target.execute("SHOW COUNT(*) WARNINGS")
        # The server may be set to count warnings that it does not store.
        return count > len(warnings) or any(number == TOO_LARGE for _, number, _ in warnings)

    def hashes(self, split: Split, parts: Sequence[Any]) -> dict[Key, str]:
        """The hash of each row of the parts, by key. If a key has several rows, their hashes are joined."""
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
        """The short texts of the rows with these keys."""
        self._store_keys(keys)
        texts = ", ".join(f"CONCAT({text})" for text in self._short_texts)
        rows = self._ask(f"SELECT {self._key}, {texts} FROM {self._from} {self._join}")
        width = len(self._table.key)
        return {tuple(row[:width]): row[width:] for row in rows}

    def delete(self, keys: Sequence[Key]) -> None:
        """Delete the rows with these keys."""
        if keys:
            self._store_keys(keys)
            self._target.execute(f"DELETE target FROM {self._from} {self._join}")

    def load(self, copy: Callable[[Stream], int]) -> None:
        """Load the rows that ``copy`` writes; it returns their number."""
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

    def _part(self, split: Split | None, parts: Sequence[int] = ()) -> tuple[str, str]:
        """The expression for a row's part, and the condition that selects the rows."""
        if split is None:
            return "0", "TRUE"
        if isinstance(split, Hashed):
            key = ", ',', ".join(self._texts[i] for i in self._table.key)
            return f"LEFT(SHA2(CONCAT({key}), 256), {PART_DIGITS})", "TRUE"
        key = self._names[self._table.key[0]]
        low, high = bounds(split, parts)
        # As DECIMAL, because the difference of two BIGINTs may be out of the range of BIGINT.
        part = f"CAST((CAST({key} AS DECIMAL(20)) - {split.low}) DIV {split.width} AS SIGNED)"
        return part, f"{key} BETWEEN {low} AND {high}"
