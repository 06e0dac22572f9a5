"""Keeps ``mart_sales_daily`` in memory, and adds it up over days and categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

CENT = Decimal("0.01")
EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
"""The precision of sums. MySQL's decimals have at most 65 digits."""
Row = tuple[date, int, int, Decimal, int]
"""Day, category, orders, revenue, returns."""


@dataclass(frozen=True)
class Totals:
    """The sales of some days and categories."""

    orders: int
    """An order counts once in each of its categories."""
    revenue: Decimal
    returns: int

    @property
    def average_check(self) -> Decimal | None:
        """``revenue`` by ``orders``, rounded half up to 2 digits as in the mart; None without orders."""
        return (
            EXACT.divide(self.revenue, Decimal(self.orders)).quantize(CENT, context=EXACT)
            if self.orders
            else None
        )


class Sales:
    """The rows of the mart as arrays. Revenue is in whole units of its last digit, so sums are exact."""

    def __init__(self, rows: Sequence[Row], scale: int) -> None:
        self._scale = scale
        self._days = np.array([row[0] for row in rows], dtype="datetime64[D]").astype(np.int64)
        self._categories = np.array([row[1] for row in rows], dtype=np.int64)
        self._orders = np.array([row[2] for row in rows], dtype=np.int64)
        self._returns = np.array([row[4] for row in rows], dtype=np.int64)
        units = [int(row[3].scaleb(scale, EXACT)) for row in rows]
        # Python's own numbers where the sums might not fit 64 bits.
        fits = sum(map(abs, units)) < 1 << 63
        self._revenue: NDArray[Any] = np.array(units, dtype=np.int64 if fits else object)

    @property
    def first_day(self) -> date:
        """The first day with an order."""
        return _date(int(self._days.min()))

    @property
    def last_day(self) -> date:
        """The last day with an order."""
        return _date(int(self._days.max()))

    def __bool__(self) -> bool:
        return self._days.size > 0

    def totals(self, first: date, last: date, category: int | None = None) -> Totals:
        """The sales from ``first`` to ``last``, both included."""
        chosen = self._chosen(first, last, category)
        return self._totals(
            int(self._orders[chosen].sum()), self._revenue[chosen].sum(), int(self._returns[chosen].sum())
        )

    def by_days(self, first: date, last: date, days: int, category: int | None = None) -> list[Totals]:
        """The sales of each ``days`` days from ``first`` on. The last of these periods may be shorter."""
        chosen = self._chosen(first, last, category)
        groups = (self._days[chosen] - _number(first)) // days
        return self._grouped(chosen, groups, (_number(last) - _number(first)) // days + 1)

    def by_category(self, first: date, last: date) -> dict[int, Totals]:
        """The sales of each category that has sales in these days."""
        chosen = self._chosen(first, last, None)
        categories, groups = np.unique(self._categories[chosen], return_inverse=True)
        return dict(zip(categories.tolist(), self._grouped(chosen, groups, len(categories)), strict=True))

    def categories(self) -> list[int]:
        """All categories with sales."""
        return [int(category) for category in np.unique(self._categories)]

    def _chosen(self, first: date, last: date, category: int | None) -> NDArray[np.bool_]:
        chosen = (self._days >= _number(first)) & (self._days <= _number(last))
        return chosen if category is None else chosen & (self._categories == category)

    def _grouped(self, chosen: NDArray[np.bool_], groups: NDArray[np.int64], number: int) -> list[Totals]:
        sums = []
        for values in (self._orders, self._revenue, self._returns):
            added = np.zeros(number, dtype=values.dtype)
            np.add.at(added, groups, values[chosen])
            sums.append(added.tolist())
        return [self._totals(*values) for values in zip(*sums, strict=True)]

    def _totals(self, orders: int, revenue: Any, returns: int) -> Totals:
        return Totals(orders, Decimal(int(revenue)).scaleb(-self._scale, EXACT), returns)


def _number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _date(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)
