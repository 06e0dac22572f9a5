"""What a server refuses of one table, told from what concerns all of them: the other tables can go on."""

import pymysql
from pymysql.constants import CR, ER

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
"""Errors of a full disk, a broken connection, a server that stops or is read-only, a lock, missing privileges.

The numbers are those of MySQL and MariaDB that PyMySQL has no names for.
"""


def is_refusal(error: pymysql.MySQLError) -> bool:
    """Whether MySQL refuses what it was asked for one table, and will again."""
    number = error.args[0] if error.args else None
    if not isinstance(number, int) or number == 0 or isinstance(error, pymysql.InterfaceError):
        return False
    of_the_client = CR.CR_ERROR_FIRST <= number <= CR.CR_ERROR_LAST
    return not of_the_client and number not in NOT_OF_THE_TABLE
