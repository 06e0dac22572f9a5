"""What is not needed by everybody, and not installed with the package itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from pg_to_mysql.errors import WrongSettings


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import in this block what the extra of that name brings."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise WrongSettings(f"{error.name} is not installed: install pg-to-mysql[{name}]") from error
