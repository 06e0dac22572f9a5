"""Computes only those parts of a mart, for example of which users, to which changed rows belong.

The marts of these parts are computed before and after the change. They differ by what has changed in the mart, so
the work depends on the size of the parts, and not on that of the mart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from martline.marts.definition import Mart, Parts
from martline.marts.incremental.kept import Change, Kept, quoted
from martline.marts.statement import Columns, frame_of_parts, frame_of_sums

Changes = Mapping[str, Change]
"""Of each source table that has changed."""


@dataclass(frozen=True)
class ChangedParts:
    """The parts of a mart to which changed rows belong."""

    mart: Mart
    parts: Parts
    columns: Columns
    values: pa.Table
    """The values of these parts."""

    @classmethod
    def of(cls, kept: Kept, mart: Mart, columns: Columns, changes: Changes, tables: Sequence[str]) -> Self | None:
        """The changed parts, before the kept rows are replaced.

        :param tables: the mart's :func:`changed_tables`.
        :returns: None if the changes may concern all parts, or rows that belong to no part.
        """
        if mart.parts is None:
            return None
        by, queries = mart.parts.by, []
        for table in tables:
            if by in mart.sources[table]:
                queries.append(f'SELECT "{by}" FROM ({_changed_rows(mart, table)})')  # noqa: S608
            elif table in mart.parts.through:
                other, column = mart.parts.through[table]
                queries.append(
                    f'SELECT o."{by}" FROM ({_changed_rows(mart, table)}) c JOIN "{other}" o USING ("{column}")'  # noqa: S608
                )
            else:
                return None
        with kept.named(**_versions(changes)):
            values = kept.rows(" UNION ".join(queries))
        return None if values[by].null_count else cls(mart, mart.parts, columns, values)

    def computed(self, kept: Kept) -> pa.Table:
        """The mart of these parts alone."""
        with kept.named(parts=self.values):
            return kept.compute(frame_of_parts(self.mart, self.parts, self.columns, "parts"))

    def difference(self, kept: Kept, before: pa.Table, after: pa.Table) -> Change:
        """Store the mart's rows that differ, and return them.

        :param before: what these parts were.
        :param after: what they are.
        """
        if self.parts.sums:
            return kept.put(self.mart, *self._with_other_sums(kept, before, after))
        with kept.named(before=before, after=after):
            old = kept.rows("FROM before EXCEPT FROM after")
            new = kept.rows("FROM after EXCEPT FROM before")
        return kept.put(self.mart, old, new)

    def _with_other_sums(self, kept: Kept, before: pa.Table, after: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The old and the new versions of the mart's rows in which a sum has changed."""
        keys, here, sums = quoted(self.mart.key), f'"{self.mart.name}"', self.parts.sums
        less = ", ".join(f'-"{name}" AS "{name}"' for name in sums)
        more = ", ".join(f'SUM("{name}") AS "{name}"' for name in sums)
        differs = " OR ".join(f'SUM("{name}") <> 0' for name in sums)
        with kept.named(before=before, after=after):
            delta = kept.rows(
                f"SELECT {keys}, {more} FROM (SELECT {keys}, {less} FROM before"  # noqa: S608
                f" UNION ALL SELECT {keys}, {quoted(sums)} FROM after) GROUP BY {keys} HAVING {differs}"
            )
        with kept.named(delta=delta):
            old = kept.rows(f"FROM {here} SEMI JOIN delta USING ({keys})")
            types = dict(zip(old.column_names, kept.connection.table(self.mart.name).types, strict=True))
            total = ", ".join(
                f'CAST(d."{name}" + COALESCE(m."{name}", 0) AS {types[name]}) AS "{name}"' for name in sums
            )
            present = " OR ".join(f'"{name}" <> 0' for name in sums)
            totals = kept.rows(
                f"FROM (SELECT {keys}, {total} FROM delta d LEFT JOIN {here} m USING ({keys})) WHERE {present}"  # noqa: S608
            )
        with kept.named(totals=totals):
            new = kept.compute(frame_of_sums(self.mart, self.parts, self.columns, "totals"))
        return old, new


def changed_tables(kept: Kept, mart: Mart, changes: Changes) -> list[str]:
    """The sources in which a value has changed that the mart is made of."""
    with kept.named(**_versions(changes)):
        return [
            table
            for table in mart.sources
            if table in changes and kept.rows(f"FROM ({_changed_rows(mart, table)}) LIMIT 1").num_rows
        ]


def _changed_rows(mart: Mart, table: str) -> str:
    """The query of the old and new versions of the rows that have changed in the mart's columns."""
    old, new = (f'SELECT {quoted(mart.sources[table])} FROM "{version}_{table}"' for version in ("old", "new"))  # noqa: S608
    return f"({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old})"


def _versions(changes: Changes) -> dict[str, pa.Table]:
    return {f"old_{table}": change.before for table, change in changes.items()} | {
        f"new_{table}": change.after for table, change in changes.items()
    }
