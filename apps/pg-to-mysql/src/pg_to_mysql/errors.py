"""The errors of the package. Each message is one sentence: the cause, the name of the thing, and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a passing failure; a label of the metrics."""

    CONNECTION = "connection"
    """A server is down, starting or stopping, or has ended the session."""
    LOCK = "lock"
    READ_ONLY = "read_only"
    CONNECTIONS = "too_many_connections"
    RESOURCES = "resources"
    """Disk or memory is full."""


class Setting(StrEnum):
    """A setting that an error's message speaks of, by its name in this package."""

    SOURCE = "source"
    SOURCE_SSLMODE = "sslmode"
    """The ``sslmode`` of the source, as in libpq."""
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
    """Not a setting, but a method of :class:`~pg_to_mysql.Replica`."""
    DROP_SLOT_OVER = "drop_over"


SettingsToChange = Mapping[Setting, str | int | None]
"""Settings whose change may help: each with the value to set, or None if that is not known."""


class Failure(Exception):
    """Something could not be done."""

    def __init__(self, sentence: str, *, settings: SettingsToChange | None = None) -> None:
        super().__init__(sentence)
        self.settings = settings or {}
        """The settings that the message speaks of. A program that shows them under other names can add its names.
        """


class WrongSettings(Failure):
    """A setting is missing or has a value that is not allowed."""


class PassingFailure(Failure):
    """A failure whose cause passes by itself, such as a lock that somebody holds: the same may succeed later."""

    def __init__(
        self, sentence: str, kind: Kind = Kind.LOCK, *, settings: SettingsToChange | None = None
    ) -> None:
        super().__init__(sentence, settings=settings)
        self.kind = kind


class OtherSource(Failure):
    """The source is not the one that MySQL's copies came from."""

    def __init__(self, sentence: str) -> None:
        helpful = (Setting.SOURCE, Setting.SCHEMA, Setting.SLOT, Setting.START_OVER)
        super().__init__(sentence, settings=dict.fromkeys(helpful))


class Refused(Failure):
    """A table, or a row of it, can't be replicated."""

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
        """None if the server does not name the column."""
        self.row = row
        """The number of the row among those that were loaded, starting at 1."""
        self.key = key
        """The values of the row's key, by column name."""


class TablesLeftOut(Failure):
    """Some tables are not replicated; all other tables are done."""

    def __init__(
        self, sentence: str, refusals: Iterable[Refused], *, settings: SettingsToChange | None = None
    ) -> None:
        super().__init__(sentence, settings=settings)
        self.refusals = tuple(refusals)
        """One error for each table that is not replicated."""


class TablesGone(Failure):
    """PostgreSQL no longer has the tables of more copies than may be dropped; all other tables are done."""

    def __init__(self, sentence: str, tables: Iterable[str]) -> None:
        self.tables = tuple(tables)
        super().__init__(sentence, settings={Setting.DROP_GONE: len(self.tables)})


@dataclass(frozen=True)
class RowDifference:
    """A row that differs between MySQL and PostgreSQL."""

    table: str
    key: Mapping[str, str]
    """The values of the key as texts, by column name."""
    what: str
    """How the row differs, in a few words."""

    def __str__(self) -> str:
        return f"{self.table} {','.join(self.key.values())} {self.what}"


class RowsDiffer(Failure):
    """MySQL's rows differ from PostgreSQL's."""

    def __init__(self, sentence: str, differences: Iterable[RowDifference], number: int) -> None:
        super().__init__(sentence, settings={Setting.REPAIR: None})
        self.differences = tuple(differences)
        """The first rows that differ."""
        self.number = number
        """The number of all rows that differ."""
