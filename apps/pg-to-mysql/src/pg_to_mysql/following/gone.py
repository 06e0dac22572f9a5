"""Tables that have gone from PostgreSQL: their copies are dropped from MySQL, but never many by accident.

Dropped tables and an accident look alike: a schema that was emptied, or restored in part. So more than a few
copies, or all of several, are dropped only by a run that was told how many may go.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from pg_to_mysql.errors import TablesGone
from pg_to_mysql.mysql.foreign_keys import pointed_at
from pg_to_mysql.mysql.state import State
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

FEW = 3
"""Copies that one run may drop without having been told."""


@dataclass(frozen=True)
class Gone:
    """The tables in MySQL that PostgreSQL has no longer."""

    names: tuple[str, ...] = ()
    """Nothing of that name is left."""
    anew: tuple[str, ...] = ()
    """Another table has the name now."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Those of the names whose copies stay until a user drops a foreign key, with the reason."""

    @property
    def too_many(self) -> list[str]:
        """The other names: so many copies are dropped only if somebody says so."""
        return [name for name in self.names if name not in self.kept]


def find_gone(
    connection: psycopg.Connection,
    state: State,
    schema: str,
    live: Mapping[str, Table],
    refused: Mapping[str, str],
) -> Gone:
    """Compare what was copied with PostgreSQL's catalogue, where ``live`` and ``refused`` come from."""
    # Of those that another version of this program wrote, the number is not known.
    copied = {name: known.table.oid if known.table else 0 for name, known in state.copied().items()}
    there = _existing(connection, schema, [*copied.values()])
    gone = [name for name, oid in copied.items() if oid not in there and name not in refused]
    renamed = {*copied.values()} & there
    anew = [name for name in gone if name in live and live[name].oid not in renamed]
    return Gone(tuple(name for name in gone if name not in anew), tuple(anew))


def _existing(connection: psycopg.Connection, schema: str, oids: list[int]) -> set[int]:
    """Which of these are tables of the schema still, also such as can't be replicated any more."""
    query = (
        "SELECT oid FROM pg_class WHERE oid = ANY(%s) AND relnamespace = to_regnamespace(%s)"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    return {
        int(oid) for (oid,) in connection.execute(query, [oids, sql.Identifier(schema).as_string(connection)])
    }


def let_go(state: State, gone: Gone, allowed: int | None) -> Gone:
    """Drop the copies of tables that are gone; return what stays.

    All stay if these are more than may go: ``allowed`` is how many may, or None if nobody has said. A copy to
    which a foreign key points stays in any case.
    """
    kept = pointed_at(state.target, gone.names)
    in_target = state.target.table_names()
    copies = [name for name in state.copied() if name in in_target]
    going = [name for name in gone.names if name in copies and name not in kept]
    too_many = len(going) > (FEW if allowed is None else allowed)
    if too_many or (allowed is None and len(going) > 1 and len(going) == len(copies)):
        return replace(gone, kept=kept)
    for name in gone.names:
        if name not in kept:
            log.info("%s is not in PostgreSQL any more: dropping its copy", name)
            state.journal.announce([name])
            state.target.drop_tables([name])
            state.forget_table(name)
    return replace(gone, names=tuple(name for name in gone.names if name in kept), kept=kept)


def copy_anew(state: State, gone: Gone) -> None:
    """Let the tables be copied that have the names of gone ones; the old copies stay until then."""
    known = state.copied()
    stale = [name for name in gone.anew if known[name].snapshot_lsn is not None]
    for name in stale:
        log.info("%s was dropped and made anew in PostgreSQL: it is to be copied again", name)
    state.copy_again(stale)


def warn(schema: str, gone: Gone) -> None:
    """Tell of the copies that were not dropped."""
    for name, reason in gone.kept.items():
        log.warning("%s is not in PostgreSQL any more, but its copy is not dropped: %s", name, reason)
    if gone.too_many:
        failure = refusal(schema, gone.too_many)
        log.warning("%s", failure, extra={"settings": failure.settings})


def refusal(schema: str, names: Sequence[str]) -> TablesGone:
    """What is said of copies that are more than may be dropped."""
    number = len(names)
    return TablesGone(
        f"PostgreSQL's schema {schema} has {number} of the tables no longer that MySQL has copies of:"
        f" {', '.join(names)}; to drop so many copies at once, set drop_gone to"
        f" {number}; the other tables are done",
        names,
    )
