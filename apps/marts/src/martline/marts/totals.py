"""Numbers of the replica's rows for the checks, counted while the run continues."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pymysql.connections import Connection

from martline.command import MySQLSettings


class Totals:
    """The results of queries on the replica at one moment."""

    def __init__(self, connection: "Connection[Any]", pool: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._pool = pool
        self._counted: dict[str, Future[int]] = {}

    def begin(self, queries: Iterable[str]) -> None:
        """Run these queries in the background, on the replica as it is now. Call it while the moment is held."""
        self._connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        for query in queries:
            self._counted[query] = self._pool.submit(self._count, query)
        # An open transaction would keep the replicator from altering these tables.
        self._pool.submit(self._connection.rollback)

    def get(self, query: str) -> int | None:
        """Wait for the query's result; None if it was not begun."""
        return self._counted[query].result() if query in self._counted else None

    def _count(self, query: str) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            [(number,)] = cursor.fetchall()
        return int(number)


@contextmanager
def counting(settings: MySQLSettings) -> Iterator[Totals]:
    """Let checks count on a connection of its own."""
    with settings.connect() as connection, ThreadPoolExecutor(1) as pool:
        yield Totals(connection, pool)
