"""What ends a run: each error's text is one sentence, with the cause, the thing's name and what to do."""

from enum import StrEnum


class Failure(Exception):
    """Ends the command with exit status 1. Its text is one sentence: the cause, the thing's name, what to do."""

    exit_status = 1


class PassingFailure(Failure):
    """A failure whose cause goes by itself, such as a lock that somebody holds: the same may succeed later."""

    def __init__(self, sentence: str, kind: str = "lock") -> None:
        super().__init__(sentence)
        self.kind = kind


class WrongSettings(Failure):
    """A setting is missing or has a value that is not allowed; exit status 2."""

    exit_status = 2


class Refused(Failure):
    """A table, or a row of it, can't be had on the other side; the reason."""


class Kind(StrEnum):
    """Of what passes; a label of the metrics."""

    CONNECTION = "connection"
    """A server is away, starts, stops, or has ended the session."""
    LOCK = "lock"
    READ_ONLY = "read_only"
    CONNECTIONS = "too_many_connections"
    RESOURCES = "resources"
    """Disk or memory is full."""
