"""The comparison of a replica's tables at one moment, and the repair of the rows that differ."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from pg_to_mysql.comparison.compare import Comparer, Comparison, Difference
from pg_to_mysql.comparison.parts import Key
from pg_to_mysql.errors import Failure, RowDifference, RowsDiffer
from pg_to_mysql.operation.open_replica import OpenReplica
from pg_to_mysql.postgres import export
from pg_to_mysql.tables.table import Table

log = logging.getLogger(__name__)

DIFFERENCES_LOGGED = 1000
"""The number of differing rows of each table that the log names."""
DIFFERENCES_SHOWN = 10
"""The number of differing rows that the command's error names."""


@dataclass(frozen=True)
class Compared:
    """The result of a comparison after which both sides have the same rows."""

    rows: Mapping[str, int]
    """The number of PostgreSQL's rows of each table."""
    rows_repaired: int


def compare_tables(replica: OpenReplica, names: Sequence[str], *, repair: bool) -> Compared:
    """Compare the tables; raise :class:`RowsDiffer` if rows differ and are not repaired."""
    missing = sorted(set(names) - replica.replicated().keys() - replica.stopped().keys())
    if missing:
        raise Failure(f"The table {missing[0]} is not in MySQL: run `replicate` first")
    compared: dict[str, Comparison] = {}
    shown: list[RowDifference] = []
    with export.snapshot(replica.source) as moment:
        replica.apply(moment.lsn)
        replicated = replica.replicated()
        _require_copies(replica, names, replicated)
        for name in (name for name in names if name in replicated):
            table = replicated[name].table
            compared[name], differences = _compare(replica, moment.reader, table, repair=repair)
            shown += differences
            if repair and compared[name].differing:
                _compare_again(replica, moment.reader, table)
    differing = sum(comparison.differing for comparison in compared.values())
    if differing and not repair:
        told = "; ".join(map(str, shown[:DIFFERENCES_SHOWN]))
        more = f"; and {differing - DIFFERENCES_SHOWN} more" if differing > DIFFERENCES_SHOWN else ""
        raise RowsDiffer(
            f"{differing} rows differ: {told}{more}; to bring them again, repair them", shown, differing
        )
    return Compared({name: comparison.rows for name, comparison in compared.items()}, differing)


def _require_copies(replica: OpenReplica, names: Sequence[str], replicated: Collection[str]) -> None:
    """Fail if MySQL does not have one of the tables in PostgreSQL's present form."""
    if due := sorted(set(names) & set(replica.due())):
        raise Failure(f"The table {due[0]} is to be copied again: run `replicate` first")
    # If a table was created anew, or got the name of a dropped one, MySQL's table of that name is another one.
    for name in names:
        if name in replica.tables.gone.names or (name not in replicated and name not in replica.stopped()):
            raise Failure(f"MySQL has no copy of PostgreSQL's table {name} as it is now: run `replicate` first")


def _compare(
    replica: OpenReplica, reader: psycopg.Connection, table: Table, *, repair: bool
) -> tuple[Comparison, list[RowDifference]]:
    """Compare a table, and repair it in one MySQL transaction; return the first differences."""
    journal = replica.state.journal
    comparer = Comparer(reader, replica.schema, replica.target, table)
    first: list[RowDifference] = []

    def found(differences: list[Difference]) -> None:
        for difference in differences[: DIFFERENCES_LOGGED - len(first)]:
            first.append(difference.told)
            log.warning("%s", difference.told)
        if repair:
            comparer.repair([difference.row for difference in differences])
            journal.note(table.name, _keys(table, [difference.row.key for difference in differences]))

    with replica.target.transaction():
        comparison = comparer.compare(found)
    journal.trim()
    log.info(
        "%s: %s rows, %s %s",
        table.name,
        f"{comparison.rows:,}",
        f"{comparison.differing:,}",
        "repaired" if repair else "differ",
    )
    return comparison, first


def _keys(table: Table, keys: Sequence[Key]) -> list[bytes] | None:
    """The keys in the journal's form; None if the journal can't express them."""
    if table.has_binary_key or any("\0" in text for key in keys for text in key):
        return None
    return ["\0".join(key).encode() for key in keys]


def _compare_again(replica: OpenReplica, reader: psycopg.Connection, table: Table) -> None:
    comparison, first = _compare(replica, reader, table, repair=False)
    if comparison.differing:
        raise Failure(f"{first[0]} after its repair, too: copy the table again")
