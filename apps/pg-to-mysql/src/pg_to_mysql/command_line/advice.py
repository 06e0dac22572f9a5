"""The command-line names of the library's settings, which are added to errors about them."""

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
"""Names with dashes are options; the others are environment variables."""


class AdvisingFormatter(logging.Formatter):
    """Adds to a log line the command-line names of its ``settings``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without a traceback."""
        return super().formatMessage(record) + advice(getattr(record, "settings", {}))


def advice(settings: SettingsToChange) -> str:
    """The text to add to a message that advises to set these, with the value if only one is right."""
    names = [name for setting, value in settings.items() for name in _named(setting, value)]
    return f" (here set by {', '.join(names)})" if names else ""


def _named(setting: Setting, value: str | int | None) -> Iterator[str]:
    for name in NAMES[setting]:
        if value is None:
            yield name
        else:
            yield f"{name} {value}" if name.startswith("--") else f"{name}={value}"
