"""Reads from the replicator's journal which rows of the replica have changed.

The journal is a table in MySQL. Each of its rows lists the keys that a batch changed in one table; without keys
it means that any row of the table may have changed. A reader remembers the newest row. At its next reading, the
rows after that one list all changes since, provided that the remembered row still exists: the replicator deletes
the oldest rows when the journal becomes too large.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from pymysql.connections import Connection
from pymysql.cursors import SSCursor

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
    widths = _key_columns(connection, names)
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    # Row by row, because the journal may be larger than the memory.
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(
            f"SELECT name, changed FROM {JOURNAL}"  # noqa: S608
            " WHERE id > %s AND slot = %s AND (name IN %s OR name IS NULL)",
            [newest, slot, names],
        )
        for name, changed in cursor:
            if name is None or changed is None:
                raise AnythingMayHaveChanged(f"{name or 'the replica'} was copied anew or altered")
            found.setdefault(name, []).append(_first_values(name, changed, widths[name]))
    return {name: np.unique(np.concatenate(values)).tolist() for name, values in found.items()}


def _first_values(table: str, keys: bytes, columns: int) -> npt.NDArray[np.int64]:
    """The first value of each key, of so many values each, without duplicates."""
    try:
        return np.unique(np.array(keys.split(b"\0")[::columns]).astype(np.int64))
    except OverflowError as error:
        raise AnythingMayHaveChanged(f"{table} has keys that are too large to be looked for") from error


def _key_columns(connection: "Connection[Any]", tables: tuple[str, ...]) -> dict[str, int]:
    """How many columns the primary key of each table has."""
    query = (
        "SELECT table_name, COUNT(*) FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name IN %s AND index_name = 'PRIMARY' GROUP BY table_name"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [tables])
        return dict(cursor.fetchall())
