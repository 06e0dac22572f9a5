"""Copies tables that are new while a replica is followed, in the background and over separate connections."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pg_to_mysql.errors import Failure
from pg_to_mysql.operation.copying import copy_beside
from pg_to_mysql.operation.open_replica import OpenReplica
from pg_to_mysql.passing import cause_of
from pg_to_mysql.snapshot.catch_up import Stopped

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 60


class CopiesBeside:
    """Runs one copy at a time, of all tables that are new when it begins. It retries failures, and logs them."""

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[OpenReplica]],
        tables: Sequence[str],
        exclude: Sequence[str],
        stopped: threading.Event,
    ) -> None:
        self._opened = opened
        self._tables = tables
        self._exclude = exclude
        self._stopped = stopped
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._pauses: dict[str, _Pause] = {}

    def look(self, replica: OpenReplica) -> None:
        """Begin to copy new tables, unless a copy is running. Raises an unexpected error of an earlier copy."""
        if self._thread:
            if self._thread.is_alive():
                return
            self._thread = None
        if self._error:
            raise self._error
        now = time.monotonic()
        names = replica.to_copy(self._tables, self._exclude)
        if names := [name for name in names if name not in self._pauses or now > self._pauses[name].until]:
            self._thread = threading.Thread(target=self._copy, args=[names], name="copy")
            self._thread.start()

    def end(self) -> None:
        """Wait for the copy to end, after the program was stopped."""
        if self._thread:
            self._thread.join()

    def _copy(self, names: Sequence[str]) -> None:
        log.info("copying while changes are applied: %s", ", ".join(names))
        try:
            with self._opened() as replica:
                replica.target.patience = 0
                failed = copy_beside(replica, names, self._stopped)
        except Stopped:
            return
        except Exception as error:
            if self._stopped.is_set():
                return
            cause = cause_of(error)
            if cause is None and not isinstance(error, Failure):
                self._error = error
                return
            self._try_again_later(dict.fromkeys(names, cause.sentence if cause else str(error)))
            return
        for name in set(names) - failed.keys():
            self._pauses.pop(name, None)
        self._try_again_later(failed)

    def _try_again_later(self, failed: Mapping[str, str]) -> None:
        """Delay each of the tables, longer each time, so that a failing table does not hold up the others."""
        for name, reason in failed.items():
            before = self._pauses.get(name)
            seconds = min(2 * before.seconds, LONGEST_PAUSE_SECONDS) if before else FIRST_PAUSE_SECONDS
            self._pauses[name] = _Pause(seconds, time.monotonic() + seconds)
            log.warning("%s can't be copied yet: %s; trying again in %d s", name, reason.rstrip("."), seconds)


@dataclass(frozen=True)
class _Pause:
    seconds: int
    until: float
    """The time of the next attempt, on the monotonic clock."""
