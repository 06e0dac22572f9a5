"""Optional dependencies, which the package's extras install."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from pg_to_mysql.errors import WrongSettings


def require(name: str, *modules: str) -> None:
    """Fail unless all modules of this extra are installed."""
    for module in modules:
        if find_spec(module) is None:
            raise _missing(name, module)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """A block that imports modules of this extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(name, error.name) from error


def _missing(name: str, module: str | None) -> WrongSettings:
    return WrongSettings(f"{module} is not installed: install pg-to-mysql[{name}]")
