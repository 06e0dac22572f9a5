"""Keeps the replica's tables in MySQL in the form that PostgreSQL's catalogue has."""

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
"""Seconds between two identical warnings while a replica is followed."""
TIDY_SECONDS = 5
"""Seconds between two checks of what only a user's DDL alters: MySQL's unique indexes, the publication's members.
"""


class TableFollower:
    """Brings MySQL's tables to the form in the catalogue; with ``drops``, drops those that are gone."""

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
        """Tables that are gone from PostgreSQL, but stay in MySQL."""
        self._connection = connection
        self._state = state
        self._schema = schema
        self._unfit = unfit
        self._drops = drops
        self._drop_gone = drop_gone
        self._reminded = -math.inf
        self._tidied = -math.inf

    def follow(self) -> dict[str, Table]:
        """Bring the tables in MySQL to the form in the catalogue now; return the catalogue's tables."""
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
        """Remove tables from the publication that are not the replica's, can't be in it, or are left out."""
        known = {copied.table.oid for copied in self._state.copied().values() if copied.table}
        members.withdraw(self._connection, self._state.slot, self._schema, known, refused, left_out)

    def _let_go(self, found: Gone) -> None:
        self.gone = gone.let_go(self._state, found, self._drop_gone) if self._drops and found.names else found
        if self._drops and self.gone.names and time.monotonic() > self._reminded + REMIND_SECONDS:
            self._reminded = time.monotonic()
            gone.warn(self._schema, self.gone)

    def require_none_gone(self) -> None:
        """Fail if PostgreSQL no longer has the tables of more copies than may be dropped."""
        if self.gone.too_many:
            raise gone.refusal(self._schema, self.gone.too_many)
