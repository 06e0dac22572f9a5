"""DDL in MySQL that waits only a limited time for users of the tables, and lets others use them meanwhile.

ALTER, DROP and RENAME wait for the end of each transaction that has read the table, and later statements queue
behind them. So each attempt waits one second, and the pause after it lets those statements through.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER

from pg_to_mysql.errors import PassingFailure

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 1
PAUSE_SECONDS = 1
TELL_SECONDS = 3
"""Seconds after which the log says what is waited for."""
WAIT_SECONDS = 60
"""Seconds to wait in total."""
HOLDERS_TOLD = 5


def change_tables(
    connection: "Connection[Any]", statement: str, tables: Sequence[str], *, seconds: float = WAIT_SECONDS
) -> None:
    """Run a DDL statement on ``tables``; :class:`PassingFailure` if they are in use for longer than the limit."""
    started = time.monotonic()
    told = False
    while not _attempt(connection, statement):
        waited = time.monotonic() - started
        what = f"MySQL can't change {', '.join(tables)} while transactions use it{_named(connection, tables)}"
        if waited > seconds:
            raise PassingFailure(
                f"{what}; waited for {waited:.0f} s: end those transactions, then run this again"
            )
        if waited > TELL_SECONDS and not told:
            told = True
            log.warning("%s: waiting for their end", what)
        time.sleep(PAUSE_SECONDS)
    if told:
        log.info("MySQL has changed %s after %.0f s", ", ".join(tables), time.monotonic() - started)


def _attempt(connection: "Connection[Any]", statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@SESSION.lock_wait_timeout")
        usual = cursor.fetchone()
        cursor.execute(f"SET SESSION lock_wait_timeout = {ATTEMPT_SECONDS}")
        try:
            cursor.execute(statement)
        except pymysql.OperationalError as error:
            if error.args[0] != ER.LOCK_WAIT_TIMEOUT:
                raise
            return False
        finally:
            if connection.open:
                cursor.execute(f"SET SESSION lock_wait_timeout = {usual[0] if usual else WAIT_SECONDS}")
    return True


def _named(connection: "Connection[Any]", tables: Sequence[str]) -> str:
    holders = lock_holders(connection, tables)
    return f" ({'; '.join(holders)})" if holders else ""


def lock_holders(connection: "Connection[Any]", tables: Sequence[str]) -> list[str]:
    """The connections that use the tables, as far as the user's privileges and the server show them."""
    places = ", ".join(["%s"] * len(tables))
    of_locks = (
        "SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, t.PROCESSLIST_TIME"
        " FROM performance_schema.metadata_locks l JOIN performance_schema.threads t"
        " ON t.THREAD_ID = l.OWNER_THREAD_ID WHERE l.OBJECT_SCHEMA = DATABASE()"
        f" AND l.OBJECT_NAME IN ({places}) AND l.LOCK_STATUS = 'GRANTED'"
        " AND t.PROCESSLIST_ID <> CONNECTION_ID() GROUP BY 1, 2, 3, 4"
    )
    of_users = (
        "SELECT ID, USER, HOST, TIME FROM information_schema.processlist"
        " WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
    )
    if found := _ask(connection, of_locks, tables):
        return [f"connection {_describe(*row)}" for row in found[:HOLDERS_TOLD]]
    return [f"perhaps connection {_describe(*row)}" for row in _ask(connection, of_users, ())[:HOLDERS_TOLD]]


def _describe(number: int, user: str, host: str | None, seconds: int | None) -> str:
    return f"{number} of {user}@{host}, since {seconds or 0} s in its present state"


def _ask(connection: "Connection[Any]", query: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows; no rows if the server does not allow the query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return list(cursor.fetchall())
    except (pymysql.OperationalError, pymysql.ProgrammingError, pymysql.InternalError):
        return []
