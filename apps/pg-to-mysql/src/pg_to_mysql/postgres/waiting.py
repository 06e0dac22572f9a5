"""Logs what a statement in PostgreSQL waits for, after a few seconds."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from pg_to_mysql.errors import Failure
from pg_to_mysql.postgres.connection import connect_as, parameters_of

log = logging.getLogger(__name__)

TELL_SECONDS = 3
REMIND_SECONDS = 60
LOOK_SECONDS = 0.5
BLOCKERS = """
    SELECT format('process %%s (user %%s, application %%s, address %%s%%s)', a.pid, coalesce(a.usename, '?'),
        coalesce(nullif(a.application_name, ''), '?'), coalesce(host(a.client_addr), 'local'),
        ', in a transaction since ' || to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'))
    FROM unnest(pg_blocking_pids(%(pid)s)) AS blocking(pid) JOIN pg_stat_activity a ON a.pid = blocking.pid
    UNION
    SELECT format('the prepared transaction %%L (owner %%s, database %%s, since %%s)', p.gid, p.owner, p.database,
        to_char(p.prepared, 'YYYY-MM-DD HH24:MI:SS TZ'))
    FROM pg_locks l JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
    WHERE l.pid = %(pid)s AND NOT l.granted
"""


@contextmanager
def told(connection: psycopg.Connection, doing: str, stopped: threading.Event | None = None) -> Iterator[None]:
    """Log what the statements of ``connection`` in this block wait for; cancel them when ``stopped`` is set."""
    watch = _Watch(connection, doing, stopped or threading.Event())
    watch.start()
    try:
        yield
    finally:
        watch.end()


class _Watch(threading.Thread):
    """Looks, over a separate connection, at what another connection waits for."""

    def __init__(self, connection: psycopg.Connection, doing: str, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._parameters = parameters_of(connection)
        self._pid = connection.info.backend_pid
        self._doing = doing
        self._stopped = stopped
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._told: str | None = None

    def run(self) -> None:
        next_look = self._began + TELL_SECONDS
        reminded = self._began
        while not self._ended.wait(LOOK_SECONDS):
            if self._stopped.is_set():
                self._connection.cancel()
            now = time.monotonic()
            if now > next_look:
                next_look = now + TELL_SECONDS
                blockers = self._blockers()
                if blockers and (blockers != self._told or now > reminded + REMIND_SECONDS):
                    self._told, reminded = blockers, now
                    log.warning("%s waits in PostgreSQL for the end of %s", self._doing, blockers)

    def end(self) -> None:
        self._ended.set()
        self.join()
        if self._told:
            log.info("%s has waited for %.0f s", self._doing, time.monotonic() - self._began)

    def _blockers(self) -> str | None:
        with (
            suppress(psycopg.OperationalError, Failure),
            connect_as(self._parameters, autocommit=True) as watcher,
        ):
            return ", ".join(found for (found,) in watcher.execute(BLOCKERS, {"pid": self._pid}).fetchall())
        return None
