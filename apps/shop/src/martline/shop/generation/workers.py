"""Processes that make rows while the main process writes them. Results come in the order of the calls."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from martline.command import Failure
from martline.shop.generation.shop import Shop

Asked = TypeVar("Asked")
Made = TypeVar("Made")
AHEAD = 2
"""How many calls a process may be given before the result of the first one is taken."""
MOST_BY_ITSELF = 4


class State:
    """What a process keeps between two calls."""

    shop: Shop
    points: Any = None


class Workers:
    """Calls functions of a state and an argument in ``processes`` other processes, or in this one if it is 0."""

    def __init__(self, processes: int) -> None:
        self._stack = ExitStack()
        self._own = State()
        self._connections: list[Connection[Any, Any]] = []
        # A forked process would share the database connection and Arrow's threads.
        context = multiprocessing.get_context("spawn")
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._stack.callback(process.join)
            self._stack.callback(ours.close)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()
        self._stack.close()

    def each(self, function: Callable[[State, Asked], Made], argument: Asked) -> list[Made]:
        """Call the function once in each process."""
        if not self._connections:
            return [function(self._own, argument)]
        for connection in self._connections:
            connection.send((function, argument))
        return [_received(connection) for connection in self._connections]

    def map(self, function: Callable[[State, Asked], Made], arguments: Iterable[Asked]) -> Iterator[Made]:
        """Call the function for each argument, in the processes in turn, at most ``AHEAD`` calls ahead in each.

        Arguments must be small: if both sides wrote more than a pipe holds, they would wait for each other.
        """
        if not self._connections:
            yield from (function(self._own, argument) for argument in arguments)
            return
        waiting: deque[Connection[Any, Any]] = deque()
        for number, argument in enumerate(arguments):
            if len(waiting) == AHEAD * len(self._connections):
                yield _received(waiting.popleft())
            connection = self._connections[number % len(self._connections)]
            connection.send((function, argument))
            waiting.append(connection)
        while waiting:
            yield _received(waiting.popleft())


def usual_processes() -> int:
    """One process for each core, but only a few, because PostgreSQL is the slower side."""
    return min(MOST_BY_ITSELF, len(os.sched_getaffinity(0)))


def _received(connection: "Connection[Any, Any]") -> Any:
    try:
        made = connection.recv()
    except (EOFError, OSError):
        raise Failure(
            "A process that made rows has ended, perhaps for lack of memory: try fewer --processes"
        ) from None
    if isinstance(made, BaseException):
        raise made
    return made


def _serve(connection: "Connection[Any, Any]") -> None:
    """Answer calls until the main process ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides when to end
    state = State()
    with suppress(EOFError, OSError):
        while True:
            function, argument = connection.recv()
            try:
                made = function(state, argument)
            except Exception as error:
                made = error
            connection.send(made)
