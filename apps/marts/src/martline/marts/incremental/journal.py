"""Reads from the replicator's journal which rows of the replica have changed.

The journal is a table in MySQL. Each of its rows lists the keys that a batch changed in one table; without keys
it means that any row of the table may have changed. A reader remembers the newest row. At its next reading, the
rows after that one list all changes since, provided that the remembered row still exists: the replicator deletes
the oldest rows when the journal becomes too large.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from pymysql.connections import Connection

from martline.marts.reading.moment import JOURNAL, TABLES, Moment

Keys = dict[str, list[int]]
"""For each changed table, the values of the first key column of its changed rows, without duplicates."""


class AnythingMayHaveChanged(Exception):
    """The journal does not tell which rows have changed. The message says why."""


def changed_since(connection: "Connection[Any]", newest: int, now: Moment, tables: Iterable[str]) -> Keys:
    """The keys of the rows that have changed in these tables since the journal's newest row was ``newest``.

    :raises AnythingMayHaveChanged: the journal does not reach back that far, or does not tell of a table.
    """
    names = tuple(tables)
    if now.journal is None:
        raise AnythingMayHaveChanged("the replicator keeps no journal of changed keys")
    slot = now.positions[0][0]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name FROM {TABLES} WHERE slot = %s AND copied_at IS NOT NULL",  # noqa: S608
            [slot],
        )
        if others := set(names) - {name for (name,) in cursor.fetchall()}:
            raise AnythingMayHaveChanged(f"{', '.join(sorted(others))} did not come from the replicator")
        cursor.execute(f"SELECT 1 FROM {JOURNAL} WHERE id = %s AND slot = %s", [newest, slot])  # noqa: S608
        if not cursor.fetchall():
            raise AnythingMayHaveChanged("the replicator's journal does not reach back to the last run")
        cursor.execute(
            f"SELECT name, changed FROM {JOURNAL}"  # noqa: S608
            " WHERE id > %s AND slot = %s AND (name IN %s OR name IS NULL)",
            [newest, slot, names],
        )
        changes: dict[str, list[bytes]] = {}
        for name, changed in cursor.fetchall():
            if name is None or changed is None:
                raise AnythingMayHaveChanged(f"{name or 'the replica'} was copied anew or altered")
            changes.setdefault(name, []).append(changed)
    return {
        name: _first_values(b"\0".join(texts), _key_columns(connection, name)) for name, texts in changes.items()
    }


def _first_values(text: bytes, columns: int) -> list[int]:
    values = np.array(text.split(b"\0")[::columns]).astype(np.int64)
    return [int(value) for value in np.unique(values)]


def _key_columns(connection: "Connection[Any]", table: str) -> int:
    query = (
        "SELECT COUNT(*) FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = %s AND index_name = 'PRIMARY'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [table])
        [(number,)] = cursor.fetchall()
    return int(number)
