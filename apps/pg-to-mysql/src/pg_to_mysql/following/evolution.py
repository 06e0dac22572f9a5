"""How a table in MySQL is altered when PostgreSQL's catalogue has changed.

:func:`evolve` brings a table in MySQL directly to the form that PostgreSQL's catalogue describes now, even if
changes from before the alteration have not been read yet. :func:`pg_to_mysql.changes.views.places` says where the
values of such older messages belong.
"""

from dataclasses import dataclass, replace

from pg_to_mysql.mysql.definitions import column_definition
from pg_to_mysql.mysql.quoting import quote, text_literal
from pg_to_mysql.tables.table import Column, Table
from pg_to_mysql.tables.types import MySQLType
from pg_to_mysql.tables.widening import holds, same_type


@dataclass(frozen=True)
class Stopped:
    """The table can't be followed; the text says why."""

    reason: str


@dataclass(frozen=True)
class CopyAgain:
    """The changes do not contain what happened to the table's rows, so it must be copied again."""

    reason: str


@dataclass(frozen=True)
class Evolved:
    """The table's new form in MySQL, and the one statement that alters it; None if nothing needs to be done."""

    table: Table
    statement: str | None


def evolve(stored: Table, live: Table | None) -> Evolved | Stopped | CopyAgain:
    """Work out how to bring a table from its form in MySQL to the form in PostgreSQL's catalogue.

    Its name stays the same. The statement fails or succeeds as a whole, in MySQL and in MariaDB.
    """
    if live is None:
        return Stopped("PostgreSQL does not have it any more, or it has no key")
    if live.oid != stored.oid:
        return Stopped("it is another table of the same name")
    if [live.columns[i].attnum for i in live.key] != [stored.columns[i].attnum for i in stored.key]:
        return Stopped("its key has changed")
    if hindrance := _first_hindrance(stored, live):
        return hindrance
    now = {column.attnum: column for column in live.columns}
    kept = [_kept(column, now[column.attnum]) for column in stored.columns if column.attnum in now]
    dropped = [column for column in stored.columns if column.attnum not in now]
    # Changes from before a column became NOT NULL may still come.
    added = [replace(column, not_null=False) for column in _added(stored, live)]
    table = replace(
        live,
        name=stored.name,
        columns=(*kept, *added),
        dropped=(*stored.dropped, *dropped),
        indexes=(),
        comment=stored.comment,
        settled_attnum=stored.settled_attnum,
        settled_lsn=stored.settled_lsn,
    )
    actions = [f"DROP COLUMN {quote(column.name)}" for column in dropped] + _actions(stored, table)
    return Evolved(table, f"ALTER TABLE {quote(stored.name)} {', '.join(actions)}" if actions else None)


def _first_hindrance(stored: Table, live: Table) -> Stopped | CopyAgain | None:
    """Why the table can't be followed; None if it can be."""
    now = {column.attnum: column for column in live.columns}
    # A rewritten partition is noticed elsewhere: it makes the table be copied again.
    rewritten = live.partitions is None and live.storage != stored.storage
    for column in stored.columns:
        new = now.pop(column.attnum, None)
        if new and (reason := _hindrance(column, new, rewritten)):
            return CopyAgain(reason) if column.name != new.name and holds(new, column) else Stopped(reason)
    for column in _added(stored, live):
        del now[column.attnum]
        if column.missing is None and rewritten:
            reason = (
                f"PostgreSQL has written all rows anew since the column {column.name} was added, and it does"
                " not tell which values they have there"
            )
            return Stopped(reason) if column.has_default else CopyAgain(reason)
    if now:
        return Stopped(f"the column {now[min(now)].name} was not replicated until now")
    return None


def _added(stored: Table, live: Table) -> list[Column]:
    return [column for column in live.columns if column.attnum > stored.last_attnum]


def _kept(old: Column, new: Column) -> Column:
    """A column that stays, with what is already known about it."""
    former = old.former_names
    if new.name != old.name:
        former = tuple(dict.fromkeys([*former, old.name]))
    return replace(new, not_null=old.not_null and new.not_null, former_names=former, unfit=old.unfit)


def _actions(stored: Table, table: Table) -> list[str]:
    """Clauses that alter the columns that stay in the table in MySQL."""
    actions = []
    before = {column.attnum: (column, kind) for column, kind in zip(stored.columns, stored.types, strict=True)}
    for column, kind in zip(table.columns, table.types, strict=True):
        if column.attnum not in before:
            default = "" if column.missing is None else f" DEFAULT {_default(column.missing, kind)}"
            actions.append(f"ADD COLUMN {column_definition(column, kind)}{default}")
            continue
        old, old_kind = before[column.attnum]
        if kind.name != old_kind.name or old.not_null != column.not_null:
            actions.append(f"CHANGE COLUMN {quote(old.name)} {column_definition(column, kind)}")
        elif old.name != column.name:
            actions.append(f"RENAME COLUMN {quote(old.name)} TO {quote(column.name)}")
    return actions


def _default(missing: str, kind: MySQLType) -> str:
    """The value as a default in MySQL. It is an expression, because LONGTEXT allows no other default."""
    text = missing.encode()
    decoded = kind.decode(text) if kind.decode else text
    if decoded is None:
        return "NULL"
    return f"({kind.loaded.format(text_literal(decoded.decode()))})"


def _hindrance(old: Column, new: Column, rewritten: bool) -> str | None:
    """Why the column can't be followed; None if it can be."""
    if not holds(new, old):
        return f"the type of its column {new.name} has changed to one that can't hold all values it had"
    materialised = old.missing is not None and new.missing is None
    if rewritten and old.version != new.version and not materialised and same_type(old, new):
        return f"PostgreSQL may have computed the column {new.name} anew"
    return None


def settle(table: Table) -> Table:
    """Forget the table's earlier forms when no older message can come."""
    return replace(
        table,
        columns=tuple(replace(column, former_names=()) for column in table.columns),
        dropped=(),
        settled_attnum=table.last_attnum,
    )
