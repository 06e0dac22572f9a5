"""Following a replica: changes are applied as they come, until somebody ends it.

A passing error (:mod:`pg_to_mysql.passing`) does not end it. It closes its connections, and logs the cause and
the time of the next try. After a pause it connects again, checks that the source is the same, and continues.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.operation.copies_beside import CopiesBeside
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.open_replica import OpenReplica
from pg_to_mysql.operation.plan import Plan
from pg_to_mysql.operation.status import guard_disk, read_status
from pg_to_mysql.passing import Cause, cause_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
STATUS_SECONDS = 5
"""Seconds between two checks of the slot and the tables."""
FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 30


class Follower:
    """Follows one replica. It opens the replica, and opens it again after passing errors."""

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[OpenReplica]],
        plan: Plan,
        observer: Observer,
        stopped: threading.Event,
    ) -> None:
        self._opened = opened
        self._plan = plan
        self._observer = observer
        self._stopped = stopped
        self._copies = CopiesBeside(opened, plan.tables, plan.exclude, stopped)
        self._applied = Applied()
        self._looked = -math.inf
        self._pause = FIRST_PAUSE_SECONDS
        self._failed_at: float | None = None

    def run(self) -> Applied:
        """Follow until ``stopped`` is set; return what has been applied."""
        try:
            while not self._stopped.is_set():
                try:
                    with self._opened() as replica:
                        self._follow(replica)
                except Exception as error:
                    cause = cause_of(error)
                    if cause is None:
                        raise
                    self._wait(cause)
        finally:
            self._stopped.set()
            self._copies.end()
        return self._applied

    def _follow(self, replica: OpenReplica) -> None:
        replica.target.patience = 0  # a table that fails now is tried again, and other tables continue
        if self._failed_at is None:
            log.info("following: SIGTERM or Ctrl-C ends it")
        while not self._stopped.wait(POLL_SECONDS):
            with self._observer.applying(), replica.locked():
                applied = replica.apply(transactional=self._plan.transactional, stopped=self._stopped)
            self._observer.add(applied)
            self._applied += applied
            self._goes_on()
            if time.monotonic() > self._looked + STATUS_SECONDS:
                self._looked = time.monotonic()
                with replica.locked():
                    replica.mend_publication()
                self._copies.look(replica)
                guard_disk(replica.connection, replica.slot, warn_over=self._plan.warn_over, drop_over=None)
                self._observer.show(read_status(replica))

    def _wait(self, cause: Cause) -> None:
        """Log why nothing can be applied, and pause, longer each time."""
        if self._failed_at is None:
            self._failed_at = time.monotonic()
        log.warning("%s; trying again in %d s", cause.sentence.rstrip("."), self._pause)
        self._observer.interrupted(cause.kind)
        self._stopped.wait(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _goes_on(self) -> None:
        if self._failed_at is not None:
            log.info("following again after %.0f s", time.monotonic() - self._failed_at)
            self._failed_at = None
            self._pause = FIRST_PAUSE_SECONDS
            self._observer.goes_on()
