"""Tables that are gone from PostgreSQL: their copies are dropped from MySQL, but never many by accident.

Dropped tables look like an accident: a schema that was emptied, or restored only in part. So a run drops more
than a few copies, or all of several, only if it was told how many it may drop.
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
"""How many copies one run may drop unless it is told otherwise."""


@dataclass(frozen=True)
class Gone:
    """The tables in MySQL that PostgreSQL no longer has."""

    names: tuple[str, ...] = ()
    """Tables whose name no longer exists in PostgreSQL."""
    anew: tuple[str, ...] = ()
    """Tables whose name another table has now."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Names whose copies stay until a user drops a foreign key, with the reason."""

    @property
    def too_many(self) -> list[str]:
        """The other names, if they are more copies than a run may drop unless it is told."""
        return [name for name in self.names if name not in self.kept]


def find_gone(
    connection: psycopg.Connection,
    state: State,
    schema: str,
    live: Mapping[str, Table],
    refused: Mapping[str, str],
) -> Gone:
    """Compare the copied tables with PostgreSQL's catalogue, which gave ``live`` and ``refused``."""
    # The oid of a table that another version of this program stored is not known.
    copied = {name: known.table.oid if known.table else 0 for name, known in state.copied().items()}
    there = _existing(connection, schema, [*copied.values()])
    gone = [name for name, oid in copied.items() if oid not in there and name not in refused]
    renamed = {*copied.values()} & there
    anew = [name for name in gone if name in live and live[name].oid not in renamed]
    return Gone(tuple(name for name in gone if name not in anew), tuple(anew))


def _existing(connection: psycopg.Connection, schema: str, oids: list[int]) -> set[int]:
    """Which of these are still tables of the schema, including those that can no longer be replicated."""
    query = (
        "SELECT oid FROM pg_class WHERE oid = ANY(%s) AND relnamespace = to_regnamespace(%s)"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    return {
        int(oid) for (oid,) in connection.execute(query, [oids, sql.Identifier(schema).as_string(connection)])
    }


def let_go(state: State, gone: Gone, allowed: int | None) -> Gone:
    """Drop the copies of tables that are gone; return what stays.

    ``allowed`` is how many copies may be dropped, or None if nobody has said. If there are more, all stay. A copy
    that a foreign key references stays in any case.
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
            log.info("PostgreSQL no longer has %s: dropping its copy", name)
            state.journal.announce([name])
            state.target.drop_tables([name])
            state.forget_table(name)
    return replace(gone, names=tuple(name for name in gone.names if name in kept), kept=kept)


def copy_anew(state: State, gone: Gone) -> None:
    """Mark tables to be copied that have the names of gone tables; the old copies stay until then."""
    known = state.copied()
    stale = [name for name in gone.anew if known[name].snapshot_lsn is not None]
    for name in stale:
        log.info("%s was dropped and created again in PostgreSQL: it will be copied again", name)
    state.copy_again(stale)


def warn(schema: str, gone: Gone) -> None:
    """Log the copies that were not dropped."""
    for name, reason in gone.kept.items():
        log.warning("PostgreSQL no longer has %s, but its copy is not dropped: %s", name, reason)
    if gone.too_many:
        failure = refusal(schema, gone.too_many)
        log.warning("%s", failure, extra={"settings": failure.settings})


def refusal(schema: str, names: Sequence[str]) -> TablesGone:
    """The error if there are more copies than may be dropped."""
    number = len(names)
    return TablesGone(
        f"PostgreSQL's schema {schema} no longer has {number} of the tables that MySQL has copies of:"
        f" {', '.join(names)}; to drop that many copies at once, set drop_gone to"
        f" {number}; the other tables are done",
        names,
    )
