"""One run: what is new is copied, what has changed is applied, and what can't be replicated is told."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from replication.changes import Applied
from replication.replica import Replica, without
from replication.snapshot import Snapshot


@dataclass(frozen=True)
class Wanted:
    """Which tables a run is for."""

    tables: Sequence[str] = ()
    """Those that may join the replica; all, if none is named."""
    exclude: Sequence[str] = ()
    recopy: Sequence[str] = ()


@dataclass
class Outcome:
    """What a run has done."""

    copied: Snapshot = field(default_factory=Snapshot)
    applied: Applied = field(default_factory=Applied)
    refused: dict[str, str] = field(default_factory=dict)
    """The tables that can't be copied, with the reason."""
    stopped: dict[str, str] = field(default_factory=dict)
    """The tables that were copied once and are not followed any more, with the reason."""


def bring_up_to_date(
    replica: Replica,
    wanted: Wanted,
    *,
    transactional: bool = True,
    stopped: threading.Event | None = None,
    after_copy: Callable[[], object] | None = None,
) -> Outcome:
    """Copy what is new and apply what has changed; ``after_copy`` is called between the two.

    Once ``stopped`` is set, it ends with the transaction of MySQL's that is under way.
    """
    stopped = stopped or threading.Event()
    outcome = Outcome()
    names, refused = replica.choose_tables(wanted.tables, wanted.exclude)
    with replica.copying(), replica.locked():
        replica.copy_again(wanted.recopy)
        outcome.copied = replica.copy_new(names, wanted.exclude, wanted.recopy)
        if after_copy:
            after_copy()
        outcome.applied = replica.apply(transactional=transactional, stopped=stopped)
        # What has happened to a partition meanwhile is seen by the next look only.
        while not stopped.is_set() and (due := replica.due([*wanted.exclude, *outcome.copied.failed])):
            again = replica.copy_new(due, wanted.exclude)
            outcome.copied += again
            outcome.applied += replica.apply(transactional=transactional, stopped=stopped)
            if not (again.rows or again.failed):
                break
    outcome.refused = refused | outcome.copied.failed
    outcome.stopped = _stopped(replica, wanted, outcome)
    return outcome


def look(replica: Replica, wanted: Wanted) -> Outcome:
    """What can't be replicated, before anything is done."""
    _, refused = replica.choose_tables(wanted.tables, wanted.exclude)
    outcome = Outcome(refused=refused)
    outcome.stopped = _stopped(replica, wanted, outcome)
    return outcome


def _stopped(replica: Replica, wanted: Wanted, outcome: Outcome) -> dict[str, str]:
    return without(replica.stopped(), [*wanted.exclude, *outcome.copied.failed])
