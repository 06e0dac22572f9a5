"""Events of a followed replica."""

from collections.abc import Iterator
from contextlib import contextmanager

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.errors import Kind
from pg_to_mysql.operation.status import Status


class Observer:
    """Gets the events of a followed replica; this class ignores them."""

    @contextmanager
    def applying(self) -> Iterator[None]:
        """A block that applies everything committed before it begins."""
        yield

    def add(self, applied: Applied) -> None:
        """This has been applied."""

    def interrupted(self, kind: Kind) -> None:
        """Nothing can be applied for now."""

    def goes_on(self) -> None:
        """Changes are applied again."""

    def show(self, status: Status) -> None:
        """This is the replica's status now."""
