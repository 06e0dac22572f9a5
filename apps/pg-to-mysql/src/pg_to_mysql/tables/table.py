"""A PostgreSQL table, as far as its copy in MySQL depends on it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from pg_to_mysql.tables.types import LONGEST_ROW, MySQLType, Unfit, mysql_type


@dataclass(frozen=True)
class Partition:
    """A partition. It may itself have partitions."""

    oid: int
    schema: str
    name: str
    storage: int
    """Changes whenever PostgreSQL empties or rewrites the partition; 0 if it is itself partitioned."""
    is_leaf: bool
    parent: int
    link: str
    """Changes whenever the partition is attached again."""
    is_whole: bool
    """Whether it was created as a partition and never emptied, so that the stream contains all its rows."""


@dataclass(frozen=True)
class Column:
    """A column, with the name of its PostgreSQL type from the catalogue."""

    attnum: int
    """Never reused for another column of the table; ascends in the order of the columns."""
    name: str
    type_oid: int
    modifier: int
    """``atttypmod``, as in the messages."""
    type_name: str
    """The name in ``pg_type`` of a built-in type, or of a domain's base type; otherwise ``enum`` or ``other``."""
    length: int | None = None
    scale: int | None = None
    not_null: bool = False
    missing: str | None = None
    """The value in rows that existed before the column."""
    version: str = ""
    """Changes whenever the column's definition is altered."""
    comment: str | None = None
    unfit: Unfit = Unfit.STOP
    former_names: tuple[str, ...] = ()
    has_default: bool = False
    """Whether rows that set no value for the column can get something other than NULL."""

    def may_be_null(self, kind: MySQLType) -> bool:
        """Whether MySQL's column, which is of this type, may have NULL."""
        return not self.not_null or (self.unfit is Unfit.NULL and kind.fit is not None)

    @property
    def names(self) -> set[str]:
        """The name, and the names that the column has had since the table was copied."""
        return {self.name, *self.former_names}


@dataclass(frozen=True)
class Index:
    """A secondary index over columns, which are given by their positions in the table."""

    name: str
    columns: tuple[int, ...]


STORED_TABLES = 10_000
"""How many stored texts are remembered, so that each is parsed only once."""


@dataclass(frozen=True)
class Table:
    """A table, with the columns that are replicated and the positions of those that form its key."""

    oid: int
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    comment: str | None = None
    indexes: tuple[Index, ...] = ()
    storage: str = ""
    """Changes whenever PostgreSQL rewrites all rows."""
    last_attnum: int = 0
    """The highest number that a column has or had."""
    settled_attnum: int = 0
    """``last_attnum`` when the table was last known to agree with the stream of changes."""
    settled_lsn: int = 0
    """After the changes before this position are applied, no change can be older than this definition of the
    table."""
    dropped: tuple[Column, ...] = ()
    """The columns that have been dropped since then."""
    left_out: tuple[str, ...] = ()
    """What MySQL can't have of the table, one sentence each."""
    unfit: Unfit = Unfit.STOP
    """The rule for columns that are added."""
    partitions: tuple[Partition, ...] | None = None
    """None if the table is not partitioned, or if the first version of this program stored it."""

    @cached_property
    def types(self) -> tuple[MySQLType, ...]:
        """Each column's type in MySQL."""
        texts = sum(self.columns[i].type_name not in ("int2", "int4", "int8") for i in self.key)
        types: dict[int, MySQLType] = {}
        room = LONGEST_ROW
        others = [i for i in range(len(self.columns)) if i not in self.key]
        for i in [*self.key, *others]:
            column = self.columns[i]
            types[i] = mysql_type(
                column.type_name,
                column.length,
                column.scale,
                text_keys=texts if i in self.key else 0,
                row_bytes=room,
                unfit=column.unfit,
            )
            room -= types[i].row_bytes
        return tuple(types[i] for i in range(len(self.columns)))

    @property
    def has_binary_key(self) -> bool:
        """Whether a value of the key is bytes in MySQL, which may contain a NUL."""
        return any(self.types[i].binary for i in self.key)

    def to_json(self) -> str:
        """The table as a text that can be stored."""
        return json.dumps(self, default=_fields, ensure_ascii=False)

    @staticmethod
    @lru_cache(STORED_TABLES)
    def from_json(text: str) -> "Table | None":
        """The table from a stored text; None if another version of this program wrote the text."""
        try:
            return Table._from_stored(json.loads(text))
        except (ValueError, KeyError, TypeError):
            return None

    @classmethod
    def _from_stored(cls, stored: dict[str, Any]) -> "Table":
        return cls(
            **stored
            | {
                "columns": tuple(map(_stored_column, stored["columns"])),
                "dropped": tuple(map(_stored_column, stored["dropped"])),
                "indexes": tuple(Index(index["name"], tuple(index["columns"])) for index in stored["indexes"]),
                "key": tuple(stored["key"]),
                "left_out": tuple(stored["left_out"]),
                "unfit": _stored_rule(stored),
                "partitions": _stored_partitions(stored.get("partitions")),
            }
        )


def _fields(stored: Any) -> dict[str, Any]:
    """The fields of a dataclass to store: like :func:`dataclasses.asdict`, but ten times as fast."""
    return {member.name: getattr(stored, member.name) for member in fields(stored)}


def _stored_column(stored: dict[str, Any]) -> Column:
    changed = {"unfit": Unfit(stored["unfit"]), "former_names": tuple(stored["former_names"])}
    return Column(**stored | changed)


def _stored_partitions(stored: Sequence[dict[str, Any]] | None) -> tuple[Partition, ...] | None:
    return None if stored is None else tuple(Partition(**partition) for partition in stored)


def _stored_rule(stored: dict[str, Any]) -> Unfit:
    """The table's rule; if none is stored, the rule that all its columns share."""
    rules = {column["unfit"] for column in stored["columns"]}
    return Unfit(stored.get("unfit") or (rules.pop() if len(rules) == 1 else Unfit.STOP))
