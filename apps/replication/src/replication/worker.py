"""One task of a snapshot, wherever it runs: some ranges of PostgreSQL's tables into staging tables of MySQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import ER

from command import Failure, MySQLSettings
from replication.catalogue import fill
from replication.pipe import copy_out
from replication.ranges import Range
from replication.schema import quote
from replication.target import Target, name_key


@dataclass(frozen=True)
class Worker:
    """All that a task needs to know, passwords too: it has no settings of its own where it runs.

    Spark carries it in the task's closure, which is neither in its configuration nor in its web page or logs.
    """

    snapshot: str
    ledger: str
    """The table in MySQL that says which ranges are done."""
    target: MySQLSettings
    source: Mapping[str, Any] = field(repr=False)
    """psycopg's parameters."""

    def copy(self, ranges: Sequence[Range]) -> None:
        """Copy the ranges that are not done yet.

        They are one transaction in MySQL together with their lines in the ledger, so a task that is run again
        copies nothing twice. A table that MySQL can't hold is noted there; its other ranges are left out.
        """
        with closing(Target(self.target)) as target, self._reader() as reader, target.transaction():
            for part in ranges:
                if not self._claim(target, part):
                    continue
                target.execute("SAVEPOINT claimed")
                try:
                    self._copy(reader, target, part)
                except Failure as failure:
                    target.execute("ROLLBACK TO SAVEPOINT claimed")
                    error = name_key(str(failure), part.table, partial(self._key, part))
                    target.execute(
                        f"UPDATE {quote(self.ledger)} SET error = %s WHERE staging = %s AND number = %s",
                        [error, part.staging, part.number],
                    )

    @contextmanager
    def _reader(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(**self.source) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            reader.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(self.snapshot))
            # Rows in the order of their pages; and no time for compiling what is read once.
            reader.execute("SET LOCAL synchronize_seqscans = off; SET LOCAL jit = off")
            yield reader

    def _claim(self, target: Target, part: Range) -> bool:
        """Write the range's line, and so wait for another attempt; False if there is nothing left to do."""
        failed = f"SELECT 1 FROM {quote(self.ledger)} WHERE staging = %s AND error IS NOT NULL LIMIT 1"
        if target.execute(failed, [part.staging]):
            return False
        line = f"INSERT INTO {quote(self.ledger)} (staging, number) VALUES (%s, %s)"
        try:
            target.execute(line, [part.staging, part.number])
        except pymysql.IntegrityError as error:
            if error.args[0] == ER.DUP_ENTRY:
                return False
            raise
        return True

    def _copy(self, reader: psycopg.Connection, target: Target, part: Range) -> None:
        table = part.table
        statement = _copy_statement(part).as_bytes(reader)
        sent: list[int] = []
        loaded = target.load(
            part.staging,
            table,
            [(column.name, i) for i, column in enumerate(table.columns)],
            lambda stream: sent.append(copy_out(reader, statement, stream)),
        )
        if sent != [loaded]:
            raise Failure(f"MySQL took {loaded} of the {sent[0]} rows of {table.name}: see its error log")
        target.execute(
            f"UPDATE {quote(self.ledger)} SET rows_copied = %s WHERE staging = %s AND number = %s",
            [loaded, part.staging, part.number],
        )

    def _key(self, part: Range, number: int) -> Sequence[object] | None:
        """The key of a range's row, counted from 1."""
        keys = [sql.Identifier(part.table.columns[i].name) for i in part.table.key]
        query = sql.SQL("SELECT {} {} OFFSET {} LIMIT 1").format(
            sql.SQL(", ").join(keys), part.from_clause(), number - 1
        )
        with self._reader() as reader:
            return reader.execute(query).fetchone()


def _copy_statement(part: Range) -> sql.Composed:
    columns = [
        fill(kind.copied, sql.Identifier(column.name))
        for column, kind in zip(part.table.columns, part.table.types, strict=True)
    ]
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT (FORMAT csv, NULL 'NULL', ENCODING 'UTF8')").format(
        sql.SQL(", ").join(columns), part.from_clause()
    )
