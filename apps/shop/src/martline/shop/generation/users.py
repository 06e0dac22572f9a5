"""The rows of ``users``, in the order of their registration."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from martline.shop.generation.calendar import arrivals_calendar
from martline.shop.generation.columns import Column, chosen, joined, moments, whole
from martline.shop.generation.numbers import Integers, Numbers, Rows
from martline.shop.generation.plan import YEARS, Plan
from martline.shop.generation.popularity import Exponent, Popularity
from martline.shop.generation.texts import texts, within

LOYALTY = ("Bronze", "Silver", "Gold")
POINTS_OF_SILVER, POINTS_OF_GOLD = 250, 1000
DOMAIN = "example.com"
FIRST_PHONES = {"en": ("+1", 2 * 10**9, 8 * 10**9), "ru": ("+7", 9 * 10**9, 10**9)}
"""For each language: the country's prefix, the first phone number, and how many numbers there are."""


def loyalty_statuses(points: Integers) -> NDArray[np.uint8]:
    """The statuses that these numbers of points give, as positions in ``LOYALTY``."""
    return (points >= POINTS_OF_SILVER).astype(np.uint8) + (points >= POINTS_OF_GOLD)


class Users:
    """Users by their numbers."""

    def __init__(self, plan: Plan) -> None:
        self.count = plan.sizes.users
        self.first_id = plan.first_ids["users"]
        self._numbers = Numbers(plan.seed)
        self._calendar = arrivals_calendar(plan.until, YEARS)
        self._texts = texts(plan.locale)
        self._phone_prefix, self._first_phone, self._phones = FIRST_PHONES[plan.language]
        self._activity: Popularity | None = None

    def registered(self, rows: Rows) -> Integers:
        """When the users registered."""
        jitter = self._numbers.below("users.registration_date", rows, self._calendar.total)
        return self._calendar.moments(rows, self.count, jitter)

    def choose(self, column: str, rows: Rows, at: Integers) -> Rows:
        """For each row, a user who had registered by that moment, chosen by Zipf's law."""
        if self._activity is None:
            self._activity = Popularity(self._numbers, "users", self.count, Exponent.THREE_QUARTERS)
        return self._activity.choose(column, rows, self._calendar.rows_until(at, self.count))

    def columns(self, rows: Rows, statuses: NDArray[np.uint8]) -> dict[str, Column]:
        """The table's columns; ``statuses`` contains those of all users."""
        pools, below = self._texts, self._numbers.below
        of_women = below("users.sex", rows, 2)
        first = within(pools.first_starts, of_women, self._numbers.fraction("users.first_name", rows))
        last = within(pools.last_starts, of_women, self._numbers.fraction("users.last_name", rows))
        ids = whole(rows + self.first_id)
        phones = whole(self._first_phone + below("users.phone", rows, self._phones))
        name = joined(chosen(pools.first_names_latin, first), chosen(pools.last_names_latin, last), separator=".")
        return {
            "user_id": ids,
            "first_name": chosen(pools.first_names, first),
            "last_name": chosen(pools.last_names, last),
            "email": joined(name, ids, f"@{DOMAIN}"),  # the id makes it unique
            "phone": joined(self._phone_prefix, phones),
            "registration_date": moments(self.registered(rows)),
            "loyalty_status": chosen(pa.array(LOYALTY), statuses[rows].astype(np.int64)),
        }
