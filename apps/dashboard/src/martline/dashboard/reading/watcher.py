"""Reads MySQL in the background and keeps its last state with its age, so that no page waits for it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER

from martline.command import Failure, MySQLSettings
from martline.dashboard.reading.pipeline import Pipeline, read_pipeline
from martline.dashboard.reading.shop import Shop, read_shop, read_versions
from martline.dashboard.reading.source import Repeated

log = logging.getLogger(__name__)
PAUSE_SECONDS = 2.0
RAISED_BY_PUBLISHING = (ER.NO_SUCH_TABLE, ER.TABLE_DEF_CHANGED)
"""The errors of a reader while a build replaces the marts. The next attempt finds the new marts."""


@dataclass(frozen=True)
class Known:
    """The last known state of MySQL."""

    shop: Shop | None = None
    pipeline: Pipeline | None = None
    read_at: datetime | None = None
    """When MySQL last answered, UTC."""
    failure: str | None = None
    """Why it does not answer now."""


class Watcher:
    """Reads the bookkeeping every two seconds, and the marts after each build.

    ``warm`` is called with new marts before the pages show them.
    """

    def __init__(self, settings: MySQLSettings, warm: Callable[[Shop], None] = lambda _shop: None) -> None:
        self.known = Known()
        self._settings = settings
        self._warm = warm
        self._connection: Connection[Any] | None = None
        self._repeated = Repeated("MySQL", self.look, PAUSE_SECONDS, self._disconnect)
        self.start, self.stop = self._repeated.start, self._repeated.stop

    def look(self) -> None:
        """Read what is new. If MySQL does not answer, keep the last state and note the reason."""
        try:
            self._read()
        except (Failure, pymysql.MySQLError, OSError) as error:
            self._disconnect()
            if isinstance(error, pymysql.MySQLError) and error.args and error.args[0] in RAISED_BY_PUBLISHING:
                return
            reason = str(error) if isinstance(error, Failure) else f"MySQL does not answer: {error.args[-1]}"
            if reason != self.known.failure:
                log.warning("%s; the pages show what is known", reason)
            self.known = replace(self.known, failure=reason)

    def _read(self) -> None:
        if self._connection is None:
            self._connection = self._settings.connect(autocommit=True, read_timeout=120, write_timeout=30)
        connection = self._connection
        with connection.cursor() as cursor:
            # A page shows one moment. The transaction is short, because publishing waits for its readers.
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        pipeline = read_pipeline(connection)
        versions = read_versions(connection)
        shop = self.known.shop
        is_new = shop is None or shop.versions != versions
        if is_new:
            shop = read_shop(connection, versions)
        connection.commit()
        if is_new and shop is not None:
            self._warm(shop)
        if self.known.failure:
            log.info("MySQL answers again")
        self.known = Known(shop, pipeline, datetime.now(UTC))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
