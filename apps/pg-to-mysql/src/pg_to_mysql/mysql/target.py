"""A connection to the target, MySQL or MariaDB: statements, tables, and loading rows."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pymysql
from pymysql.constants import ER

from pg_to_mysql.errors import Failure, PassingFailure, Refused
from pg_to_mysql.mysql import ddl as mysql_ddl
from pg_to_mysql.mysql.checksum import hex_of_xor
from pg_to_mysql.mysql.collation import exact_collation
from pg_to_mysql.mysql.definitions import create_table
from pg_to_mysql.mysql.loading import LoadingConnection
from pg_to_mysql.mysql.names import TableNames
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.refusal import is_refusal, refused_value
from pg_to_mysql.mysql.settings import MySQLSettings
from pg_to_mysql.rows import Stream, Write
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 60
TELL_SECONDS = 3
"""Seconds after which the log says what is waited for."""
TABLE_WAIT_SECONDS = 5
"""Seconds that a statement waits for a lock on a table or a row. After that it fails, and may be tried again."""


class Target:
    """One connection to MySQL, in strict mode. The caller controls the transactions."""

    def __init__(self, settings: MySQLSettings, *, lock_seconds: int = TABLE_WAIT_SECONDS) -> None:
        self.settings = settings
        self._connection = settings.connect(LoadingConnection, autocommit=False)
        self.execute(f"SET SESSION lock_wait_timeout = {lock_seconds}")
        self.execute(f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}")
        self.patience: float = mysql_ddl.WAIT_SECONDS
        """Seconds that DDL waits for users of the tables."""
        [(version, self._packet_bytes, case)] = self.execute(
            "SELECT VERSION(), @@max_allowed_packet, @@lower_case_table_names"
        )
        self._folds_names = case != 0
        self.collation = exact_collation(version)
        self.hex_of_xor = partial(hex_of_xor, version)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def change_tables(self, statement: str, names: Sequence[str]) -> None:
        """Run a DDL statement on tables that others may be using; see :mod:`pg_to_mysql.mysql.ddl`."""
        mysql_ddl.change_tables(self._connection, statement, names, seconds=self.patience)

    def execute_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters."""
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, or roll back."""
        self._connection.begin()
        try:
            yield
        except BaseException:
            if self._connection.open:
                self._connection.rollback()
            raise
        self._connection.commit()

    @contextmanager
    def lock(self, slot: str, part: str = "") -> Iterator[None]:
        """Keep other programs from replicating the slot's tables into this database, or from one part of it."""
        name = _lock_name(slot, part)
        started = time.monotonic()
        told = False
        while self.execute(f"SELECT GET_LOCK({name}, {TELL_SECONDS})") != [(1,)]:
            waited = time.monotonic() - started
            [(holder,)] = self.execute(f"SELECT IS_USED_LOCK({name})")
            what = f"replicating {slot} into {self.settings.database} (MySQL's connection {holder})"
            if waited > LOCK_WAIT_SECONDS:
                raise PassingFailure(
                    f"Another program has been {what} for {LOCK_WAIT_SECONDS} s: wait for it to end, or stop it"
                )
            if not told:
                told = True
                log.warning("waiting for another program that is %s", what)
        if told:
            log.info("the other program is done after %.0f s", time.monotonic() - started)
        self._connection.commit()  # From here on, everything that others have stored so far is visible.
        try:
            yield
        finally:
            if self._connection.open:
                self.execute(f"SELECT RELEASE_LOCK({name})")

    def is_locked(self, slot: str, part: str = "") -> bool:
        """Whether another program holds this lock."""
        return self.execute(f"SELECT IS_USED_LOCK({_lock_name(slot, part)})") != [(None,)]

    def column_names(self, table: str) -> list[str]:
        """The names of the table's columns, in their order."""
        query = (
            "SELECT column_name FROM information_schema.columns"
            f" WHERE table_schema = DATABASE() AND {self.named} ORDER BY ordinal_position"
        )
        return [name for (name,) in self.execute(query, [table])]

    def table_names(self) -> TableNames:
        """The tables in the database, whoever created them."""
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        return self.names(name for (name,) in self.execute(query))

    @property
    def named(self) -> str:
        """A condition on one table's name, for queries of ``information_schema``."""
        return "LOWER(table_name) = LOWER(%s)" if self._folds_names else "table_name = %s"

    def is_one_name(self, name: str, other: str) -> bool:
        """Whether both names are the same table to the server."""
        return name in self.names([other])

    def names(self, names: Iterable[str]) -> TableNames:
        """The names in the form in which the server compares them."""
        return TableNames(names, self._folds_names)

    def create_table(self, name: str, table: Table) -> None:
        """Create ``table`` under ``name``, empty."""
        try:
            self.execute(create_table(name, table, self.collation))
        except pymysql.MySQLError as error:
            if not is_refusal(error):
                raise
            raise Refused(f"MySQL can't have the table {table.name} ({error.args[-1]})", table.name) from error

    def column_definitions(self, table: Table) -> list[str]:
        """Each column's name and type."""
        return [
            f"{quote(column.name)} {kind.name}" for column, kind in zip(table.columns, table.types, strict=True)
        ]

    def drop_tables(self, names: Sequence[str]) -> None:
        """Drop the tables that exist."""
        if names:
            self.change_tables(f"DROP TABLE IF EXISTS {', '.join(map(quote, names))}", names)

    def create_temporary(self, name: str, definitions: Sequence[str]) -> None:
        """Create a table that only this connection sees; the open transaction stays open."""
        self.drop_temporary(name)
        self.execute(
            f"CREATE TEMPORARY TABLE {quote(name)} ({', '.join(definitions)})"
            f" ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {self.collation}"
        )

    def drop_temporary(self, name: str) -> None:
        """Drop such a table, if it exists."""
        self.execute(f"DROP TEMPORARY TABLE IF EXISTS {quote(name)}")

    def load(
        self,
        into: str,
        table: Table,
        columns: Sequence[tuple[str, int]],
        write: Write,
        *,
        replace: bool = False,
        enclosure: str = '"',
    ) -> int:
        """Load the rows that ``write`` writes as CSV; return how many there were.

        ``columns`` maps names in ``into`` to positions in ``table``, which give the types. NULL is the word NULL
        without quotes; the quote is the character ``enclosure``. A value that MySQL can't hold raises a
        :class:`Failure`: LOAD DATA LOCAL itself would only warn, and store another value.
        """
        fields, assignments = [], []
        for name, index in columns:
            loaded = table.types[index].loaded
            fields.append(quote(name) if loaded == "{}" else f"@v{index}")
            if loaded != "{}":
                assignments.append(f"{quote(name)} = {loaded.format(fields[-1])}")
        conversion = f"SET {', '.join(assignments)}" if assignments else ""
        name = secrets.token_hex(16)
        statement = (
            f"LOAD DATA LOCAL INFILE '{name}' {'REPLACE' if replace else ''} INTO TABLE {quote(into)}"
            " CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY"
            f" x'{enclosure.encode().hex()}' ESCAPED BY ''"
            f" LINES TERMINATED BY '\\n' ({', '.join(fields)}) {conversion}"
        )
        try:
            answer = self._connection.load(statement, name, write, self._packet_bytes)
        except (pymysql.OperationalError, pymysql.DataError) as error:
            if error.args[0] in (ER.NOT_ALLOWED_COMMAND, 3948, 4166):
                raise Failure("MySQL refuses LOAD DATA LOCAL: set its local_infile=ON") from error
            # MySQL counts this error, about a date that does not exist, among those of its operation.
            if not isinstance(error, pymysql.DataError) and error.args[0] != ER.TRUNCATED_WRONG_VALUE:
                raise
            raise refused_value(table.name, str(error.args[-1])) from error
        warnings = self.execute("SHOW WARNINGS LIMIT 1")
        if warnings or answer.warnings:
            # The server also counts warnings that it is set not to store.
            what = (
                warnings[0][2]
                if warnings
                else f"it has {answer.warnings} warnings, and tells them where max_error_count is not 0"
            )
            raise refused_value(table.name, what)
        return answer.rows

    def load_copy(self, into: str, table: Table, copy: Callable[[Stream], int]) -> int:
        """Load whole rows of ``table``, which ``copy`` writes; both return the number of rows."""
        sent: list[int] = []
        columns = [(column.name, i) for i, column in enumerate(table.columns)]
        loaded = self.load(into, table, columns, lambda stream: sent.append(copy(stream)))
        if sent != [loaded]:
            raise Failure(f"MySQL took {loaded} of the {sent[0]} rows of {table.name}: see MySQL's error log")
        return loaded


def _lock_name(slot: str, part: str) -> str:
    return f"SHA2(CONCAT('replication', DATABASE(), '{slot}{part}'), 256)"
