"""A replica's secondary indexes are never unique.

PostgreSQL may drop, narrow or defer a constraint that MySQL's index would still enforce, and LOAD DATA … REPLACE
deletes every row that collides on any unique index. So unique indexes that an earlier version or a user has
created are made non-unique before a row is written.
"""

import logging
import re
from collections.abc import Collection

import pymysql

from pg_to_mysql.errors import Failure
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.target import Target

log = logging.getLogger(__name__)

UNIQUE_INDEX = re.compile(r"^  UNIQUE KEY (?P<name>`(?:[^`]|``)+`) (?P<rest>\(.*?),?$", re.MULTILINE)
"""A line of SHOW CREATE TABLE."""
CANNOT_BE_PLAIN = re.compile(r"\bUSING HASH\b|\bWITHOUT OVERLAPS\b")
"""MariaDB's kinds that exist only as unique indexes: over whole long texts and over periods."""


def make_plain(target: Target, tables: Collection[str]) -> None:
    """Make the unique indexes of these tables in MySQL non-unique, except their primary keys."""
    found = target.execute(
        "SELECT DISTINCT table_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND non_unique = 0 AND index_name <> 'PRIMARY'"
    )
    for (name,) in found:
        if any(target.is_one_name(name, table) for table in tables):
            _make_plain(target, name)


def _make_plain(target: Target, name: str) -> None:
    # The output of SHOW CREATE TABLE depends on it.
    target.execute("SET SESSION sql_quote_show_create = ON")
    [(_, statement)] = target.execute(f"SHOW CREATE TABLE {quote(name)}")
    actions = []
    for index in UNIQUE_INDEX.finditer(statement):
        actions.append(f"DROP INDEX {index['name']}")
        if CANNOT_BE_PLAIN.search(index["rest"]):
            log.info(
                "%s: dropping the unique index %s, because its kind can't be non-unique", name, index["name"]
            )
        else:
            log.info(
                "%s: making the unique index %s non-unique, because REPLACE would delete rows that collide on it",
                name,
                index["name"],
            )
            actions.append(f"ADD INDEX {index['name']} {index['rest']}")
    try:
        target.execute(f"ALTER TABLE {quote(name)} {', '.join(actions)}")
    except pymysql.MySQLError as error:
        raise Failure(
            f"MySQL can't make the unique indexes of {name} non-unique ({error.args[-1]}): drop them, because a"
            " replica with them may lose rows"
        ) from error
