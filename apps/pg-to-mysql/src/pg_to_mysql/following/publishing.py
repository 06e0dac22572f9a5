"""A replica's tables are published as a whole, and have been since they were copied.

PostgreSQL sends what the publication said at the moment of each change. Changes that came while it said less are
lost without a word, so a table is copied once more if the publication did not publish all of it, or was altered
since. That it was altered is told by the numbers of the rows and transactions that hold it in the catalogue.
"""

import logging
from collections.abc import Collection, Mapping

import psycopg

from pg_to_mysql.mysql.target import Target
from pg_to_mysql.postgres import publication
from pg_to_mysql.postgres.publication import Publication
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)


def continues(connection: psycopg.Connection, target: Target, slot: str, schema: str) -> bool:
    """Whether the publication is still there; one that was made anew knows nothing of the changes before."""
    found = publication.read_publication(connection, slot, schema)
    stored = _stored_publication(target, slot)
    if found is not None and (stored is None or stored.partition("/")[0] == str(found.oid)):
        return True
    log.warning("PostgreSQL's publication %s was dropped%s", slot, "" if found is None else " and made anew")
    return False


def is_altered(connection: psycopg.Connection, target: Target, slot: str, schema: str) -> bool:
    """Whether anything about the publication is to be looked at closely; meant to be asked often."""
    found = publication.read_publication(connection, slot, schema)
    return found is None or found.mark != _stored_publication(target, slot) or bool(_altered(found, target, slot))


def publish(
    connection: psycopg.Connection,
    target: Target,
    slot: str,
    schema: str,
    tables: Mapping[str, Table],
    coming: Collection[str],
) -> dict[str, str]:
    """Let all changes be published of the tables that are followed and of those that are to be copied.

    Followed tables of which changes may be lost are to be copied again afterwards. Returns those that are not
    published as a whole, and may not be by this user, with the reason.
    """
    followed = [name for name in _marks(target, slot) if name in tables]
    concerned = {name: tables[name] for name in {*followed, *coming}}
    before = publication.read_publication(connection, slot, schema)
    lost = _lost(before, target, slot) if before else {}
    publication.publish(connection, slot, schema, list(concerned.values()))
    mended = publication.mend(connection, slot, schema, concerned)
    lost |= mended.lost
    after = publication.read_publication(connection, slot, schema)
    for name in followed:
        if reason := mended.refused.get(name) or lost.get(name):
            log.warning("changes of %s may be lost, as %s: it is to be copied again", name, reason)
    with target.transaction():
        for name in followed:
            if name in mended.refused or name in lost:
                _copy_again(target, slot, name, mended.refused.get(name))
        if after is not None:
            target.execute("UPDATE _replication SET publication = %s WHERE slot = %s", [after.mark, slot])
            _store_marks(target, slot, after, {*followed, *coming} - mended.refused.keys())
    return mended.refused


def store_marks(
    connection: psycopg.Connection, target: Target, slot: str, schema: str, names: Collection[str]
) -> None:
    """Note how the tables are published that are about to be copied."""
    if found := publication.read_publication(connection, slot, schema):
        with target.transaction():
            _store_marks(target, slot, found, names)


def _store_marks(target: Target, slot: str, found: Publication, names: Collection[str]) -> None:
    target.execute_many(
        "UPDATE _replication_tables SET published = %s WHERE slot = %s AND name = %s",
        [(found.tables[name].mark, slot, name) for name in names if name in found.tables],
    )


def _copy_again(target: Target, slot: str, name: str, stopped: str | None) -> None:
    if stopped:
        target.store_stopped(slot, name, stopped)
    else:
        target.execute(
            "UPDATE _replication_tables SET snapshot_lsn = NULL, altering = NULL WHERE slot = %s AND name = %s",
            [slot, name],
        )


def _lost(found: Publication, target: Target, slot: str) -> dict[str, str]:
    """The followed tables of which changes may be lost because the publication was altered."""
    stored = _stored_publication(target, slot)
    if stored is not None and stored != found.mark:
        return dict.fromkeys(_marks(target, slot), f"the publication {slot} was altered")
    return _altered(found, target, slot)


def _altered(found: Publication, target: Target, slot: str) -> dict[str, str]:
    lost = {}
    for name, mark in _marks(target, slot).items():
        published = found.tables.get(name)
        if published is None:
            lost[name] = f"it was not in the publication {slot}"
        elif mark is not None and mark != published.mark:
            lost[name] = f"what the publication {slot} says of it was altered"
    return lost


def _stored_publication(target: Target, slot: str) -> str | None:
    rows = target.execute("SELECT publication FROM _replication WHERE slot = %s", [slot])
    return rows[0][0] if rows else None


def _marks(target: Target, slot: str) -> dict[str, str | None]:
    """How the tables that are followed were published when they were copied; None if that is not known."""
    return dict(
        target.execute(
            "SELECT name, published FROM _replication_tables"
            " WHERE slot = %s AND snapshot_lsn IS NOT NULL AND stopped IS NULL",
            [slot],
        )
    )
