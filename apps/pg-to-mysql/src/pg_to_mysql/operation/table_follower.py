"""How the replica's tables in MySQL are kept as PostgreSQL's catalogue has them."""

import math
import time
from collections.abc import Collection, Mapping

import psycopg

from pg_to_mysql.following import gone
from pg_to_mysql.following.follow import follow_tables
from pg_to_mysql.following.gone import Gone
from pg_to_mysql.mysql.state import State
from pg_to_mysql.mysql.unique import make_plain
from pg_to_mysql.postgres import members, wal
from pg_to_mysql.postgres.catalogue import read_tables
from pg_to_mysql.postgres.partitions import is_empty
from pg_to_mysql.tables.table import Table
from pg_to_mysql.tables.unfit import UnfitRules

REMIND_SECONDS = 300
"""Between two warnings of the same while a replica is followed."""
TIDY_SECONDS = 5
"""Between two looks at what only a user's DDL alters: MySQL's unique indexes, the publication's other members."""


class TableFollower:
    """Brings MySQL's tables to what the catalogue says. With ``drops``, it drops those that are gone."""

    def __init__(
        self,
        connection: psycopg.Connection,
        state: State,
        schema: str,
        unfit: UnfitRules,
        *,
        drops: bool,
        drop_gone: int | None,
    ) -> None:
        self.gone = Gone()
        """What was found gone from PostgreSQL, and stays in MySQL."""
        self._connection = connection
        self._state = state
        self._schema = schema
        self._unfit = unfit
        self._drops = drops
        self._drop_gone = drop_gone
        self._reminded = -math.inf
        self._tidied = -math.inf

    def follow(self) -> dict[str, Table]:
        """Bring the tables in MySQL to what the catalogue says now; return what it says."""
        tables, refused = read_tables(self._connection, self._schema, self._unfit)
        lsn = wal.inserted_lsn(self._connection)
        tidies = time.monotonic() > self._tidied + TIDY_SECONDS
        if tidies:
            self._tidied = time.monotonic()
            copied = self._state.copied()
            make_plain(
                self._state.target, {*copied, *(known.table.name for known in copied.values() if known.table)}
            )
        found = gone.find_gone(self._connection, self._state, self._schema, tables, refused)
        gone.copy_anew(self._state, found)
        if tidies or found.names != self.gone.names:
            self._let_go(found)
        follow_tables(
            self._state,
            tables,
            refused,
            lsn,
            self._unfit,
            lambda leaf: is_empty(self._connection, leaf),
            self.gone.names,
        )
        if tidies:
            self.withdraw(refused)
        return tables

    def withdraw(self, refused: Mapping[str, str], left_out: Collection[str] = ()) -> None:
        """Take out of the publication what is not the replica's, and what can't be or is left out."""
        known = {copied.table.oid for copied in self._state.copied().values() if copied.table}
        members.withdraw(self._connection, self._state.slot, self._schema, known, refused, left_out)

    def _let_go(self, found: Gone) -> None:
        self.gone = gone.let_go(self._state, found, self._drop_gone) if self._drops and found.names else found
        if self._drops and self.gone.names and time.monotonic() > self._reminded + REMIND_SECONDS:
            self._reminded = time.monotonic()
            gone.warn(self._schema, self.gone)

    def require_none_gone(self) -> None:
        """Fail if there are copies of tables that PostgreSQL has no longer, more than could be dropped."""
        if self.gone.too_many:
            raise gone.refusal(self._schema, self.gone.too_many)
