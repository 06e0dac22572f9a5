"""The moment at which the replica is read: a position in the source's log. The replica is kept at it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pymysql.connections import Connection

from martline.command import Failure, MySQLSettings
from pg_to_mysql.mysql.names import present_tables
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres.wal import format_lsn

POSITIONS = "_replication"
TABLES = "_replication_tables"
"""The table that lists the tables of each replication."""
JOURNAL = "_replication_changes"
"""The table that lists changed rows; see :mod:`martline.marts.incremental.journal`."""


@dataclass(frozen=True)
class Moment:
    """The positions of all replications into the database. There are none if nothing is replicated."""

    positions: tuple[tuple[str, int, int], ...] = ()
    """The slot, the LSN, and the number of changes that are applied from the transaction after it."""
    journal: int | None = field(default=None, compare=False)
    """The newest row of the journal of changed keys; None if there is none, or more than one replication."""

    @property
    def lsn(self) -> str | None:
        """The LSN as PostgreSQL writes it; None unless there is one."""
        if len(self.positions) != 1:
            return None
        return format_lsn(self.positions[0][1])

    def as_text(self) -> str:
        """The moment as a text that MySQL can store."""
        return json.dumps(self.positions)

    @classmethod
    def from_text(cls, text: str) -> "Moment":
        """The moment from a text of :meth:`as_text`."""
        return cls(tuple((slot, lsn, changes) for slot, lsn, changes in json.loads(text)))


@contextmanager
def held(settings: MySQLSettings) -> Iterator[Moment]:
    """Keep the replica from changing, and yield its moment.

    MySQL's connections can't share a snapshot. Each replication writes only while it holds its lock, so this
    takes all of these locks. A replication that waits for its lock continues afterwards.
    """
    with closing(Target(settings)) as target, ExitStack() as stack:
        names = target.table_names()
        if POSITIONS not in names:
            yield Moment()
            return
        for (slot,) in target.execute(f"SELECT slot FROM {POSITIONS} ORDER BY slot"):  # noqa: S608
            stack.enter_context(target.lock(slot))
        positions = _positions(target.execute)
        newest = None
        if len(positions) == 1 and JOURNAL in names:
            [(newest,)] = target.execute(f"SELECT MAX(id) FROM {JOURNAL} WHERE slot = %s", [positions[0][0]])  # noqa: S608
        yield Moment(positions, newest)


def require(connection: "Connection[Any]", moment: Moment) -> None:
    """Fail unless this connection sees the replica at that moment."""
    if moment_of(connection) != moment:
        raise Failure("The replica has changed while it was read: run build-marts again")


def moment_of(connection: "Connection[Any]") -> Moment:
    """The moment at which this connection sees the replica."""

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    return Moment(_positions(execute) if POSITIONS in present_tables(connection) else ())


def _positions(execute: Any) -> tuple[tuple[str, int, int], ...]:
    query = f"SELECT slot, applied_lsn, applied_changes FROM {POSITIONS} ORDER BY slot"  # noqa: S608
    return tuple((slot, int(lsn), int(changes)) for slot, lsn, changes in execute(query))
