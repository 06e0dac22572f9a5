"""What can go wrong. Each error's text is one sentence: the cause, the thing's name, what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Of what passes; a label of the metrics."""

    CONNECTION = "connection"
    """A server is away, starts, stops, or has ended the session."""
    LOCK = "lock"
    READ_ONLY = "read_only"
    CONNECTIONS = "too_many_connections"
    RESOURCES = "resources"
    """Disk or memory is full."""


class Failure(Exception):
    """Something could not be done."""


class WrongSettings(Failure):
    """A setting is missing or has a value that is not allowed."""


class PassingFailure(Failure):
    """A failure whose cause goes by itself, such as a lock that somebody holds: the same may succeed later."""

    def __init__(self, sentence: str, kind: Kind = Kind.LOCK) -> None:
        super().__init__(sentence)
        self.kind = kind


class OtherSource(Failure):
    """The source is not the one that MySQL's copies are of."""


class Refused(Failure):
    """A table, or a row of it, can't be had on the other side."""

    def __init__(
        self,
        sentence: str,
        table: str,
        *,
        column: str | None = None,
        row: int | None = None,
        key: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.table = table
        self.column = column
        """None where the server does not tell it."""
        self.row = row
        """The row's number among those that were loaded, from 1 on."""
        self.key = key
        """The row's key, by the names of its columns."""


class TablesLeftOut(Failure):
    """Some tables are not replicated; all others are done."""

    def __init__(self, sentence: str, refusals: Iterable[Refused]) -> None:
        super().__init__(sentence)
        self.refusals = tuple(refusals)
        """Why each of them is not."""


class TablesGone(Failure):
    """MySQL has copies of tables that PostgreSQL has no longer, more than may be dropped; all others are done."""

    def __init__(self, sentence: str, tables: Iterable[str]) -> None:
        super().__init__(sentence)
        self.tables = tuple(tables)


@dataclass(frozen=True)
class RowDifference:
    """A row of MySQL's that is not as PostgreSQL's."""

    table: str
    key: Mapping[str, str]
    """The texts of the key's values, by the names of its columns."""
    what: str
    """How it differs, in a few words."""

    def __str__(self) -> str:
        return f"{self.table} {','.join(self.key.values())} {self.what}"


class RowsDiffer(Failure):
    """MySQL does not have the rows that PostgreSQL has."""

    def __init__(self, sentence: str, differences: Iterable[RowDifference], number: int) -> None:
        super().__init__(sentence)
        self.differences = tuple(differences)
        """The first of them."""
        self.number = number
        """Of all that differ."""
