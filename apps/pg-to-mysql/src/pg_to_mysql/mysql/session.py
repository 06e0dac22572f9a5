"""The session settings of MySQL or MariaDB that results depend on; they override the server's defaults.

Settings that only change speed, logs and binary logs stay as the server has them.
"""

from typing import Any

import pymysql

from pg_to_mysql.errors import Failure

UNLIMITED = "18446744073709551615"
FIRST = (
    f"SET SESSION time_zone = '+00:00', SESSION sql_select_limit = {UNLIMITED}, SESSION sql_big_selects = 1"
    " /*M!, SESSION max_statement_time = 0 */"
)
"""Without these, the query for the other settings may be cut short. The last one is only for MariaDB."""
SETTINGS = {
    # What a value means, and what happens to a value that does not fit.
    "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
    "old_mode": "UTF8_IS_UTF8MB3",
    "div_precision_increment": "4",
    "sql_auto_is_null": "OFF",
    "default_regex_flags": "",
    # What is reported about it, and in which language: the place of a row is read from the message.
    "sql_notes": "ON",
    "max_error_count": "1024",
    "lc_messages": "en_US",
    # Settings by which statements would be refused, or would affect fewer rows.
    "max_join_size": UNLIMITED,
    "sql_safe_updates": "OFF",
    "sql_if_exists": "OFF",
    "alter_algorithm": "DEFAULT",
    # Otherwise replacing a row would delete the rows of users' own tables that reference it.
    "foreign_key_checks": "OFF",
    "unique_checks": "ON",
    "check_constraint_checks": "ON",
    # Transactions. MariaDB before 11.1 knows only the short names.
    "transaction_isolation": "REPEATABLE-READ",
    "tx_isolation": "REPEATABLE-READ",
    "transaction_read_only": "OFF",
    "tx_read_only": "OFF",
    "completion_type": "NO_CHAIN",
    # In seconds. One side waits while the other works. A session whose client is gone ends anyway.
    "innodb_lock_wait_timeout": "50",
    "wait_timeout": "86400",
    "net_read_timeout": "600",
    "net_write_timeout": "600",
    "max_execution_time": "0",
    "max_statement_time": "0",
    "idle_transaction_timeout": "0",
    "idle_readonly_transaction_timeout": "0",
    "idle_write_transaction_timeout": "0",
}
OPTIONAL = ("max_error_count", "old_mode", "alter_algorithm", "default_regex_flags")
"""Not checked, because their absence shows in other ways, or because their values differ between versions."""


def pin(connection: "pymysql.Connection[Any]") -> None:
    """Set these settings in the session, as far as the server has them.

    :raises Failure: the server does not let the user set one that is needed.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIRST)
        names = ", ".join(f"'{name}'" for name in SETTINGS)
        cursor.execute(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})")
        differing = [name for name, value in cursor.fetchall() if not _same(value, SETTINGS[name])]
        needed = [name for name in differing if name not in OPTIONAL]
        for names_at_once in (needed, *([name] for name in differing if name in OPTIONAL)):
            if not names_at_once:
                continue
            try:
                cursor.execute("SET " + ", ".join(f"SESSION {name} = {_value(name)}" for name in names_at_once))
            except pymysql.MySQLError as error:
                if names_at_once is needed:
                    raise Failure(
                        f"MySQL's user may not change settings that the session needs ({error.args[-1]}): set"
                        f" {', '.join(f'{name}={SETTINGS[name]}' for name in needed)} for the server,"
                        " or grant the user SESSION_VARIABLES_ADMIN"
                    ) from error


def _same(value: str, wanted: str) -> bool:
    if value == wanted:
        return True
    return wanted.isdecimal() and value.replace(".", "", 1).isdecimal() and float(value) == float(wanted)


def _value(name: str) -> str:
    value = SETTINGS[name]
    return value if value.isdecimal() else f"'{value}'"
