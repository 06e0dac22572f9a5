"""A table of PostgreSQL's, as far as its copy in MySQL depends on it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from pg_to_mysql.tables.types import LONGEST_ROW, MySQLType, Unfit, mysql_type


@dataclass(frozen=True)
class Partition:
    """A partition, which may have partitions itself."""

    oid: int
    schema: str
    name: str
    storage: int
    """Another one whenever PostgreSQL has emptied it or written it anew; 0 if it is partitioned itself."""
    is_leaf: bool
    parent: int
    link: str
    """Another one whenever it was attached again."""
    is_whole: bool
    """Whether it was created as a partition and has not been emptied: all that is in it is in the stream."""


@dataclass(frozen=True)
class Column:
    """A column, with its PostgreSQL type as the catalogue names it."""

    attnum: int
    """Never given to another column of the table, and ascending in the order of the columns."""
    name: str
    type_oid: int
    modifier: int
    """``atttypmod``, as messages have it."""
    type_name: str
    """``pg_type``'s name of a built-in type, a domain's being its base type's; else ``enum`` or ``other``."""
    length: int | None = None
    scale: int | None = None
    not_null: bool = False
    missing: str | None = None
    """The value in rows that are older than the column."""
    version: str = ""
    """Another one whenever the column's definition has been altered."""
    comment: str | None = None
    unfit: Unfit = Unfit.STOP
    former_names: tuple[str, ...] = ()
    has_default: bool = False
    """Whether a row that does not say otherwise may have something else than NULL there."""

    @property
    def names(self) -> set[str]:
        """The name, and those that the column had since the table was copied."""
        return {self.name, *self.former_names}


@dataclass(frozen=True)
class Index:
    """A secondary index over columns, by their indexes in the table."""

    name: str
    columns: tuple[int, ...]


STORED_TABLES = 10_000
"""Whose texts are read once only."""


@dataclass(frozen=True)
class Table:
    """A table, with the columns that are replicated and the indexes of those that make its key."""

    oid: int
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    comment: str | None = None
    indexes: tuple[Index, ...] = ()
    storage: str = ""
    """Another one whenever PostgreSQL has written all rows anew."""
    last_attnum: int = 0
    """The highest that a column has or had."""
    settled_attnum: int = 0
    """The same when the table was last known to be as the stream of changes has it."""
    settled_lsn: int = 0
    """Once the changes before it are applied, none can come that is older than the table as it is here."""
    dropped: tuple[Column, ...] = ()
    """The columns that were dropped since then."""
    left_out: tuple[str, ...] = ()
    """What MySQL can't have of the table, in a sentence each."""
    unfit: Unfit = Unfit.STOP
    """The rule of columns that are added."""
    partitions: tuple[Partition, ...] | None = None
    """None if it is not partitioned, or the first version of this program stored it."""

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

    def to_json(self) -> str:
        """The table as a text to be stored."""
        return json.dumps(self, default=_fields, ensure_ascii=False)

    @staticmethod
    @lru_cache(STORED_TABLES)
    def from_json(text: str) -> "Table | None":
        """The table of a stored text; None if another version of this program wrote it."""
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
    """What of a dataclass is stored: as :func:`dataclasses.asdict`, which takes ten times as long."""
    return {member.name: getattr(stored, member.name) for member in fields(stored)}


def _stored_column(stored: dict[str, Any]) -> Column:
    changed = {"unfit": Unfit(stored["unfit"]), "former_names": tuple(stored["former_names"])}
    return Column(**stored | changed)


def _stored_partitions(stored: Sequence[dict[str, Any]] | None) -> tuple[Partition, ...] | None:
    return None if stored is None else tuple(Partition(**partition) for partition in stored)


def _stored_rule(stored: dict[str, Any]) -> Unfit:
    """The table's rule; where none is stored, the one that all of its columns have."""
    rules = {column["unfit"] for column in stored["columns"]}
    return Unfit(stored.get("unfit") or (rules.pop() if len(rules) == 1 else Unfit.STOP))
