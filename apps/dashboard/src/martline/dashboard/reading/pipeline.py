"""Reads the pipeline's bookkeeping from MySQL: the replica's position and tables, and the marts' builds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymysql.connections import Connection

from martline.dashboard.reading.database import ask
from martline.dashboard.tables import ALL_MARTS, BOOKKEEPING, LINEAGE
from pg_to_mysql.mysql.names import present_tables

EPOCH_OF_POSTGRESQL = datetime(2000, 1, 1, tzinfo=UTC)
LAST_ROWS = 12
"""The number of runs that are shown."""


@dataclass(frozen=True)
class Replica:
    """The state of one slot's replica. Times are UTC."""

    slot: str
    applied_lsn: int
    equal_at: datetime | None
    """When the tables were last known to equal the source."""
    committed_at: datetime | None
    """When the last applied transaction was committed in PostgreSQL."""


@dataclass(frozen=True)
class ReplicatedTable:
    """A table of the replica."""

    slot: str
    name: str
    is_copied: bool
    rows_copied: int | None
    copied_at: datetime | None
    stopped: str | None
    """The reason why the table is no longer followed; None if it is followed."""

    @property
    def state(self) -> str:
        """``stopped``, ``copying`` or ``copied``, as `replication-status` shows it."""
        return "stopped" if self.stopped else "copied" if self.is_copied else "copying"


@dataclass(frozen=True)
class Listing:
    """The last rows of a table, unchanged."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class MartColumn:
    """A column of a mart, and the columns of the replica from which it is computed, as ``table.column``."""

    name: str
    type: str
    meaning: str
    origins: Sequence[str]


@dataclass(frozen=True)
class Pipeline:
    """The bookkeeping. The names of missing tables are in ``missing``."""

    read_at: datetime
    missing: tuple[str, ...]
    replicas: Sequence[Replica]
    tables: Sequence[ReplicatedTable]
    runs: Listing | None
    """The runs of build-marts, the last one first."""
    checks: Listing | None
    """The checks of the last run that was checked, those that did not pass first."""
    lineage: Mapping[str, Sequence[MartColumn]]
    """The lineage of each existing mart."""

    @property
    def stopped(self) -> list[ReplicatedTable]:
        """The tables that are not followed."""
        return [table for table in self.tables if table.stopped]


def read_pipeline(connection: "Connection[Any]") -> Pipeline:
    """Read the bookkeeping, as far as its tables exist."""
    present = present_tables(connection)
    return Pipeline(
        read_at=datetime.now(UTC),
        missing=tuple(table for table in BOOKKEEPING if table not in present),
        replicas=_replicas(connection) if "_replication" in present else (),
        tables=_tables(connection) if "_replication_tables" in present else (),
        runs=_runs(connection, present),
        checks=_checks(connection) if "mart_checks" in present else None,
        lineage=_lineage(connection, present),
    )


def _replicas(connection: "Connection[Any]") -> list[Replica]:
    rows = ask(
        connection, "SELECT slot, applied_lsn, equal_at, committed_at FROM _replication ORDER BY slot LIMIT 100"
    )
    return [
        Replica(
            slot,
            int(lsn),
            _utc(equal_at),
            None if committed_at is None else EPOCH_OF_POSTGRESQL + timedelta(microseconds=int(committed_at)),
        )
        for slot, lsn, equal_at, committed_at in rows
    ]


def _tables(connection: "Connection[Any]") -> list[ReplicatedTable]:
    rows = ask(
        connection,
        "SELECT slot, name, snapshot_lsn IS NOT NULL, rows_copied, copied_at, stopped FROM _replication_tables"
        " ORDER BY stopped IS NULL, slot, name LIMIT 1000",
    )
    return [
        ReplicatedTable(slot, name, bool(is_copied), rows_copied, _utc(copied_at), stopped)
        for slot, name, is_copied, rows_copied, copied_at, stopped in rows
    ]


def _runs(connection: "Connection[Any]", present: set[str]) -> Listing | None:
    if "mart_runs" not in present:
        return None
    return _listing(connection, "mart_runs", f"ORDER BY run_id DESC LIMIT {LAST_ROWS}")


def _checks(connection: "Connection[Any]") -> Listing:
    return _listing(
        connection,
        "mart_checks",
        "WHERE run_id = (SELECT MAX(run_id) FROM mart_checks)"
        " ORDER BY outcome = 'failed' DESC, outcome = 'passed', mart, `check` LIMIT 200",
    )


def _lineage(connection: "Connection[Any]", present: set[str]) -> dict[str, list[MartColumn]]:
    origins: dict[tuple[str, str], list[str]] = {}
    if LINEAGE in present:
        for mart, column, origin in ask(
            connection, f"SELECT mart, `column`, origin FROM {LINEAGE} ORDER BY origin LIMIT 10000"
        ):
            origins.setdefault((mart, column), []).append(origin)
    names = ", ".join(f"'{mart}'" for mart in ALL_MARTS)
    columns = ask(
        connection,
        "SELECT table_name, column_name, column_type, column_comment FROM information_schema.columns"
        f" WHERE table_schema = DATABASE() AND table_name IN ({names}) ORDER BY table_name, ordinal_position",
    )
    lineage: dict[str, list[MartColumn]] = {}
    for mart, column, kind, meaning in columns:
        written = kind.decode() if isinstance(kind, bytes) else kind
        lineage.setdefault(mart, []).append(MartColumn(column, written, meaning, origins.get((mart, column), ())))
    return lineage


def _listing(connection: "Connection[Any]", table: str, which: str) -> Listing:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM `{table}` {which}")
        return Listing(table, tuple(column[0] for column in cursor.description or ()), cursor.fetchall())


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
