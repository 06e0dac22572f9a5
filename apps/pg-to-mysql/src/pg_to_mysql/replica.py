"""The class that programs use."""

import threading
from collections.abc import Callable, Sequence

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.comparison.repair import Compared, compare_tables
from pg_to_mysql.mysql.settings import MySQLSettings
from pg_to_mysql.operation.copying import copy_again, copy_new
from pg_to_mysql.operation.left_out import as_refusals, require, without
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.open_replica import open_replica
from pg_to_mysql.operation.plan import Plan
from pg_to_mysql.operation.run import Run, run_and_follow, run_once
from pg_to_mysql.operation.settings import Settings
from pg_to_mysql.operation.status import Status, read_status
from pg_to_mysql.passing import in_sentences
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.progress import Progress, unseen
from pg_to_mysql.snapshot.copy import Means, Snapshot
from pg_to_mysql.tables.unfit import UnfitRules


class Replica:
    """A replica, in MySQL, of the tables in one schema of a PostgreSQL database.

    The object holds only settings: each method connects to both servers, does its work, and disconnects. Only one
    method works on the tables at a time, even among several programs; the next one waits. A method that can't do
    its work raises a :class:`~pg_to_mysql.errors.Failure`.

    :param slot: names the slot and the publication in PostgreSQL; by default the name is made from the
        database's.
    :param unfit: rules for values that MySQL can't hold.
    :param drop_gone: how many copies of tables that PostgreSQL no longer has may be dropped; by default three,
        but never all of several.
    :param journal_mib: the largest size of the journal of changed rows in MySQL, in MiB; 0 for no journal.
    :param spark_master: the Spark cluster that copies large tables; by default the method itself copies them.
    :param progress: shows the progress of long work.
    """

    def __init__(
        self,
        source: Source,
        target: MySQLSettings,
        *,
        schema: str = "public",
        slot: str | None = None,
        unfit: UnfitRules | None = None,
        drop_gone: int | None = None,
        journal_mib: int = 0,
        spark_master: str = "",
        progress: Progress = unseen,
    ) -> None:
        means = Means(spark_master, progress)
        self._settings = Settings(
            source, target, schema, slot, unfit or UnfitRules(), drop_gone, journal_mib, means
        )

    @in_sentences
    def replicate(self, plan: Plan | None = None) -> Run:
        """Copy new tables, apply the changes, and copy again the tables that turned out to need it.

        :raises TablesLeftOut: some tables can't be replicated; the others are done.
        :raises TablesGone: more tables are gone than copies may be dropped; the other tables are done.
        """
        return run_once(self._settings, plan or Plan())

    @in_sentences
    def follow(
        self,
        plan: Plan | None = None,
        *,
        stopped: threading.Event | None = None,
        begins: Callable[[], None] = lambda: None,
        observer: Observer | None = None,
    ) -> Run:
        """Do the same, then apply each change as it comes, until ``stopped`` is set.

        After a passing failure it connects again. Tables that can't be replicated are reported in the log.

        :param begins: called when the first copy is done and ``stopped`` is checked from then on.
        """
        return run_and_follow(
            self._settings, plan or Plan(), stopped or threading.Event(), begins, observer or Observer()
        )

    @in_sentences
    def snapshot(
        self, tables: Sequence[str] = (), *, exclude: Sequence[str] = (), recopy: Sequence[str] = ()
    ) -> Snapshot:
        """Copy new tables and those in ``recopy``, all as of one moment, and apply no changes.

        :raises TablesLeftOut: some tables can't be copied; the others are copied.
        """
        with open_replica(self._settings, drops=True) as replica:
            wanted, refused = replica.choose_tables(tables, exclude)
            with replica.copying(), replica.locked():
                copy_again(replica, recopy)
                copied = copy_new(replica, wanted, exclude, recopy)
            require(as_refusals(refused) | copied.failed, {})
        return copied

    @in_sentences
    def apply(self, *, transactional: bool = True) -> Applied:
        """Apply all changes that have been committed until now.

        Without ``transactional``, a large transaction becomes visible piece by piece.
        """
        with open_replica(self._settings, drops=True) as replica, replica.locked():
            return replica.apply(transactional=transactional)

    @in_sentences
    def compare(self, tables: Sequence[str] = (), *, exclude: Sequence[str] = ()) -> Compared:
        """Prove that both sides have the same rows at one moment, to which MySQL is brought first.

        :raises RowsDiffer: the rows differ.
        """
        return self._compare(tables, exclude, repair=False)

    @in_sentences
    def repair(self, tables: Sequence[str] = (), *, exclude: Sequence[str] = ()) -> Compared:
        """Compare, copy the rows that differ again, and compare their tables once more."""
        return self._compare(tables, exclude, repair=True)

    @in_sentences
    def status(self) -> Status:
        """The slot's state, how far MySQL lags behind, and the state of each table."""
        with open_replica(self._settings, any_source=True) as replica:
            return read_status(replica)

    def _compare(self, tables: Sequence[str], exclude: Sequence[str], *, repair: bool) -> Compared:
        with open_replica(self._settings) as replica:
            names, refused = replica.choose_tables(tables, exclude)
            with replica.locked():
                if not tables:
                    names = replica.without_copied_now(names)
                compared = compare_tables(replica, names, repair=repair)
            require(as_refusals(refused), as_refusals(without(replica.stopped(), exclude)))
        return compared
