"""The state of one slot's replica in MySQL. Only this module reads and writes the state's tables.

Methods that say so run in their caller's transaction; the others have their own transaction, or only read.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime
from typing import Any

from pg_to_mysql.errors import Failure, Setting
from pg_to_mysql.mysql.journal import Journal
from pg_to_mysql.mysql.names import TableNames
from pg_to_mysql.mysql.target import LOCK_WAIT_SECONDS, Target
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """What is known about a table: its columns when it was copied, and the moment of the copy."""

    table: Table | None
    """None if another version of this program stored it."""
    snapshot_lsn: int | None
    altering: Table | None = None
    """The table's new form, if a run was killed while it altered the table."""
    stopped: str | None = None
    """Why it is stopped; None if it is followed."""
    joined: bool = True
    """Whether the copy was ever complete. Before that, the table is not part of the replica."""


@dataclass(frozen=True)
class Transaction:
    """The last transaction that MySQL has: where its commit is in the log, and when it was committed."""

    lsn: int
    committed_at: int | None
    """In microseconds since 2000; None if there has been no transaction since the slot was created at the LSN."""


@dataclass(frozen=True)
class Position:
    """What MySQL has: all transactions before the LSN, and this many changes of the next transaction."""

    lsn: int
    changes: int = 0


@dataclass(frozen=True)
class Identity:
    """A database of a PostgreSQL server, and a schema in it."""

    system_identifier: str
    """The system identifier of the server's data folder; copies of the folder have the same one."""
    timeline: int
    """The timeline; it changes when a copy of the folder is promoted."""
    database_oid: int
    """Changes when the database is dropped and created again."""
    database_name: str
    schema_name: str


@dataclass(frozen=True)
class KnownTable:
    """What the status shows about a table."""

    name: str
    snapshot_lsn: int | None
    stopped: str | None
    rows_copied: int | None
    copied_at: datetime | None


class State:
    """The state of the replica of one slot; its journal is off if ``journal_bytes`` is 0."""

    def __init__(self, target: Target, slot: str, journal_bytes: int = 0) -> None:
        self.target = target
        self.slot = slot
        self.journal = Journal(target, slot, journal_bytes)

    # --- the replica: a row of _replication ---

    def position(self) -> Position | None:
        """The position that the tables have reached; None before the first run."""
        rows = self._of_replica("applied_lsn, applied_changes")
        return Position(*rows[0]) if rows else None

    def applied_lsn(self) -> int | None:
        """The LSN before which all transactions are in the tables; None before the first run."""
        position = self.position()
        return position.lsn if position else None

    def store_position(self, position: Position, last: Transaction | None = None) -> None:
        """Set the position, in the caller's transaction, which also writes the changes.

        Without ``last``, the last transaction stays as it is.
        """
        self.target.execute(
            "INSERT INTO _replication (slot, applied_lsn, applied_changes) VALUES (%s, %s, %s)"
            " ON DUPLICATE KEY UPDATE applied_lsn = VALUES(applied_lsn),"
            " applied_changes = VALUES(applied_changes)",
            [self.slot, position.lsn, position.changes],
        )
        if last is not None:
            self._set_replica("commit_lsn = %s, committed_at = %s", [last.lsn, last.committed_at])

    def last_transaction(self) -> Transaction | None:
        """The last transaction whose changes, all or some, are in the tables; None if that is not known."""
        rows = self._of_replica("commit_lsn, committed_at", "commit_lsn IS NOT NULL")
        return Transaction(*rows[0]) if rows else None

    def reached(self) -> int | None:
        """The LSN of the newest data in the tables, copies included; None if there is no data."""
        [(reached,)] = self.target.execute(
            "SELECT MAX(lsn) FROM (SELECT applied_lsn AS lsn FROM _replication WHERE slot = %s"
            " UNION ALL SELECT snapshot_lsn FROM _replication_tables WHERE slot = %s) AS known",
            [self.slot, self.slot],
        )
        return None if reached is None else int(reached)

    def store_equal(self) -> None:
        """Record that the tables now equal the source."""
        with self.target.transaction():
            self._set_replica("equal_at = UTC_TIMESTAMP(6)", [])

    def seconds_since_equal(self) -> float | None:
        """Seconds since the tables were last known to equal the source; None if they never were."""
        rows = self._of_replica("TIMESTAMPDIFF(MICROSECOND, equal_at, UTC_TIMESTAMP(6))")
        return float(rows[0][0]) / 1e6 if rows and rows[0][0] is not None else None

    def identity(self) -> Identity | None:
        """The source of the copies; None if there are no copies, or an earlier version made them."""
        names = ", ".join(field.name for field in fields(Identity))
        rows = self._of_replica(names, "system_identifier IS NOT NULL")
        return Identity(*rows[0]) if rows else None

    def store_identity(self, identity: Identity) -> None:
        """Record the source of the copies, in the caller's transaction."""
        assignments = ", ".join(f"{field.name} = %s" for field in fields(Identity))
        self._set_replica(assignments, astuple(identity))

    def publication_mark(self) -> str | None:
        """The mark of the publication when it was last seen; None if it was never seen."""
        rows = self._of_replica("publication")
        return rows[0][0] if rows else None

    def store_publication_mark(self, mark: str) -> None:
        """Record the publication's mark, in the caller's transaction."""
        self._set_replica("publication = %s", [mark])

    def forget_source(self) -> None:
        """Mark all tables to be copied again, from any source. Until then they stay as they are."""
        with self.target.transaction():
            self.target.execute("DELETE FROM _replication WHERE slot = %s", [self.slot])
            for name, copied in self.copied().items():
                # So that no table of the next source is mistaken for this one because it has the same oid.
                layout = replace(copied.table, oid=0).to_json() if copied.table else ""
                self._set_table(
                    name, "layout = %s, altering = NULL, stopped = NULL, snapshot_lsn = NULL", [layout]
                )

    # --- its tables: rows of _replication_tables ---

    def copied(self) -> dict[str, Copied]:
        """What is known about each table. A table that somebody has dropped counts as never copied."""
        rows = self.target.execute(
            "SELECT name, layout, altering, snapshot_lsn, stopped, copied_at FROM _replication_tables"
            " WHERE slot = %s",
            [self.slot],
        )
        there = self.target.table_names()
        copied = {}
        for name, layout, altering, lsn, stopped, copied_at in rows:
            table = Table.from_json(layout)
            exists = name in there or (table is not None and table.name in there)
            after = Table.from_json(altering) if altering else None
            copied[name] = Copied(table, lsn if exists else None, after, stopped, copied_at is not None)
        return copied

    def known_tables(self) -> list[KnownTable]:
        """What the status shows about each table."""
        rows = self.target.execute(
            "SELECT name, snapshot_lsn, stopped, rows_copied, copied_at FROM _replication_tables"
            " WHERE slot = %s ORDER BY name",
            [self.slot],
        )
        return [KnownTable(*row) for row in rows]

    def taken_names(self) -> TableNames:
        """The names of tables that exist in the database or that belong to another slot's replica."""
        others = self.target.execute("SELECT name FROM _replication_tables WHERE slot <> %s", [self.slot])
        return self.target.names([*self.target.table_names(), *(name for (name,) in others)])

    def claim(self, tables: Sequence[Table]) -> dict[str, str]:
        """Record that the tables belong to the slot, before anything is done to them.

        Returns the tables that belong to another slot, with the reason.
        """
        lock = "SHA2(CONCAT('replication', DATABASE(), ' names'), 256)"
        if self.target.execute(f"SELECT GET_LOCK({lock}, {LOCK_WAIT_SECONDS})") != [(1,)]:
            raise Failure("Another program is reserving names of tables in MySQL: run `replicate` again")
        try:
            with self.target.transaction():
                others: dict[str, str] = dict(
                    self.target.execute(
                        "SELECT name, slot FROM _replication_tables WHERE slot <> %s", [self.slot]
                    )
                )
                self.target.execute_many(
                    "INSERT IGNORE INTO _replication_tables (slot, name, layout) VALUES (%s, %s, %s)",
                    self._lines(table for table in tables if table.name not in others),
                )
        finally:
            self.target.execute(f"SELECT RELEASE_LOCK({lock})")
        return {
            table.name: f"MySQL's table of that name belongs to the replica of the slot {others[table.name]}:"
            " replicate into another database"
            for table in tables
            if table.name in others
        }

    def store_copying(self, tables: Iterable[Table]) -> None:
        """Record that the tables are being copied, with their current columns."""
        with self.target.transaction():
            self.target.execute_many(
                "INSERT INTO _replication_tables (slot, name, layout) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE"
                " layout = VALUES(layout), altering = NULL, stopped = NULL, snapshot_lsn = NULL",
                self._lines(tables),
            )

    def store_copied(self, rows: Mapping[str, int], lsn: int) -> None:
        """Record that the tables are in place with this many rows, and have everything before the LSN."""
        with self.target.transaction():
            self.target.execute_many(
                "UPDATE _replication_tables SET snapshot_lsn = %s, rows_copied = %s, copied_at = UTC_TIMESTAMP(6)"
                " WHERE slot = %s AND name = %s",
                [(lsn, count, self.slot, name) for name, count in rows.items()],
            )
            self.journal.note_tables(rows)

    def store_not_copied(self, name: str, reason: str) -> None:
        """Record why the table could not be copied."""
        with self.target.transaction():
            self._set_table(name, "stopped = %s", [reason])

    def store_stopped(self, name: str, reason: str) -> None:
        """Record that the table is stopped, in the caller's transaction."""
        log.error(
            "%s is followed no more: %s; to copy it again, recopy it",
            name,
            reason,
            extra={"settings": {Setting.RECOPY: name}},
        )
        self._set_table(name, "stopped = %s", [reason])

    def store_unfit(self, name: str, reason: str) -> None:
        """Note, in the caller's transaction, that MySQL can't have the table's changes: it is copied again."""
        log.error("%s is followed no more: %s; the next `replicate` copies it again", name, reason)
        self._set_table(name, "stopped = %s, snapshot_lsn = NULL, altering = NULL", [reason])

    def store_lost(self, name: str) -> None:
        """Note, in the caller's transaction, that changes of the table are lost: it is copied again."""
        self._set_table(name, "snapshot_lsn = NULL, altering = NULL", [])

    def copy_again(self, names: Collection[str]) -> None:
        """Let the next snapshot copy these tables again."""
        with self.target.transaction():
            for name in names:
                self._set_table(name, "snapshot_lsn = NULL, stopped = NULL, altering = NULL", [])

    def forget_copies(self) -> None:
        """Mark all tables to be copied again by the next snapshot."""
        with self.target.transaction():
            self.target.execute(
                "UPDATE _replication_tables SET snapshot_lsn = NULL, stopped = NULL WHERE slot = %s", [self.slot]
            )

    def forget_table(self, name: str) -> None:
        """Forget the table, which no longer exists."""
        with self.target.transaction():
            self.target.execute(
                "DELETE FROM _replication_tables WHERE slot = %s AND name = %s", [self.slot, name]
            )
            self.journal.note(name, None)

    def store_altering(self, name: str, table: Table) -> None:
        """Record the form that the table is about to get."""
        with self.target.transaction():
            self._set_table(name, "altering = %s", [table.to_json()])
            self.journal.note(name, None)

    def store_altered(self, name: str, table: Table) -> None:
        """Record what the table has become in MySQL."""
        with self.target.transaction():
            self._set_layout(name, table)
            self.journal.note(name, None)

    def store_renamed(self, old: str, name: str, table: Table) -> None:
        """Record that the table has its new name in MySQL."""
        with self.target.transaction():
            self._set_layout(name, table)
            self.journal.note_tables([old, name])

    def store_layout(self, name: str, table: Table) -> None:
        """Record the table's form in PostgreSQL, where nothing has changed for MySQL."""
        with self.target.transaction():
            self._set_layout(name, table)

    def rename(self, name: str, new: str) -> None:
        """Record the table's new name, before it is renamed."""
        with self.target.transaction():
            self._set_table(name, "name = %s", [new])
            self.journal.note_tables([name, new])

    def table_marks(self) -> dict[str, str | None]:
        """How the followed tables were published when they were copied; None if that is not known."""
        return dict(
            self.target.execute(
                "SELECT name, published FROM _replication_tables"
                " WHERE slot = %s AND snapshot_lsn IS NOT NULL AND stopped IS NULL",
                [self.slot],
            )
        )

    def store_table_marks(self, marks: Mapping[str, str]) -> None:
        """Record how the tables are published, in the caller's transaction."""
        self.target.execute_many(
            "UPDATE _replication_tables SET published = %s WHERE slot = %s AND name = %s",
            [(mark, self.slot, name) for name, mark in marks.items()],
        )

    # --- statements ---

    def _of_replica(self, columns: str, where: str = "TRUE") -> list[tuple[Any, ...]]:
        return self.target.execute(f"SELECT {columns} FROM _replication WHERE slot = %s AND {where}", [self.slot])

    def _set_replica(self, assignments: str, values: Sequence[object]) -> None:
        self.target.execute(f"UPDATE _replication SET {assignments} WHERE slot = %s", [*values, self.slot])

    def _set_table(self, name: str, assignments: str, values: Sequence[object]) -> None:
        self.target.execute(
            f"UPDATE _replication_tables SET {assignments} WHERE slot = %s AND name = %s",
            [*values, self.slot, name],
        )

    def _set_layout(self, name: str, table: Table) -> None:
        self._set_table(name, "layout = %s, altering = NULL", [table.to_json()])

    def _lines(self, tables: Iterable[Table]) -> list[tuple[str, str, str]]:
        return [(self.slot, table.name, table.to_json()) for table in tables]
