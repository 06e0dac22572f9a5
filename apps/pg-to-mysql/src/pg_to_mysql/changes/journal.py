"""The keys of folded changes, for the journal."""

from pg_to_mysql.changes.fold import Fold, Key
from pg_to_mysql.mysql.journal import Journal
from pg_to_mysql.tables.table import Table
from pg_to_mysql.tables.types import MySQLType


def note(journal: Journal, table: Table, fold: Fold) -> None:
    """Note the rows that the fold writes or deletes."""
    journal.note(table.name, _changed(table, fold))


def _changed(table: Table, fold: Fold) -> list[Key] | None:
    """The keys, with their values as MySQL loads them; None if the journal can't express them."""
    if fold.truncated or table.has_binary_key:
        return None
    kinds = [table.types[i] for i in table.key]
    if not any(kind.decode for kind in kinds):
        return fold.keys
    return [b"\0".join(map(_loaded, kinds, key.split(b"\0"))) for key in fold.keys]


def _loaded(kind: MySQLType, text: bytes) -> bytes:
    """What MySQL loads for a value of a key, which is never NULL."""
    return (kind.decode(text) or b"") if kind.decode else text
