"""The snapshot: tables that are new in MySQL are copied, and put in place when they are complete."""

import hashlib
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg

from pg_to_mysql.errors import Refused
from pg_to_mysql.extras import extra
from pg_to_mysql.mysql.indexes import create_indexes
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.state import Copied, State
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres.connection import parameters_of
from pg_to_mysql.progress import Progress, unseen
from pg_to_mysql.snapshot.catch_up import CatchUp, Joined
from pg_to_mysql.snapshot.ledger import Ledger
from pg_to_mysql.snapshot.ranges import THREADS, cut, tasks
from pg_to_mysql.snapshot.worker import Worker
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

LEAST_FOR_SPARK = 128 << 20
"""In bytes of PostgreSQL's storage. Threads copy about this much in the time that Spark needs to start."""
THIS_MACHINE = re.compile(r"(local(\[.*\])?)?")
"""Names of Spark masters that are not clusters."""
POLL_SECONDS = 0.2


def tables_to_copy(
    state: State,
    tables: Mapping[str, Table],
    wanted: Collection[str],
    exclude: Collection[str],
    copied: Mapping[str, Copied],
) -> tuple[list[Table], dict[str, str]]:
    """The wanted tables that MySQL lacks, and the replica's tables that must be copied again.

    Also returns the tables that can't be copied because MySQL has another table of that name, with the reason.
    """
    in_target = state.target.table_names()
    todo = []
    failed = {}
    for name, table in tables.items():
        known = copied.get(name)
        if name not in wanted and (known is None or not known.joined or name in exclude):
            continue
        if known is None:
            if name in in_target:
                failed[name] = (
                    f"MySQL has a table {name} that did not come from the slot {state.slot}:"
                    " rename or drop it there"
                )
                continue
        elif known.snapshot_lsn is not None and known.table is not None:
            continue
        todo.append(table)
    return todo, failed


@dataclass(frozen=True)
class Means:
    """Means to copy tables."""

    spark_master: str = ""
    """The Spark cluster that copies large amounts; without one, this process copies everything."""
    progress: Progress = unseen


@dataclass
class Snapshot:
    """The result of a snapshot: the rows of each table, and why other tables could not be copied."""

    rows: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Refused] = field(default_factory=dict)
    seconds: float = 0
    """How long the copy took, without the start of Spark."""

    def __iadd__(self, other: "Snapshot") -> "Snapshot":
        failed = {name: reason for name, reason in self.failed.items() if name not in other.rows}
        return Snapshot(self.rows | other.rows, failed | other.failed, self.seconds + other.seconds)


def copy_tables(
    state: State,
    lsn: int,
    reader: psycopg.Connection,
    tables: Sequence[Table],
    means: Means,
    catch_up: CatchUp | None = None,
) -> Snapshot:
    """Copy the tables as ``reader`` sees them, at the LSN; each is put in place as soon as it is complete.

    With ``catch_up``, the replica continues meanwhile, and all tables join it together at its later position.
    """
    started = time.monotonic()
    copying = _Copying(state, lsn, reader, tables, means, catch_up)
    with copying.running() as work:
        copying.put_in_place_until_done(work)
        copying.result.seconds += time.monotonic() - started
    clear(state)
    return copying.result


def clear(state: State) -> None:
    """Drop the tables that a killed snapshot has left."""
    prefix = _prefix(state.slot)
    state.target.drop_tables([name for name in state.target.table_names() if name.startswith(prefix)])


def _prefix(slot: str) -> str:
    """The beginning of the staging tables' names; other slots may copy into the same database."""
    return f"_replication_{hashlib.sha256(slot.encode()).hexdigest()[:8]}_"


class _Copying:
    """One snapshot under way."""

    def __init__(
        self,
        state: State,
        lsn: int,
        reader: psycopg.Connection,
        tables: Sequence[Table],
        means: Means,
        catch_up: CatchUp | None,
    ) -> None:
        # Each run has its own name, so that tasks that outlive a killed run don't write into the next one.
        name = f"{_prefix(state.slot)}{secrets.token_hex(4)}"
        self.result = Snapshot()
        self._state = state
        self._target = state.target
        self._lsn = lsn
        self._catch_up = catch_up
        self._means = means
        self._ledger = Ledger(f"{name}_ranges")
        self._waiting = {f"{name}_{i}": table for i, table in enumerate(tables)}
        self._ranges = cut(reader, tables, list(self._waiting))
        self._counts = Counter(part.staging for part in self._ranges)
        self._sizes: Counter[str] = Counter()
        for part in self._ranges:
            self._sizes[part.staging] += part.size
        [(snapshot,)] = reader.execute("SELECT pg_export_snapshot()").fetchall()
        self._worker = Worker(snapshot, self._ledger, state.target.settings, parameters_of(reader))

    @contextmanager
    def running(self) -> Iterator[list["Future[None]"]]:
        """Start the work, in threads of this process, or on a Spark cluster if there is enough of it."""
        todo = tasks(self._ranges)
        if self._sizes.total() < LEAST_FOR_SPARK or THIS_MACHINE.fullmatch(self._means.spark_master):
            self._prepare()
            pool = ThreadPoolExecutor(THREADS)
            try:
                yield [pool.submit(self._worker.copy, task) for task in todo]
            finally:
                pool.shutdown(cancel_futures=True)
                self._worker.close()
        else:
            # Imported here because it takes a second, and only a cluster needs it.
            with extra("spark"):
                from pg_to_mysql.snapshot.spark import Spark

            # Even if Spark does not start, this waits for those who use the connection to MySQL.
            with ThreadPoolExecutor(1) as pool:
                prepared = pool.submit(self._prepare)
                started = time.monotonic()
                spark = Spark(self._means.spark_master)
                seconds = time.monotonic() - started
                self.result.seconds -= seconds
                log.info("copying with %d tasks on Spark, which took %.1f s to start", len(todo), seconds)
                try:
                    prepared.result()
                    yield [pool.submit(spark.run, self._worker.copy, todo)]
                finally:
                    spark.stop()

    def put_in_place_until_done(self, work: Sequence["Future[None]"]) -> None:
        """Put each table in place when it is complete; raise the errors of the work."""
        with self._means.progress("copying", "B", self._sizes.total()) as report:
            going = set(work)
            while True:
                ended, going = wait(going, POLL_SECONDS, FIRST_EXCEPTION)
                if self._catch_up:
                    self._catch_up.go_on()
                for future in ended:
                    future.result()
                rows, size = self._look()
                report(size, f"{rows:,} rows")
                if not going:
                    return

    def _prepare(self) -> None:
        self._ledger.create(self._target)
        # Before anything else, so that the next run recognises the tables as its own if this one is killed.
        self._state.store_copying(self._waiting.values())
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._create, range(THREADS)))

    def _create(self, share: int) -> None:
        """Create one thread's share of the staging tables: each table makes the server wait for its disk."""
        if share < len(self._waiting):
            with closing(Target(self._target.settings)) as target:
                for staging, table in list(self._waiting.items())[share::THREADS]:
                    try:
                        target.create_table(staging, table)
                    except Refused as refused:  # so the ranges of this table are left out
                        with target.transaction():
                            self._ledger.store_refusal(target, staging, 0, refused)

    def _look(self) -> tuple[int, int]:
        """Put complete tables in place; return the rows and bytes that are copied so far."""
        complete = {}
        all_rows = all_bytes = 0
        for line in self._ledger.read(self._target):
            staging, count = line.staging, self._counts[line.staging]
            all_rows += line.rows
            all_bytes += self._sizes[staging] * line.ranges // max(1, count)
            if staging not in self._waiting:
                continue
            if line.refused:
                self._give_up(staging, line.refused)
            elif line.ranges == count:
                complete[staging] = line.rows
        # This is a partitioned table without partitions.
        complete |= {staging: 0 for staging in self._waiting if not self._counts[staging]}
        if complete and (self._catch_up is None or complete.keys() == self._waiting.keys()):
            self._put_in_place(complete)
        return all_rows, all_bytes

    def _give_up(self, staging: str, refused: Refused) -> None:
        table = self._waiting.pop(staging)
        log.error("%s is not copied: %s", table.name, refused)
        self.result.failed[table.name] = refused
        self._state.store_not_copied(table.name, str(refused))

    def _put_in_place(self, rows: Mapping[str, int]) -> None:
        for staging in rows:
            # After the rows: MySQL then sorts them once, instead of searching the place of each row.
            create_indexes(self._target, staging, self._waiting[staging])
        if self._catch_up is None:
            self._rename(rows, self._lsn)
            return

        def put_in_place(joined: Joined) -> None:
            for staging in joined.failed.keys() & self._waiting.keys():
                reason = joined.failed[staging]
                self._give_up(staging, Refused(reason, self._waiting[staging].name))
            self._rename({staging: rows[staging] for staging in rows if staging in self._waiting}, joined.lsn)

        self._catch_up.join({staging: self._waiting[staging] for staging in rows}, put_in_place)

    def _rename(self, rows: Mapping[str, int], lsn: int) -> None:
        """Put the tables in place. They have everything before the LSN."""
        if not rows:
            return
        target = self._target
        there = target.table_names()
        renames, old = [], []
        for staging in rows:
            name = self._waiting[staging].name
            if name in there:
                old.append(f"{staging}_old")
                renames.append(f"{quote(name)} TO {quote(old[-1])}")
            renames.append(f"{quote(staging)} TO {quote(name)}")
        names = [self._waiting[staging].name for staging in rows]
        self._state.journal.announce(names)
        target.change_tables(f"RENAME TABLE {', '.join(renames)}", names)
        self._state.store_copied({self._waiting[staging].name: rows[staging] for staging in rows}, lsn)
        target.drop_tables(old)
        for staging, count in rows.items():
            table = self._waiting.pop(staging)
            self.result.rows[table.name] = count
            log.info("copied %s: %s rows", table.name, f"{count:,}")
