"""One run of a replica: new tables are copied, changes are applied, and tables that need it are copied again."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.errors import Refused
from pg_to_mysql.operation.copying import copy_again, copy_new
from pg_to_mysql.operation.follower import Follower
from pg_to_mysql.operation.left_out import as_refusals, require, without
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.open_replica import OpenReplica, open_replica
from pg_to_mysql.operation.plan import Plan
from pg_to_mysql.operation.settings import Settings
from pg_to_mysql.operation.status import guard_disk
from pg_to_mysql.snapshot.copy import Snapshot

log = logging.getLogger(__name__)


@dataclass
class Run:
    """The result of a run."""

    copied: Snapshot = field(default_factory=Snapshot)
    applied: Applied = field(default_factory=Applied)


def run_once(settings: Settings, plan: Plan) -> Run:
    """Make the replica equal to its source. Fails at the end if some tables can't be replicated."""
    with open_replica(settings, any_source=plan.start_over, drops=True) as replica:
        wanted, refused = _begin(replica, plan)
        run = _bring(replica, plan, wanted, threading.Event(), begins=lambda: None)
        require(refused | run.copied.failed, _not_followed(replica, plan, run))
        replica.tables.require_none_gone()
    log.info("equal to PostgreSQL: %s changes since the last run", f"{run.applied.changes:,}")
    return run


def run_and_follow(
    settings: Settings, plan: Plan, stopped: threading.Event, begins: Callable[[], None], observer: Observer
) -> Run:
    """Make the replica equal to its source, then apply each change as it comes, until ``stopped`` is set.

    ``begins`` is called when ``stopped`` is checked from then on.
    """
    opened: Callable[..., AbstractContextManager[OpenReplica]] = partial(open_replica, settings, drops=True)
    with opened(any_source=plan.start_over) as replica:
        wanted, refused = _begin(replica, plan)
        if not plan.recopy and replica.goes_on():
            # New tables are copied while changes are applied, so the changes wait for nothing.
            begins()
            run = Run()
        else:
            with observer.applying():
                run = _bring(replica, plan, wanted, stopped, begins)
        for name, reason in (refused | run.copied.failed | _not_followed(replica, plan, run)).items():
            log.error("%s is not followed: %s; the other tables are", name, reason)
    observer.add(run.applied)
    run.applied += Follower(opened, plan, observer, stopped).run()
    log.info("stopped: %s changes since the last run", f"{run.applied.changes:,}")
    return run


def _begin(replica: OpenReplica, plan: Plan) -> tuple[list[str], dict[str, Refused]]:
    """Return the tables that the plan selects, and those that can't be replicated, with the reason."""
    if plan.start_over:
        replica.start_over()
    guard_disk(replica.connection, replica.slot, warn_over=plan.warn_over, drop_over=None)
    wanted, refused = replica.choose_tables(plan.tables, plan.exclude)
    return wanted, as_refusals(refused)


def _not_followed(replica: OpenReplica, plan: Plan, run: Run) -> dict[str, Refused]:
    return as_refusals(without(replica.stopped(), [*plan.exclude, *run.copied.failed]))


def _bring(
    replica: OpenReplica, plan: Plan, wanted: Sequence[str], stopped: threading.Event, begins: Callable[[], None]
) -> Run:
    with replica.copying(), replica.locked():
        copy_again(replica, plan.recopy)
        copied = copy_new(replica, wanted, plan.exclude, plan.recopy)
        begins()  # not before, so that a stop need not wait for a copy; the next run repeats the copy
        applied = replica.apply(transactional=plan.transactional, stopped=stopped)
        # Only the next check sees what has happened to a partition meanwhile.
        while (due := replica.due([*plan.exclude, *copied.failed])) and not stopped.is_set():
            again = copy_new(replica, due, plan.exclude)
            copied += again
            applied += replica.apply(transactional=plan.transactional, stopped=stopped)
            if not (again.rows or again.failed):
                break
    return Run(copied, applied)
