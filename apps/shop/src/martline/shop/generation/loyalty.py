"""The rows of ``loyaltypoints``: points for orders that were kept, then gifts to any user."""

import numpy as np
import pyarrow as pa

from martline.shop.generation.columns import Column, chosen, moments, whole
from martline.shop.generation.numbers import Integers, Numbers, Rows
from martline.shop.generation.orders import Orders
from martline.shop.generation.plan import Plan
from martline.shop.generation.products import PRICE_UNITS
from martline.shop.generation.spread import spread
from martline.shop.generation.users import Users

CENTS_OF_A_POINT = 1000
REASONS = {
    "en": ("purchase", "birthday", "referral", "promotion"),
    "ru": ("покупка", "день рождения", "друг", "акция"),
}
GIFTS = np.array([10, 20, 50, 100])


class Loyalty:
    """Loyalty entries by their numbers."""

    def __init__(self, plan: Plan, users: Users, orders: Orders) -> None:
        self.count = plan.sizes.loyalty
        self.first_id = plan.first_ids["loyaltypoints"]
        self._users, self._orders = users, orders
        self._numbers = Numbers(plan.seed)
        self._reasons = REASONS[plan.language]
        self._cents_of_a_point = CENTS_OF_A_POINT * PRICE_UNITS[plan.locale]

    @property
    def for_purchases(self) -> int:
        """How many entries are for orders. They come first, and each order has at most one."""
        return min(self.count, self._orders.totals.kept)

    def points(self, rows: Rows) -> tuple[Rows, Integers, Integers, Integers]:
        """For each entry: the user, the points, the number of the reason, and the moment."""
        split = int(np.searchsorted(rows, self.for_purchases))
        halves = (self._for_purchases(rows[:split]), self._gifts(rows[split:]))
        users, points, reasons, moments = (np.concatenate(columns) for columns in zip(*halves, strict=True))
        return users, points, reasons, moments

    def columns(self, rows: Rows) -> dict[str, Column]:
        """The table's columns."""
        users, points, reasons, created = self.points(rows)
        return {
            "loyalty_id": whole(rows + self.first_id),
            "user_id": whole(users + self._users.first_id),
            "points": whole(points, pa.int32()),
            "reason": chosen(self._reasons, reasons),
            "created_at": moments(created),
        }

    def _for_purchases(self, rows: Rows) -> tuple[Rows, Integers, Integers, Integers]:
        if len(rows) == 0:
            return rows, rows, rows, rows
        users, cents, delivered = self._orders.kept(spread(rows, self.for_purchases, self._orders.totals.kept))
        return users, cents // self._cents_of_a_point, np.zeros_like(rows), delivered

    def _gifts(self, rows: Rows) -> tuple[Rows, Integers, Integers, Integers]:
        if len(rows) == 0:
            return rows, rows, rows, rows
        users = self._numbers.below("loyaltypoints.user_id", rows, self._users.count)
        registered = self._users.registered(users)
        within = self._orders.end - registered
        created = registered + self._numbers.below("loyaltypoints.created_at", rows, within)
        points = GIFTS[self._numbers.below("loyaltypoints.points", rows, len(GIFTS))]
        return (
            users,
            points,
            1 + self._numbers.below("loyaltypoints.reason", rows, len(self._reasons) - 1),
            created,
        )
