"""What a run leaves for the next in a file: the rows that it has read of the replica, and the marts made of them.

The file is one of DuckDB. It says of which run it is: it is of use as long as readers see that run's marts, and
the marts are defined as they were. It has all that marts are made of, also people's names, so its folder is for
its user alone.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
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
from martline.marts.statement import Columns, Dialect, frame_of, statement

FOLDER = "MARTS_STATE"
"""The setting with the folder; without it, nothing is kept."""
FORMAT = "1"
"""Of the file."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Of which run a file is."""

    run_id: int
    journal: int
    """The newest row of the replicator's journal at the moment that was read."""
    definitions: str
    """What :func:`fingerprint` said."""


@dataclass(frozen=True)
class Difference:
    """The rows in which a mart differs from that of the last run."""

    before: pa.Table
    """As they were, of those that were there."""
    after: pa.Table
    """As they are, of those that are there."""


def fingerprint(marts: Sequence[Mart], columns: Columns) -> str:
    """What differs as soon as a mart is defined in another way, or made of columns of other types."""
    parts = [FORMAT, *(f"{table}: {schema}" for table, schema in sorted(columns.items()))]
    for mart in marts:
        frame = frame_of(mart, columns)
        parts += [mart.create_statement(mart.name, frame.schema()), statement(frame, Dialect.DUCKDB)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def file() -> Path | None:
    """Where the last run's tables are kept; None if they are not to be."""
    folder = os.environ.get(FOLDER, "")
    return Path(folder, "marts.duckdb") if folder else None


class Kept(DuckDB):
    """The tables of the last run."""

    @classmethod
    @contextmanager
    def changing(cls, path: Path) -> Iterator[Self]:
        """The tables in the file, in a transaction that ends with :meth:`remember`, or else changes nothing.

        :raises AnythingMayHaveChanged: there is no such file, or it can't be read.
        """
        if not path.exists():
            raise AnythingMayHaveChanged(f"no earlier run has kept its tables in {path}")
        with ExitStack() as stack:
            try:
                kept = stack.enter_context(cls.opened(path))
            except Failure as failure:
                raise AnythingMayHaveChanged(str(failure)) from failure
            kept.connection.begin()
            yield kept

    def origin(self) -> Origin:
        """Of which run they are."""
        return Origin(*self.connection.sql("FROM origin").fetchall()[0])

    def remember(self, origin: Origin) -> None:
        """Keep what was changed."""
        self.connection.execute("UPDATE origin SET run_id = ?, journal = ?, definitions = ?", astuple(origin))
        self.connection.commit()

    def replace(self, changed: Mapping[str, Sequence[int]], plan: Plan) -> None:
        """Put the rows of these keys, which ``plan`` reads, in the places of those that there were."""
        for table, (reader, tasks) in plan.items():
            with ThreadPoolExecutor(self.parallel) as pool:
                read: list[list[pa.RecordBatch]] = list(pool.map(list, map(reader.read, tasks)))
            keys = pa.table({"key": pa.array(changed[table], pa.int64())})
            with self._named("changed", keys):
                self.connection.execute(f'DELETE FROM "{table}" WHERE "{reader.key}" IN (FROM changed)')  # noqa: S608
            with self._named("rows", pa.Table.from_batches(chain.from_iterable(read), reader.schema)):
                self.connection.execute(f'INSERT INTO "{table}" FROM rows')

    def difference(self, mart: Mart, frame: Table) -> Difference:
        """Compute the mart, put it in the place of the one that there was, and tell in what they differ."""
        keys = ", ".join(f'"{name}"' for name in mart.key)
        here = f'"{mart.name}"'
        with self._named("built", self.compute(frame)):
            after = self._rows(f"FROM built EXCEPT FROM {here}")
            with self._named("after", after):
                gone = self._rows(f"SELECT {keys} FROM {here} ANTI JOIN built USING ({keys})")  # noqa: S608
                with self._named("leaving", pa.concat_tables([gone, after.select(list(mart.key))])):
                    before = self._rows(f"FROM {here} SEMI JOIN leaving USING ({keys})")
                    self.connection.execute(f"DELETE FROM {here} WHERE ({keys}) IN (FROM leaving)")  # noqa: S608
                self.connection.execute(f"INSERT INTO {here} FROM after")
        return Difference(before, after)

    def count(self, table: str) -> int:
        """The number of the table's rows."""
        [(number,)] = self.connection.sql(f'SELECT COUNT(*) FROM "{table}"').fetchall()  # noqa: S608
        return int(number)

    def _rows(self, query: str) -> pa.Table:
        return self.connection.sql(query).to_arrow_table()

    @contextmanager
    def _named(self, name: str, rows: pa.Table) -> Iterator[None]:
        self.connection.register(name, rows)
        try:
            yield
        finally:
            self.connection.unregister(name)


def keep(engine: DuckDB, path: Path, run_id: int, moment: Moment, definitions: str) -> None:
    """Write the engine's tables to the file, in the place of what it has.

    If that is not possible, the log says why: the marts are published, and the next run reads all rows.
    """
    if moment.journal is None:
        log.info("The next run will read all rows too: the replicator keeps no journal of changed keys")
        return
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        discard(path)
        discard(new)
        with engine.written_to(new) as name:
            engine.connection.execute(
                f"CREATE TABLE {name}.origin (run_id BIGINT, journal BIGINT, definitions VARCHAR)"
            )
            origin = Origin(run_id, moment.journal, definitions)
            engine.connection.execute(f"INSERT INTO {name}.origin VALUES (?, ?, ?)", astuple(origin))  # noqa: S608
        new.chmod(0o600)  # its folder may be older, and open to others
        new.rename(path)
    except (duckdb.Error, OSError) as error:
        log.warning("The next run will read all rows: this one can't be kept in %s: %s", path, error)


def discard(path: Path) -> None:
    """Remove the file, if it is there, and the one that DuckDB writes beside it."""
    for name in (path, Path(f"{path}.wal")):
        name.unlink(missing_ok=True)
