"""Tells a server's refusal of one table from errors that concern all, so that other tables can continue."""

import re
from collections.abc import Callable, Sequence

import pymysql
from pymysql.constants import CR, ER

from pg_to_mysql.errors import Refused
from pg_to_mysql.tables.table import Table

NOT_OF_THE_TABLE = frozenset(
    {
        ER.DISK_FULL, ER.RECORD_FILE_FULL, ER.OUT_OF_RESOURCES, ER.OUTOFMEMORY, ER.OUT_OF_SORTMEMORY,
        ER.SERVER_SHUTDOWN, ER.QUERY_INTERRUPTED, ER.CON_COUNT_ERROR, ER.NEW_ABORTING_CONNECTION,
        ER.USER_LIMIT_REACHED, ER.NET_PACKET_TOO_LARGE, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK,
        ER.OPTION_PREVENTS_STATEMENT, ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR,
        ER.NOT_ALLOWED_COMMAND, ER.NO_SUCH_TABLE,
        1207, 1792, 1836, 1927, 1969, 3024, 3100, 3101, 3948, 4031, 4166,
    }
)  # fmt: skip
"""Errors about a full disk, a lost connection, a stopping or read-only server, a lock, or missing privileges.

The plain numbers are errors of MySQL and MariaDB for which PyMySQL has no names.
"""


def is_refusal(error: pymysql.MySQLError) -> bool:
    """Whether MySQL refuses this statement because of its one table, and would refuse it again."""
    number = error.args[0] if error.args else None
    if not isinstance(number, int) or number == 0 or isinstance(error, pymysql.InterfaceError):
        return False
    of_the_client = CR.CR_ERROR_FIRST <= number <= CR.CR_ERROR_LAST
    return not of_the_client and number not in NOT_OF_THE_TABLE


PLACE = re.compile(r"(?: for column (?P<column>'.*'|`.*`))? at row (?P<row>\d+)")
"""The servers give the place of a value only in the text of the message, which is English; see mysql.session."""


def refused_value(table: str, message: str) -> Refused:
    """A server's refusal of a value of the table, with the column and row that its message names."""
    sentence = f"MySQL can't hold a value of the table {table}: {message}"
    place = PLACE.search(message)
    if place is None:
        return Refused(sentence, table)
    return Refused(sentence, table, column=_column(place["column"]), row=int(place["row"]))


def _column(name: str | None) -> str | None:
    """MySQL's message has only the column's name, MariaDB's also the database and the table."""
    if name is None or name.startswith("'"):
        return name and name[1:-1]
    return name[1:-1].rpartition("`.`")[2].replace("``", "`")


def name_key(refused: Refused, table: Table, find: Callable[[int], Sequence[object] | None]) -> Refused:
    """The refusal of a load, with the key of its row instead of the row number that the server counts.

    ``find`` returns the key's values for a row number, starting at 1, or None. If the row number or the key is
    not known, the refusal stays as it is.
    """
    values = None if refused.row is None else find(refused.row)
    if values is None:
        return refused
    names = (table.columns[i].name for i in table.key)
    key = {name: str(value) for name, value in zip(names, values, strict=True)}
    shown = ", ".join(f"{name} = {value}" for name, value in key.items())
    sentence = str(refused).replace(f" at row {refused.row}", f" where {shown}")
    return Refused(sentence, refused.table, column=refused.column, key=key)
