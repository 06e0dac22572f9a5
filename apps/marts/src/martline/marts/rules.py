"""The checks of a mart. Each is a query that returns the rows that violate it.

In a query, ``{this}`` is the mart's table, ``{key}`` the columns of its key, and ``{mart_...}`` another mart's
table. ``{total}`` is the number that the check's ``total`` returns. The replica's tables have their own names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True)
class Check:
    """A condition on a mart."""

    name: str
    query: str
    """The query returns a row for each violation, with the values that identify it."""
    table: str | None = None
    """The replica's table that the check reads. It must be in the state in which the mart has read it."""
    by_row: bool = False
    """Whether the check looks only at single rows of the mart and at ``table``."""
    total: str | None = None
    """The query of a number of rows of ``table``. The rest of the check does not look at that table, so the query
    can run before it."""

    @property
    def names(self) -> set[str]:
        """The names in braces in the query: ``this``, ``key``, ``total``, and the other marts that it reads."""
        return {name for _, name, _, _ in Formatter().parse(self.query) if name}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check."""

    mart: str
    check: str
    offences: int | None
    """The number of rows that violate the check; None if it could not be made."""
    sample: str = ""
    """The values that identify one of these rows, or the reason why the check could not be made."""

    @property
    def failed(self) -> bool:
        """Whether rows violate the check."""
        return bool(self.offences)

    @property
    def skipped(self) -> bool:
        """Whether the check could not be made."""
        return self.offences is None

    @property
    def state(self) -> str:
        """The outcome as the table of checks shows it."""
        return "skipped" if self.skipped else "failed" if self.failed else "passed"

    def __str__(self) -> str:
        return f"{self.mart} fails {self.check}: {self.offences} offending rows, such as {self.sample}"


def rows(name: str, condition: str) -> Check:
    """The condition, an SQL expression, is true or NULL in every row."""
    return Check(name, f"SELECT {{key}} FROM {{this}} WHERE NOT ({condition})", by_row=True)  # noqa: S608


def not_negative(*columns: str) -> Check:
    """None of the columns is below 0."""
    return rows("nothing_is_negative", " AND ".join(f"{name} >= 0" for name in columns))


def between(column: str, low: int, high: int) -> Check:
    """The column is in this range, or NULL."""
    return rows(f"{column}_is_{low}_to_{high}", f"{column} BETWEEN {low} AND {high}")


def null_if(column: str, condition: str, name: str) -> Check:
    """The column is NULL where the condition holds, and nowhere else."""
    return rows(name, f"({condition}) = ({column} IS NULL)")


def one_of(column: str, accepted: Iterable[str]) -> Check:
    """The column has one of these values."""
    values = ", ".join(f"'{value}'" for value in accepted)
    return rows(f"{column}_is_known", f"{column} IN ({values})")


def refers(column: str, table: str, referred: str) -> Check:
    """Each value of the column exists in a column of the replica's table."""
    return Check(
        f"{column}_is_in_{table}",
        f"SELECT {{key}} FROM {{this}} WHERE {column} IS NOT NULL"  # noqa: S608
        f" AND NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.{referred} = {{this}}.{column})",
        table=table,
        by_row=True,
    )


def counts(column: str, table: str) -> Check:
    """The column adds up to the number of rows of the replica's table."""
    return Check(
        f"{column}_are_those_of_the_source",
        _differ(column, "SELECT {total} AS total"),
        table=table,
        total=f"SELECT COUNT(*) FROM {table}",  # noqa: S608
    )


def agrees(name: str, mine: str, other: str, theirs: str) -> Check:
    """A sum over the mart equals one over another mart.

    :param mine: the expression that is added up over this mart.
    :param other: where the other sum is taken from: ``{mart_...}``, perhaps with conditions.
    :param theirs: the expression that is added up there.
    """
    return Check(name, _differ(mine, f"SELECT COALESCE(SUM({theirs}), 0) AS total FROM {other}"))  # noqa: S608


def _differ(mine: str, theirs: str) -> str:
    """The query that returns a row if the sum over the mart is not the other total."""
    return (
        "SELECT here.total AS here, there.total AS there"  # noqa: S608
        f" FROM (SELECT COALESCE(SUM({mine}), 0) AS total FROM {{this}}) here,"
        f" ({theirs}) there WHERE here.total <> there.total"
    )
