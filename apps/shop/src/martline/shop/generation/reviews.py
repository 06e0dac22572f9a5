"""The rows of ``reviews``, written by users who bought the product, after its delivery."""

import numpy as np
import pyarrow as pa

from martline.shop.generation.calendar import DAY
from martline.shop.generation.columns import Column, moments, whole
from martline.shop.generation.numbers import Integers, Numbers, Rows
from martline.shop.generation.orders import Orders
from martline.shop.generation.plan import Plan
from martline.shop.generation.spread import parts, spread
from martline.shop.generation.texts import texts

WRITTEN_WITHIN = 30 * DAY
# For each quality of a product, the percentages of reviews with fewer than 2, 3, 4 and 5 stars.
RATINGS_BELOW = np.array(
    [
        (40, 65, 82, 94),
        (26, 48, 70, 88),
        (17, 34, 58, 82),
        (11, 23, 45, 74),
        (7, 15, 33, 65),
        (4, 9, 22, 55),
        (2, 5, 14, 43),
        (1, 3, 8, 30),
    ]
)


class Reviews:
    """Reviews by their numbers. Every purchase is reviewed once before any is reviewed again."""

    def __init__(self, plan: Plan, orders: Orders) -> None:
        self.count = plan.sizes.reviews
        self.first_id = plan.first_ids["reviews"]
        self._orders = orders
        self._numbers = Numbers(plan.seed)
        self._texts = texts(plan.locale)

    def columns(self, rows: Rows) -> dict[str, Column]:
        """The table's columns."""
        users, products, delivered = self._purchases(rows)
        ratings = self._ratings(rows, products)
        below = self._numbers.below
        waited = (self._numbers.fraction("reviews.created_at", rows) * WRITTEN_WITHIN).astype(np.int64)
        opening = below("reviews.opening", rows, self._texts.openings_of_rating)
        text = below("reviews.text", rows, len(self._texts.texts))
        return {
            "review_id": whole(rows + self.first_id),
            "user_id": whole(users + self._orders.users.first_id),
            "product_id": whole(products + self._orders.products.first_id),
            "rating": whole(ratings, pa.int16()),
            "review_text": self._texts.review(ratings, opening, text),
            "created_at": moments(np.minimum(delivered + waited, self._orders.end - 1)),
        }

    def _purchases(self, rows: Rows) -> tuple[Rows, Rows, Integers]:
        """For each review, the user, the product and the moment of delivery of the purchase."""
        numbers = spread(rows, self.count, self._orders.totals.purchases)
        users, products, delivered = parts(numbers, self._orders.totals.purchases, self._orders.purchases)
        return users, products, delivered

    def _ratings(self, rows: Rows, products: Rows) -> Integers:
        hundredths = self._numbers.below("reviews.rating", rows, 100)
        limits = RATINGS_BELOW[self._orders.products.quality(products)]
        ratings: Integers = 1 + (hundredths[:, None] >= limits).sum(axis=1)
        return ratings
