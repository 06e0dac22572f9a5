"""Names of tables. Some servers do not distinguish upper and lower case in them."""

from collections.abc import Iterable, Iterator
from typing import Any

from pymysql.connections import Connection


class TableNames:
    """The tables of a database, by name; on some servers upper and lower case are the same."""

    def __init__(self, names: Iterable[str], folded: bool) -> None:
        self._names = tuple(names)
        self._folded = folded
        self._known = {self._fold(name) for name in self._names}

    def __contains__(self, name: str) -> bool:
        return self._fold(name) in self._known

    def __iter__(self) -> Iterator[str]:
        """The names as the server writes them."""
        return iter(self._names)

    def _fold(self, name: str) -> str:
        return fold_case(name) if self._folded else name


def present_tables(connection: "Connection[Any]") -> set[str]:
    """The tables of the connection's database that its user may see, as the server writes their names."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        return {name for (name,) in cursor}


def fold_case(name: str) -> str:
    """The name in lower case, as long as it was."""
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in name)
