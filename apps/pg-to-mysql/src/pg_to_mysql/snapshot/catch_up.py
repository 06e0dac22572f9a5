"""Copies that are made while a replica is followed: they catch up with the replica's position and then join it.

While tables are copied, the replica continues and leaves out their changes. The slot that exported the snapshot
keeps these changes. They are applied to the copies, first while the replica continues, and at last while it
pauses, up to exactly its position. If a run is killed before that, its copies are not in place, and the next run
drops them.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pg_to_mysql.changes.apply import Replicated, bring
from pg_to_mysql.errors import Failure, PassingFailure
from pg_to_mysql.mysql.state import Position, State
from pg_to_mysql.postgres.stream import ChangeStream
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1
REMIND_SECONDS = 60


class Followed(Protocol):
    """The replica that continues meanwhile."""

    state: State

    def locked(self) -> AbstractContextManager[None]:
        """Pause it in this block."""


@dataclass
class Joined:
    """The position at which copies join the replica; they contain all earlier changes."""

    lsn: int
    failed: dict[str, str] = field(default_factory=dict)
    """The copies whose changes can't be applied, by name, with the reason."""


class CatchUp:
    """Brings the copies of one snapshot, taken at the LSN ``lsn``, to the replica's position."""

    def __init__(self, replica: Followed, stream: ChangeStream, lsn: int, stopped: threading.Event) -> None:
        self._replica = replica
        self._stream = stream
        self._snapshot_lsn = lsn
        self._reached = lsn
        self._stopped = stopped
        self._failed: dict[str, str] = {}
        self._broken = False

    def go_on(self) -> None:
        """Raise :class:`Stopped` if the program was told to end."""
        if self._stopped.is_set():
            raise Stopped

    def join(self, copies: Mapping[str, Table], put_in_place: Callable[[Joined], None]) -> None:
        """Bring the copies, whose names are the keys, to the replica's position, and let them be put in place.

        The replica pauses for the last part. If a reader of an older table keeps it from being replaced, the
        replica continues, and this is tried again.
        """
        told = -math.inf
        while True:
            self._bring(copies, self._wait_for_replica())
            try:
                if self._join_now(copies, put_in_place):
                    return
            except PassingFailure as failure:
                if self._broken:
                    raise
                if time.monotonic() > told + REMIND_SECONDS:
                    told = time.monotonic()
                    log.warning("a copy can't join its replica yet: %s", failure)
            self._stopped.wait(PAUSE_SECONDS)
            self.go_on()

    def _join_now(self, copies: Mapping[str, Table], put_in_place: Callable[[Joined], None]) -> bool:
        with self._replica.locked():
            position = self._position()
            if position.changes or position.lsn < self._reached:
                return False
            self._bring(copies, position.lsn)
            put_in_place(Joined(position.lsn, self._failed))
        return True

    def _wait_for_replica(self) -> int:
        """The replica's position, once it is past the snapshot."""
        while True:
            position = self._position()
            if position.lsn >= self._reached:
                return position.lsn
            self._stopped.wait(PAUSE_SECONDS)
            self.go_on()

    def _position(self) -> Position:
        state = self._replica.state
        with state.target.transaction():  # it sees what has been stored by now
            position = state.position()
        if position is None:
            raise Failure(f"The replica of the slot {state.slot} starts over: these copies are abandoned")
        return position

    def _bring(self, copies: Mapping[str, Table], upto: int) -> None:
        if upto <= self._reached:
            return
        going = {
            name: Replicated(replace(table, name=name), self._snapshot_lsn)
            for name, table in copies.items()
            if name not in self._failed
        }
        started = time.monotonic()
        self._broken = True  # a slot gives no change twice
        failed = bring(self._stream, self._replica.state.target, going, self._reached, upto)
        self._broken = False
        self._reached = upto
        self._failed |= {name: reason.replace(name, copies[name].name) for name, reason in failed.items()}
        log.debug("brought %d copies to their replica in %.1f s", len(going), time.monotonic() - started)


class Stopped(Exception):
    """Somebody has ended the program, and with it a copy."""
