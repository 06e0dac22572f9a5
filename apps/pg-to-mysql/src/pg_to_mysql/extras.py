"""What is not needed by everybody, and not installed with the package itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from pg_to_mysql.errors import WrongSettings


def require(name: str, *modules: str) -> None:
    """Fail unless all modules are there that the extra of that name brings."""
    for module in modules:
        if find_spec(module) is None:
            raise _missing(name, module)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import in this block what the extra of that name brings."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(name, error.name) from error


def _missing(name: str, module: str | None) -> WrongSettings:
    return WrongSettings(f"{module} is not installed: install pg-to-mysql[{name}]")
