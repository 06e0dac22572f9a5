"""What a replica that is followed tells of itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.errors import Kind
from pg_to_mysql.operation.status import Status


class Observer:
    """Is told what happens while a replica is followed; this one does nothing with it."""

    @contextmanager
    def applying(self) -> Iterator[None]:
        """In this block all is applied that is committed when it begins."""
        yield

    def add(self, applied: Applied) -> None:
        """So much has been applied."""

    def interrupted(self, kind: Kind) -> None:
        """Nothing can be applied for a while."""

    def goes_on(self) -> None:
        """Changes are applied again."""

    def show(self, status: Status) -> None:
        """This is known of the replica now."""
