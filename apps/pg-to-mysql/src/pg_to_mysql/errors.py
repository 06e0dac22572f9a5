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


class Setting(StrEnum):
    """A setting that an error's sentence speaks of, by its name in this package."""

    SOURCE = "source"
    SOURCE_SSLMODE = "sslmode"
    """Of the source, as libpq knows it."""
    TARGET = "target"
    TARGET_SSL_MODE = "ssl_mode"
    TARGET_SSL_FILES = "ssl_ca, ssl_cert, ssl_key"
    SCHEMA = "schema"
    SLOT = "slot"
    UNFIT = "unfit"
    DROP_GONE = "drop_gone"
    EXCLUDE = "exclude"
    RECOPY = "recopy"
    START_OVER = "start_over"
    REPAIR = "repair"
    """Not a setting but a method of the replica's."""
    DROP_SLOT_OVER = "drop_over"


SettingsToChange = Mapping[Setting, str | int | None]
"""Settings whose change may help: each with the value to set, or None where that is not known."""


class Failure(Exception):
    """Something could not be done."""

    def __init__(self, sentence: str, *, settings: SettingsToChange | None = None) -> None:
        super().__init__(sentence)
        self.settings = settings or {}
        """Those that the sentence speaks of: who gives them other names to users can tell these."""


class WrongSettings(Failure):
    """A setting is missing or has a value that is not allowed."""


class PassingFailure(Failure):
    """A failure whose cause goes by itself, such as a lock that somebody holds: the same may succeed later."""

    def __init__(
        self, sentence: str, kind: Kind = Kind.LOCK, *, settings: SettingsToChange | None = None
    ) -> None:
        super().__init__(sentence, settings=settings)
        self.kind = kind


class OtherSource(Failure):
    """The source is not the one that MySQL's copies are of."""

    def __init__(self, sentence: str) -> None:
        helpful = (Setting.SOURCE, Setting.SCHEMA, Setting.SLOT, Setting.START_OVER)
        super().__init__(sentence, settings=dict.fromkeys(helpful))


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

    def __init__(
        self, sentence: str, refusals: Iterable[Refused], *, settings: SettingsToChange | None = None
    ) -> None:
        super().__init__(sentence, settings=settings)
        self.refusals = tuple(refusals)
        """Why each of them is not."""


class TablesGone(Failure):
    """MySQL has copies of tables that PostgreSQL has no longer, more than may be dropped; all others are done."""

    def __init__(self, sentence: str, tables: Iterable[str]) -> None:
        self.tables = tuple(tables)
        super().__init__(sentence, settings={Setting.DROP_GONE: len(self.tables)})


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
        super().__init__(sentence, settings={Setting.REPAIR: None})
        self.differences = tuple(differences)
        """The first of them."""
        self.number = number
        """Of all that differ."""
