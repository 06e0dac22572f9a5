"""A fold of changes, written to a table of MySQL within the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import BinaryIO

from replication.fold import Fold, Key, Partial
from replication.pgoutput import UNCHANGED, Row, Value
from replication.source import Table
from replication.target import Target, Write, csv_row, quote

KEYS = "_replication_keys"
ROWS = "_replication_rows"


def write(target: Target, table: Table, fold: Fold) -> int:
    """Make the table what the fold says; return the rows deleted and written."""
    partial = _Partial(target, table, fold.partial) if fold.partial else None
    if fold.truncated:
        target.execute(f"DELETE FROM {quote(table.name)}")
    if fold.deleted:
        _delete(target, table, fold.deleted)
    if fold.rows:
        columns = [(column.name, i) for i, column in enumerate(table.columns)]
        target.load(
            table.name, table, columns, _rows(table, range(len(columns)), fold.rows.values()), replace=True
        )
    if partial:
        partial.write()
    return len(fold.deleted) + len(fold.rows) + len(fold.partial)


def _rows(table: Table, indexes: Sequence[int], rows: Iterable[Sequence[Value]]) -> Write:
    """Writes the rows, whose values are those of the columns ``indexes``, for :meth:`Target.load`."""
    decoders = [table.types[i].decode for i in indexes]

    def write(stream: BinaryIO) -> None:
        for row in rows:
            stream.write(
                csv_row(
                    decode(value) if isinstance(value, bytes) else None
                    for decode, value in zip(decoders, row, strict=True)
                )
            )

    return write


def _delete(target: Target, table: Table, keys: Collection[Key]) -> None:
    definitions = target.column_definitions(table)
    columns = [(table.columns[i].name, i) for i in table.key]
    names = ", ".join(quote(name) for name, _ in columns)
    target.create_temporary(KEYS, [*(definitions[i] for i in table.key), f"PRIMARY KEY ({names})"])
    target.load(KEYS, table, columns, _rows(table, table.key, keys))
    name = quote(table.name)
    target.execute(f"DELETE {name} FROM {KEYS} JOIN {name} USING ({names})")
    target.drop_temporary(KEYS)


class _Partial:
    """Rows without their unchanged values: completed from the table as it is at first, and written at last."""

    def __init__(self, target: Target, table: Table, partial: dict[Key, Partial]) -> None:
        self._target = target
        self._table = table
        definitions = target.column_definitions(table)
        bases = [f"{quote(self._base(i))} {table.types[i].name}" for i in table.key]
        target.create_temporary(ROWS, [*definitions, *bases])
        groups: dict[tuple[int, ...], list[Partial]] = {}
        for row in partial.values():
            missing = tuple(i for i, value in enumerate(row.row) if value is UNCHANGED)
            groups.setdefault(missing, []).append(row)
        for missing, rows in groups.items():
            self._load(missing, rows)

    def write(self) -> None:
        names = ", ".join(quote(column.name) for column in self._table.columns)
        self._target.execute(f"REPLACE INTO {quote(self._table.name)} SELECT {names} FROM {ROWS}")
        self._target.drop_temporary(ROWS)

    def _load(self, missing: Sequence[int], rows: Sequence[Partial]) -> None:
        table = self._table
        known = [i for i in range(len(table.columns)) if i not in missing]
        columns = [(table.columns[i].name, i) for i in known] + [(self._base(i), i) for i in table.key]
        values: list[Row] = [[*(row.row[i] for i in known), *row.base] for row in rows]
        self._target.load(ROWS, table, columns, _rows(table, [*known, *table.key], values))
        name = quote(table.name)
        same_key = " AND ".join(
            f"{name}.{quote(table.columns[i].name)} = {ROWS}.{quote(self._base(i))}" for i in table.key
        )
        values_missing = ", ".join(
            f"{ROWS}.{quote(table.columns[i].name)} = {name}.{quote(table.columns[i].name)}" for i in missing
        )
        # Once completed, a row has no base any more, so that the next group leaves it alone.
        done = ", ".join(f"{ROWS}.{quote(self._base(i))} = NULL" for i in table.key)
        self._target.execute(f"UPDATE {ROWS} JOIN {name} ON {same_key} SET {values_missing}, {done}")

    def _base(self, index: int) -> str:
        return f"_base_{index}"
