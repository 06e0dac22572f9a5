"""The file that a run keeps for the next one: the rows read from the replica, and the marts computed from them.

It is a DuckDB database, and records which run wrote it. The next run can use it if readers still see the marts of
that run, and no definition has changed. Only its owner may read it, because it contains people's names.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
from ibis.expr.types import Table

from martline.command import Failure
from martline.marts.definition import Mart
from martline.marts.engines.duck import DuckDB
from martline.marts.incremental.journal import AnythingMayHaveChanged
from martline.marts.reading.moment import Moment
from martline.marts.reading.plan import Plan
from martline.marts.runs import Run
from martline.marts.statement import Columns, Dialect, frame_of, statement

FOLDER = "MARTS_STATE"
"""The setting with the folder; without it, nothing is kept."""
FORMAT = "1"
"""The version of the file's layout."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """The run that wrote the file."""

    run_id: int
    built_at: datetime
    """Start of the run. In a database that was restored, another run may have the same number."""
    journal: int
    """The id of the newest row of the replicator's journal when the run read the replica."""
    definitions: str
    """The :func:`fingerprint` of the marts."""


@dataclass(frozen=True)
class Change:
    """Rows of a table that have changed."""

    key: tuple[str, ...]
    """The columns by which they are found."""
    before: pa.Table
    """The old versions; without rows that are new."""
    after: pa.Table
    """The new versions; without rows that are gone."""


def fingerprint(marts: Sequence[Mart], columns: Columns, collation: str) -> str:
    """A hash that changes with the definitions of the marts, the types of their sources, and DuckDB's version.

    The checks are part of it, because an incremental run makes many of them on changed rows alone. So after a
    check has changed, all rows are read and checked.
    """
    parts = [FORMAT, duckdb.__version__, *(f"{table}: {schema}" for table, schema in sorted(columns.items()))]
    for mart in marts:
        frame = frame_of(mart, columns)
        parts.append(mart.create_statement(mart.name, frame.schema(), collation))
        parts += [statement(frame, Dialect.DUCKDB), str(mart.checks)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def file() -> Path | None:
    """The path of the file; None if runs do not keep one."""
    folder = os.environ.get(FOLDER, "")
    return Path(folder, "marts.duckdb") if folder else None


class Kept(DuckDB):
    """The file of the last run, opened."""

    @classmethod
    @contextmanager
    def changing(cls, path: Path) -> Iterator[Self]:
        """Open the file in a transaction, which :meth:`remember` commits. Otherwise nothing is changed.

        :raises AnythingMayHaveChanged: there is no such file, or it can't be read.
        """
        if not path.exists():
            raise AnythingMayHaveChanged(f"no earlier run has kept its tables in {path}")
        with ExitStack() as stack:
            stack.enter_context(_for_the_owner_alone())
            try:
                kept = stack.enter_context(cls.opened(path))
            except Failure as failure:
                raise AnythingMayHaveChanged(str(failure)) from failure
            kept.connection.begin()
            yield kept

    def origin(self) -> Origin:
        """The run that wrote the file."""
        names = ", ".join(field.name for field in fields(Origin))
        return Origin(*self.connection.sql(f"SELECT {names} FROM origin").fetchall()[0])  # noqa: S608

    def remember(self, origin: Origin) -> None:
        """Commit the changes, as the work of this run. If that fails, see :func:`keep`."""
        try:
            self.connection.execute(
                "UPDATE origin SET run_id = ?, built_at = ?, journal = ?, definitions = ?", astuple(origin)
            )
            self.connection.commit()
        except duckdb.Error as error:
            _warn(error)

    def changes(self, changed: Mapping[str, Sequence[int]], plan: Plan) -> dict[str, Change]:
        """Read the rows with these keys, and return them beside the kept ones."""
        changes = {}
        for table, (reader, tasks) in plan.items():
            with ThreadPoolExecutor(self.parallel) as pool:
                read: list[list[pa.RecordBatch]] = list(pool.map(list, map(reader.read, tasks)))
            keys = pa.table({reader.key: pa.array(changed[table], pa.int64())})
            with self.named(keys=keys):
                before = self.rows(f'FROM "{table}" SEMI JOIN keys USING ("{reader.key}")')
            after = pa.Table.from_batches(chain.from_iterable(read), reader.schema)
            changes[table] = Change((reader.key,), before, after)
        return changes

    def difference(self, mart: Mart, frame: Table) -> Change:
        """Compute the whole mart, store it instead of its previous version, and return the rows that differ."""
        keys = quoted(mart.key)
        here = f'"{mart.name}"'
        with self.named(built=self.compute(frame)):
            after = self.rows(f"FROM built EXCEPT FROM {here}")
            gone = self.rows(f"SELECT {keys} FROM {here} ANTI JOIN built USING ({keys})")  # noqa: S608
            leaving = pa.concat_tables([gone, after.select(list(mart.key))])
            with self.named(leaving=leaving):
                before = self.rows(f"FROM {here} SEMI JOIN leaving USING ({keys})")
        return self.put(mart, before, after)

    def put(self, mart: Mart, before: pa.Table, after: pa.Table) -> Change:
        """Store new rows of the mart instead of the old ones."""
        change = Change(mart.key, before, after)
        self.replace(mart.name, change)
        return change

    def replace(self, table: str, change: Change) -> None:
        """Replace the rows of a table that have changed."""
        keys = quoted(change.key)
        with self.named(before=change.before, after=change.after):
            self.connection.execute(f'DELETE FROM "{table}" WHERE ({keys}) IN (SELECT {keys} FROM before)')  # noqa: S608
            self.connection.execute(f'INSERT INTO "{table}" FROM after')

    def count(self, table: str) -> int:
        """The number of the table's rows."""
        [(number,)] = self.connection.sql(f'SELECT COUNT(*) FROM "{table}"').fetchall()  # noqa: S608
        return int(number)

    def rows(self, query: str) -> pa.Table:
        """The rows that the query returns."""
        return self.connection.sql(query).to_arrow_table()

    @contextmanager
    def named(self, **tables: pa.Table) -> Iterator[None]:
        """Let queries in this block find these rows by these names."""
        for name, rows in tables.items():
            self.connection.register(name, rows)
        try:
            yield
        finally:
            for name in tables:
                self.connection.unregister(name)


def quoted(names: Iterable[str]) -> str:
    """The names as a list of columns in a query."""
    return ", ".join(f'"{name}"' for name in names)


def keep(engine: DuckDB, path: Path, run: Run, moment: Moment, definitions: str) -> None:
    """Replace the file by one with the engine's tables.

    If that fails, the run does not, because its marts are published already. The log gives the reason, and the
    next run reads all rows.
    """
    if moment.journal is None:
        log.info("The next run will read all rows too: the replicator keeps no journal of changed keys")
        return
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        discard(path)
        discard(new)
        with _for_the_owner_alone(), engine.written_to(new) as name:
            engine.connection.execute(
                f"CREATE TABLE {name}.origin"
                " (run_id BIGINT, built_at TIMESTAMP, journal BIGINT, definitions VARCHAR)"
            )
            origin = Origin(run.run_id, run.started_at, moment.journal, definitions)
            engine.connection.execute(f"INSERT INTO {name}.origin VALUES (?, ?, ?, ?)", astuple(origin))  # noqa: S608
        new.rename(path)
    except (duckdb.Error, OSError) as error:
        _warn(error)


def _warn(error: Exception) -> None:
    log.warning("The next run will read all rows: this one can't be kept in %s: %s", FOLDER, error)


@contextmanager
def _for_the_owner_alone() -> Iterator[None]:
    """Let only the owner read the files that are made, DuckDB's log too: their folder may be open to others."""
    usual = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(usual)


def discard(path: Path) -> None:
    """Remove the file and DuckDB's write-ahead log beside it, if they exist."""
    for name in (path, Path(f"{path}.wal")):
        name.unlink(missing_ok=True)
