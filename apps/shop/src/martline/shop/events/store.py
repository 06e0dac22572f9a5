"""Stores the rows of events in their tables, each event once, in the caller's transaction.

Most batches contain only new events that fit, so all events are copied straight into the tables. If PostgreSQL
refuses that, queries for the whole batch sift out the events that are repeated or do not fit, and the rest is
copied. Events that are refused even then are found by halving the batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from martline.shop.events.batch import Rows
from martline.shop.events.dead_letters import Rejected
from martline.shop.events.fitting import REPEATED, misfits
from martline.shop.events.schema import Target, one_line

# Errors that the data itself causes.
UNSTORABLE = (psycopg.IntegrityError, psycopg.DataError)
ORDER = ("users", "reviews")
"""Users come before their reviews."""


@dataclass
class Stored:
    """What happened to events."""

    stored: int = 0
    repeated: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, other: "Stored") -> None:
        """Add the counts and rejected messages of ``other``."""
        self.stored += other.stored
        self.repeated += other.repeated
        self.rejected += other.rejected


def store_rows(connection: psycopg.Connection, rows: Mapping[Target, Rows]) -> Stored:
    """Store the rows of all tables."""
    outcome = Stored()
    for target in sorted(rows, key=lambda target: ORDER.index(target.table)):
        outcome.add(_store(connection, target, rows[target]))
    return outcome


def _store(connection: psycopg.Connection, target: Target, rows: Rows) -> Stored:
    try:
        with connection.transaction():
            _copy(connection, target, rows)
        return Stored(stored=len(rows))
    except UNSTORABLE:
        outcome, fitting = _sift(connection, rows)
    if len(fitting):
        outcome.add(_store_by_halves(connection, target, fitting))
    return outcome


def _copy(connection: psycopg.Connection, target: Target, rows: Rows) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY shop.consumed_events (event_id) FROM STDIN") as copy:
            copy.write("\n".join(rows.ids))
        statement = sql.SQL("COPY public.{} ({}) FROM STDIN").format(
            sql.Identifier(target.table), sql.SQL(", ").join(map(sql.Identifier, target.columns))
        )
        with cursor.copy(statement) as copy:
            copy.write("".join(rows.lines))


def _store_by_halves(connection: psycopg.Connection, target: Target, rows: Rows) -> Stored:
    try:
        with connection.transaction():
            _copy(connection, target, rows)
        return Stored(stored=len(rows))
    except UNSTORABLE as error:
        if len(rows) == 1:
            if error.diag.constraint_name == "consumed_events_pkey":  # another consumer has just stored it
                return Stored(repeated=1)
            return Stored(rejected=[rows.rejected(0, one_line(str(error).splitlines()[0]))])
    middle = len(rows) // 2
    outcome = _store_by_halves(connection, target, rows.pick(range(middle)))
    outcome.add(_store_by_halves(connection, target, rows.pick(range(middle, len(rows)))))
    return outcome


def _sift(connection: psycopg.Connection, rows: Rows) -> tuple[Stored, Rows]:
    """The outcome for events that are repeated or do not fit, and the rows of the others."""
    outcome, fitting = Stored(), []
    for place, misfit in enumerate(misfits(connection, rows)):
        if misfit is None:
            fitting.append(place)
        elif misfit is REPEATED:
            outcome.repeated += 1
        else:
            outcome.rejected.append(rows.rejected(place, misfit.reason, misfit.waits_for_user))
    return outcome, rows.pick(fitting)
