"""The names that the library's settings have on the command line, for the errors that speak of them."""

import logging
from collections.abc import Iterator, Mapping

from pg_to_mysql.errors import Setting, SettingsToChange

NAMES: Mapping[Setting, tuple[str, ...]] = {
    Setting.SOURCE: ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"),
    Setting.SOURCE_SSLMODE: ("PGSSLMODE",),
    Setting.TARGET: ("MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_USER", "MYSQL_PWD", "MYSQL_DATABASE"),
    Setting.TARGET_SSL_MODE: ("MYSQL_SSL_MODE",),
    Setting.TARGET_SSL_FILES: ("MYSQL_SSL_CA", "MYSQL_SSL_CERT", "MYSQL_SSL_KEY"),
    Setting.SCHEMA: ("--schema",),
    Setting.SLOT: ("--slot",),
    Setting.UNFIT: ("--unfit", "REPLICATION_UNFIT"),
    Setting.DROP_GONE: ("--drop-gone", "REPLICATION_DROP_GONE"),
    Setting.EXCLUDE: ("--exclude",),
    Setting.RECOPY: ("--recopy",),
    Setting.START_OVER: ("--start-over",),
    Setting.REPAIR: ("--repair",),
    Setting.DROP_SLOT_OVER: ("--drop-slot-over",),
}
"""Options begin with dashes, the others are variables of the environment."""


class AdvisingFormatter(logging.Formatter):
    """Adds to a line of the log what its ``settings`` are called on the command line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, before a traceback."""
        return super().formatMessage(record) + advice(getattr(record, "settings", {}))


def advice(settings: SettingsToChange) -> str:
    """What is added to a sentence that advises to set these, and to which value if only one will do."""
    names = [name for setting, value in settings.items() for name in _named(setting, value)]
    return f" (here set by {', '.join(names)})" if names else ""


def _named(setting: Setting, value: str | int | None) -> Iterator[str]:
    for name in NAMES[setting]:
        if value is None:
            yield name
        else:
            yield f"{name} {value}" if name.startswith("--") else f"{name}={value}"
