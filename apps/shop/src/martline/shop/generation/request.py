"""The request for a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from martline.command import Failure
from martline.shop.generation.plan import TABLES, Plan, Sizes, own_leaves
from martline.shop.generation.workers import Workers, usual_processes

FEW_ROWS = 300_000
"""How many rows are made in the time that another process needs to start."""


@dataclass(frozen=True)
class Request:
    """The request for a batch. Without a locale and a last day, an existing batch keeps its own."""

    sizes: Sizes
    seed: int
    locale: str | None = None
    until: date | None = None
    only: Sequence[str] = TABLES
    dirty: int = 0
    processes: int | None = None

    def __post_init__(self) -> None:
        sizes = self.sizes
        if self.dirty and not (sizes.users and sizes.products and sizes.orders and set(self.only) == set(TABLES)):
            raise Failure(
                "Defects need all tables, and a batch with its own users, products and orders: ask for these, or"
                " leave --dirty out"
            )

    @property
    def plan(self) -> Plan:
        """The plan for a database without rows."""
        locale = self.locale or "en_US"
        until = self.until or datetime.now(UTC).date()
        return Plan(self.seed, self.sizes, locale, until, leaves=own_leaves(locale), dirty=self.dirty)

    def workers(self) -> Workers:
        """The processes that make the rows."""
        sizes = self.sizes
        few = sizes.users + sizes.products + sizes.orders + sizes.reviews + sizes.loyalty < FEW_ROWS
        usual = 0 if few else usual_processes()
        return Workers(usual if self.processes is None else self.processes)


def require_parents(sizes: Sizes) -> None:
    """Raise :class:`Failure` if some rows of a batch need rows that it does not contain."""
    for table, need in sizes.lacking().items():
        raise Failure(f"{need}: generate some {table} with them")
