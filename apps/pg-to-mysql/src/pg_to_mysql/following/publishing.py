"""A replica's tables are published as a whole, and have been since they were copied.

PostgreSQL sends what the publication said at the moment of each change. Changes that came while it said less are
lost without a word, so a table is copied once more if the publication did not publish all of it, or was altered
since. That it was altered is told by the numbers of the rows and transactions that hold it in the catalogue.
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
    """Whether the publication is still there; one that was made anew knows nothing of the changes before."""
    found = publication.read_publication(connection, state.slot, schema)
    stored = state.publication_mark()
    if found is not None and (stored is None or stored.partition("/")[0] == str(found.oid)):
        return True
    log.warning(
        "PostgreSQL's publication %s was dropped%s", state.slot, "" if found is None else " and made anew"
    )
    return False


def is_altered(connection: psycopg.Connection, state: State, schema: str) -> bool:
    """Whether anything about the publication is to be looked at closely; meant to be asked often."""
    found = publication.read_publication(connection, state.slot, schema)
    return found is None or found.mark != state.publication_mark() or bool(_altered(found, state))


def publish(
    connection: psycopg.Connection,
    state: State,
    schema: str,
    tables: Mapping[str, Table],
    coming: Collection[str],
) -> dict[str, str]:
    """Let all changes be published of the tables that are followed and of those that are to be copied.

    Followed tables of which changes may be lost are to be copied again afterwards. Returns those that are not
    published as a whole, and may not be by this user, with the reason.
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
            log.warning("changes of %s may be lost, as %s: it is to be copied again", name, reason)
    with state.target.transaction():
        for name in followed:
            if name in mended.refused or name in lost:
                _copy_again(state, name, mended.refused.get(name))
        if after is not None:
            state.store_publication_mark(after.mark)
            _store_marks(state, after, set(followed) - mended.refused.keys())
    return mended.refused


def store_marks(connection: psycopg.Connection, state: State, schema: str, names: Collection[str]) -> None:
    """Note how the tables are published that are about to be copied."""
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
    """The followed tables of which changes may be lost because the publication was altered."""
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
