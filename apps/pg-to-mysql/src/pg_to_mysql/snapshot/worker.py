"""One task of a snapshot: copies some ranges of PostgreSQL's tables into staging tables in MySQL."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg import sql

from pg_to_mysql.errors import Failure, Refused
from pg_to_mysql.mysql.refusal import name_key
from pg_to_mysql.mysql.settings import MySQLSettings
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.passing import cause_of
from pg_to_mysql.postgres.connection import Parameters, connect_as
from pg_to_mysql.postgres.copy_out import copy_out, copy_statement
from pg_to_mysql.postgres.export import import_snapshot
from pg_to_mysql.snapshot.ledger import Ledger
from pg_to_mysql.snapshot.ranges import Range

OTHER_ATTEMPT_SECONDS = 50
"""Seconds that a task waits for another attempt at its ranges, which may have ended unnoticed."""
_idle: dict[Ledger, list[tuple[Target, psycopg.Connection]]] = defaultdict(list)
"""Open connections by ledger. A process runs many tasks, and connecting takes as long as copying thousands of
rows."""


@dataclass(frozen=True)
class Worker:
    """Everything that a task needs to know, including passwords, because it has no settings where it runs.

    Spark carries this in the task's closure, which appears neither in its configuration nor in its web page or
    logs.
    """

    snapshot: str
    ledger: Ledger
    target: MySQLSettings
    source: Parameters = field(repr=False)

    def copy(self, ranges: Sequence[Range]) -> None:
        """Copy the ranges that are not done yet.

        The rows of the ranges and their rows in the ledger are one transaction in MySQL, so a task that is run
        again copies nothing twice. If MySQL can't hold a table, the ledger records that, and the table's other
        ranges are left out.
        """
        with self._connected() as (target, reader), self._in_snapshot(reader), target.transaction():
            for part in ranges:
                if not self.ledger.claim(target, part):
                    continue
                target.execute("SAVEPOINT claimed")
                try:
                    self._copy(reader, target, part)
                except Failure as failure:
                    if cause_of(failure):
                        raise
                    target.execute("ROLLBACK TO SAVEPOINT claimed")
                    refused = failure if isinstance(failure, Refused) else Refused(str(failure), part.table.name)
                    refused = name_key(refused, part.table, partial(self._key, part))
                    self.ledger.store_refusal(target, part.staging, part.number, refused)

    def close(self) -> None:
        """Close the connections that this process keeps open for more tasks, as the end of the process does."""
        for target, reader in _idle.pop(self.ledger, []):
            target.close()
            reader.close()

    @contextmanager
    def _connected(self) -> Iterator[tuple[Target, psycopg.Connection]]:
        """The connections of an earlier task of this process, or new ones."""
        idle = _idle[self.ledger]
        try:
            target, reader = idle.pop()
        except IndexError:
            target = Target(self.target, lock_seconds=OTHER_ATTEMPT_SECONDS)
            reader = connect_as(self.source, autocommit=True)
        try:
            yield target, reader
        except BaseException:
            target.close()
            reader.close()
            raise
        idle.append((target, reader))

    @contextmanager
    def _in_snapshot(self, reader: psycopg.Connection) -> Iterator[None]:
        with reader.transaction():
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            import_snapshot(reader, self.snapshot)
            # Read rows in the order of their pages, and do not compile queries that run once.
            reader.execute("SET LOCAL synchronize_seqscans = off; SET LOCAL jit = off")
            yield

    def _copy(self, reader: psycopg.Connection, target: Target, part: Range) -> None:
        columns = [sql.Identifier(column.name) for column in part.table.columns]
        statement = copy_statement(part.table, columns, part.from_clause()).as_bytes(reader)
        with reader.transaction():  # the task's other ranges must not share its failure
            rows = target.load_copy(
                part.staging,
                part.table,
                lambda stream: copy_out(reader, statement, stream),
            )
        self.ledger.store_rows(target, part, rows)

    def _key(self, part: Range, number: int) -> Sequence[object] | None:
        """The key of a row of the range. Rows are counted from 1."""
        keys = [sql.Identifier(part.table.columns[i].name) for i in part.table.key]
        query = sql.SQL("SELECT {} {} OFFSET {} LIMIT 1").format(
            sql.SQL(", ").join(keys), part.from_clause(), number - 1
        )
        with connect_as(self.source, autocommit=True) as reader, self._in_snapshot(reader):
            return reader.execute(query).fetchone()
