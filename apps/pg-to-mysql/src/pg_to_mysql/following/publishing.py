"""Makes sure that a replica's tables are published completely, and have been since they were copied.

PostgreSQL applies the publication as it was at the moment of each change, and silently leaves out what it did not
publish then. So a table is copied again if the publication did not publish all of it, or was altered since. The
catalogue shows alterations by the positions and transaction numbers of the publication's rows.
"""

import logging
from collections.abc import Collection, Mapping

import psycopg

from pg_to_mysql.mysql.state import State
from pg_to_mysql.postgres import publication
from pg_to_mysql.postgres.publication import Publication
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)


def continues(connection: psycopg.Connection, state: State, schema: str) -> bool:
    """Whether the publication still exists. One that was created again did not publish the earlier changes."""
    found = publication.read_publication(connection, state.slot, schema)
    stored = state.publication_mark()
    if found is not None and (stored is None or stored.partition("/")[0] == str(found.oid)):
        return True
    log.warning(
        "PostgreSQL's publication %s was dropped%s", state.slot, "" if found is None else " and created again"
    )
    return False


def is_altered(connection: psycopg.Connection, state: State, schema: str) -> bool:
    """Whether the publication must be checked closely. This is cheap, and may be asked often."""
    found = publication.read_publication(connection, state.slot, schema)
    return found is None or found.mark != state.publication_mark() or bool(_altered(found, state))


def publish(
    connection: psycopg.Connection,
    state: State,
    schema: str,
    tables: Mapping[str, Table],
    coming: Collection[str],
) -> dict[str, str]:
    """Make the publication publish all changes of the tables that are followed and of those that will be copied.

    Followed tables whose changes may be lost are marked to be copied again. Returns the tables that are not
    published completely, when this user may not change that, with the reason.
    """
    followed = [name for name in state.table_marks() if name in tables]
    concerned = {name: tables[name] for name in {*followed, *coming}}
    before = publication.read_publication(connection, state.slot, schema)
    lost = _lost(before, state) if before else {}
    publication.publish(connection, state.slot, schema, list(concerned.values()))
    mended = publication.mend(connection, state.slot, schema, concerned)
    lost |= mended.lost
    after = publication.read_publication(connection, state.slot, schema)
    for name in followed:
        if reason := mended.refused.get(name) or lost.get(name):
            log.warning("changes of %s may be lost, because %s: it will be copied again", name, reason)
    with state.target.transaction():
        for name in followed:
            if name in mended.refused or name in lost:
                _copy_again(state, name, mended.refused.get(name))
        if after is not None:
            state.store_publication_mark(after.mark)
            _store_marks(state, after, set(followed) - mended.refused.keys())
    return mended.refused


def store_marks(connection: psycopg.Connection, state: State, schema: str, names: Collection[str]) -> None:
    """Record how the tables are published that are about to be copied."""
    if found := publication.read_publication(connection, state.slot, schema):
        with state.target.transaction():
            _store_marks(state, found, names)


def _store_marks(state: State, found: Publication, names: Collection[str]) -> None:
    state.store_table_marks({name: found.tables[name].mark for name in names if name in found.tables})


def _copy_again(state: State, name: str, stopped: str | None) -> None:
    if stopped:
        state.store_stopped(name, stopped)
    else:
        state.store_lost(name)


def _lost(found: Publication, state: State) -> dict[str, str]:
    """The followed tables whose changes may be lost because the publication was altered."""
    stored = state.publication_mark()
    if stored is not None and stored != found.mark:
        return dict.fromkeys(state.table_marks(), f"the publication {state.slot} was altered")
    return _altered(found, state)


def _altered(found: Publication, state: State) -> dict[str, str]:
    lost = {}
    for name, mark in state.table_marks().items():
        published = found.tables.get(name)
        if published is None:
            lost[name] = f"it was not in the publication {state.slot}"
        elif mark is not None and mark != published.mark:
            lost[name] = f"what the publication {state.slot} says of it was altered"
    return lost
