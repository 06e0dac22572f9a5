"""A server that is asked every few seconds by a thread of its own, so that no page waits for it."""

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
    """Asks a server, through a connection that it keeps."""

    def read(self) -> T_co:
        """What the server says now.

        :raises Failure: it does not answer, or refuses.
        """

    def close(self) -> None:
        """Give the connection back; the next reading makes another."""


@dataclass(frozen=True)
class Told(Generic[T]):
    """What a server has told last."""

    value: T | None = None
    """None before its first answer."""
    at: datetime | None = None
    """When it answered, UTC."""
    failure: str | None = None
    """Why it does not answer now."""


class Repeated:
    """Does something again and again in a thread, until it is stopped."""

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
                # It goes on: a thread that has died would let the pages grow old in silence.
                log.exception("%s could not be looked at", self._name)
            self._stopping.wait(self._pause)
        self._end()


class Source(Generic[T]):
    """A server, and what it has told last."""

    def __init__(self, name: str, reader: Reader[T], pause: float) -> None:
        self.told: Told[T] = Told()
        self._name = name
        self._reader = reader
        self._repeated = Repeated(name, self.look, pause, reader.close)
        self.start, self.stop = self._repeated.start, self._repeated.stop

    def look(self) -> None:
        """Ask once. Where there is no answer, the last one stays, with the reason."""
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
