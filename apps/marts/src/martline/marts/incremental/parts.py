"""Computes only those parts of a mart, for example of which users, to which changed rows belong.

The rows of these parts are copied to temporary tables. From these tables the mart is computed twice: as it was
before the change, and as it is after it. The two results differ by what has changed in the mart. So the work
depends on the size of the parts, and not on that of the mart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from martline.marts.definition import Mart, Parts
from martline.marts.incremental.kept import Change, Kept, quoted
from martline.marts.statement import Columns, frame_of, frame_of_sums

Changes = Mapping[str, Change]
"""The changes of each source table that has changed."""


@dataclass(frozen=True)
class ComputedParts:
    """The rows of a mart that follow from the changed parts, before and after the change."""

    before: pa.Table
    after: pa.Table


@dataclass(frozen=True)
class Copy:
    """A temporary table with those rows of a source that belong to the changed parts."""

    source: str
    parts: Parts
    through: tuple[str, str] | None
    """See :class:`Parts`; None if the source has the column by which the mart is cut."""

    @property
    def name(self) -> str:
        """The name of the temporary table."""
        return f"_parts_of_{self.source}"

    def rows(self, table: str, changes: Changes) -> str:
        """The query of the rows in ``table`` that belong to the changed ``parts`` before or after the change."""
        belongs = f"({_part(self.parts)}) IN (SELECT * FROM parts)"  # noqa: S608
        if self.through is None:
            return f'FROM "{table}" WHERE {belongs}'
        other, column = self.through
        versions = [other, f"new_{other}"] if other in changes else [other]
        found = " UNION ALL ".join(f'SELECT "{column}" FROM "{version}" WHERE {belongs}' for version in versions)  # noqa: S608
        return f'FROM "{table}" WHERE "{column}" IN ({found})'


def changed_tables(kept: Kept, mart: Mart, changes: Changes) -> list[str]:
    """The sources in which a value has changed that the mart is made of."""
    with kept.named(**_versions(changes)):
        return [
            table
            for table in mart.sources
            if table in changes and kept.rows(f"FROM ({_changed_rows(mart, table)}) LIMIT 1").num_rows
        ]


def computed_parts(
    kept: Kept, mart: Mart, columns: Columns, changes: Changes, tables: Sequence[str]
) -> ComputedParts | None:
    """Compute the changed parts of a mart, before the kept rows are replaced.

    :param tables: the mart's :func:`changed_tables`.
    :returns: None if the changes may concern all parts, or rows that belong to no part.
    """
    if mart.parts is None or (values := _values(kept, mart, mart.parts, changes, tables)) is None:
        return None
    copies = list(_copies(mart, mart.parts))
    frame = frame_of(mart, columns, {copy.source: copy.name for copy in copies})
    with kept.named(parts=values, **_versions(changes)):
        for copy in copies:
            kept.connection.execute(f'CREATE TEMP TABLE "{copy.name}" AS {copy.rows(copy.source, changes)}')
        before = kept.compute(frame)
        for copy in copies:
            if change := changes.get(copy.source):
                new = kept.rows(copy.rows(f"new_{copy.source}", changes))
                kept.replace(copy.name, Change(change.key, change.before, new))
        after = kept.compute(frame)
        for copy in copies:
            kept.connection.execute(f'DROP TABLE "{copy.name}"')
    return ComputedParts(before, after)


def difference(kept: Kept, mart: Mart, columns: Columns, computed: ComputedParts) -> Change:
    """Store the mart's rows that differ, and return them."""
    if mart.parts and mart.parts.sums:
        return kept.put(mart, *_with_other_sums(kept, mart, mart.parts, columns, computed))
    with kept.named(before=computed.before, after=computed.after):
        old = kept.rows("FROM before EXCEPT FROM after")
        new = kept.rows("FROM after EXCEPT FROM before")
    return kept.put(mart, old, new)


def _part(parts: Parts) -> str:
    """The part to which a row belongs, as a list of expressions."""
    return f'"{parts.by}", CAST("{parts.day}" AS DATE)' if parts.day else f'"{parts.by}"'


def _values(kept: Kept, mart: Mart, parts: Parts, changes: Changes, tables: Sequence[str]) -> pa.Table | None:
    """The parts to which the changed rows of these tables belong; see :func:`computed_parts`."""
    queries = []
    for table in tables:
        rows = _changed_rows(mart, table)
        if parts.by in mart.sources[table]:
            queries.append(f"SELECT {_part(parts)} FROM ({rows})")  # noqa: S608
        elif table in parts.through:
            other, column = parts.through[table]
            queries.append(
                f'SELECT {_part(parts)} FROM "{other}" WHERE "{column}" IN (SELECT "{column}" FROM ({rows}))'  # noqa: S608
            )
        else:
            return None
    with kept.named(**_versions(changes)):
        values = kept.rows(" UNION ".join(queries))
    return None if any(column.null_count for column in values.columns) else values


def _copies(mart: Mart, parts: Parts) -> Iterator[Copy]:
    """The copies of the mart's sources, without those whose rows are the same for all parts."""
    for table, names in mart.sources.items():
        if parts.by in names or table in parts.through:
            yield Copy(table, parts, None if parts.by in names else parts.through[table])


def _with_other_sums(
    kept: Kept, mart: Mart, parts: Parts, columns: Columns, computed: ComputedParts
) -> tuple[pa.Table, pa.Table]:
    """The old and the new versions of the mart's rows in which a sum has changed."""
    keys, here, sums = quoted(mart.key), f'"{mart.name}"', parts.sums
    less = ", ".join(f'-"{name}" AS "{name}"' for name in sums)
    more = ", ".join(f'SUM("{name}") AS "{name}"' for name in sums)
    differs = " OR ".join(f'SUM("{name}") <> 0' for name in sums)
    with kept.named(before=computed.before, after=computed.after):
        delta = kept.rows(
            f"SELECT {keys}, {more} FROM (SELECT {keys}, {less} FROM before"  # noqa: S608
            f" UNION ALL SELECT {keys}, {quoted(sums)} FROM after) GROUP BY {keys} HAVING {differs}"
        )
    with kept.named(delta=delta):
        old = kept.rows(f"FROM {here} SEMI JOIN delta USING ({keys})")
        types = dict(zip(old.column_names, kept.connection.table(mart.name).types, strict=True))
        total = ", ".join(
            f'CAST(d."{name}" + COALESCE(m."{name}", 0) AS {types[name]}) AS "{name}"' for name in sums
        )
        present = " OR ".join(f'"{name}" <> 0' for name in sums)
        totals = kept.rows(
            f"FROM (SELECT {keys}, {total} FROM delta d LEFT JOIN {here} m USING ({keys})) WHERE {present}"  # noqa: S608
        )
    with kept.named(totals=totals):
        new = kept.compute(frame_of_sums(mart, parts, columns, "totals"))
    return old, new


def _changed_rows(mart: Mart, table: str) -> str:
    """The query of the old and new versions of the rows that have changed in the mart's columns."""
    old, new = (f'SELECT {quoted(mart.sources[table])} FROM "{version}_{table}"' for version in ("old", "new"))  # noqa: S608
    return f"({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old})"


def _versions(changes: Changes) -> dict[str, pa.Table]:
    return {f"old_{table}": change.before for table, change in changes.items()} | {
        f"new_{table}": change.after for table, change in changes.items()
    }
