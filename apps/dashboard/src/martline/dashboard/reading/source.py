"""A server that a separate thread asks every few seconds, so that no page waits for it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from martline.command import Failure

log = logging.getLogger(__name__)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Reader(Protocol[T_co]):
    """Asks a server over a connection that stays open."""

    def read(self) -> T_co:
        """Ask the server for its present state.

        :raises Failure: it does not answer, or refuses.
        """

    def close(self) -> None:
        """Close the connection. The next reading opens another one."""


@dataclass(frozen=True)
class Told(Generic[T]):
    """The last answer of a server."""

    value: T | None = None
    """None before its first answer."""
    at: datetime | None = None
    """When it answered, UTC."""
    failure: str | None = None
    """Why it does not answer now."""


class Repeated:
    """Repeats some work in a thread until it is stopped."""

    def __init__(self, name: str, do: Callable[[], None], pause: float, end: Callable[[], None]) -> None:
        self._name = name
        self._do = do
        self._pause = pause
        self._end = end
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._do()
            except Exception:
                # The thread continues, because without it the pages would silently become outdated.
                log.exception("%s could not be looked at", self._name)
            self._stopping.wait(self._pause)
        self._end()


class Source(Generic[T]):
    """A server and its last answer."""

    def __init__(self, name: str, reader: Reader[T], pause: float) -> None:
        self.told: Told[T] = Told()
        self._name = name
        self._reader = reader
        self._repeated = Repeated(name, self.look, pause, reader.close)
        self.start, self.stop = self._repeated.start, self._repeated.stop

    def look(self) -> None:
        """Ask once. If there is no answer, keep the last one and note the reason."""
        try:
            value = self._reader.read()
        except Failure as error:
            self._reader.close()
            if str(error) != self.told.failure:
                log.warning("%s; the page shows what is known", error)
            self.told = replace(self.told, failure=str(error))
            return
        if self.told.failure:
            log.info("%s answers again", self._name)
        self.told = Told(value, datetime.now(UTC))
