"""The rows of ``products`` and ``productcategories``."""

from math import exp
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from martline.shop.generation.calendar import arrivals_calendar
from martline.shop.generation.catalogue import categories, leaf_by_name
from martline.shop.generation.columns import PRICE, Column, chosen, joined, moments, money, whole
from martline.shop.generation.numbers import Integers, Numbers, Rows
from martline.shop.generation.plan import YEARS, Plan
from martline.shop.generation.popularity import Exponent, Popularity
from martline.shop.generation.texts import texts

PRICE_UNITS = {"en_US": 1, "ru_RU": 80}
"""How many units of the locale's currency one unit of the catalogue's prices is worth."""
SPREAD = 0.5
"""The standard deviation of a price's logarithm within its category."""
QUANTILES, PARTS = 4096, 10_000
QUALITIES = 8
STOCK_AT_MOST = 1000
MODELS = 1000


def log_normal() -> Integers:
    """The quantiles of the log-normal distribution with median 1, in units of 1 / ``PARTS``.

    The machine's own logarithm and exponential may be wrong in the 16th digit. This changes no entry, because
    none is that close to the middle between two integers, as a test checks.
    """
    normal = NormalDist(sigma=SPREAD)
    quantiles = ((number + 0.5) / QUANTILES for number in range(QUANTILES))
    return np.array([round(exp(normal.inv_cdf(quantile)) * PARTS) for quantile in quantiles], dtype=np.int64)


class Products:
    """Products by their numbers. Takes 8 bytes for each, once orders are made."""

    def __init__(self, plan: Plan) -> None:
        self.count = plan.sizes.products
        self.first_id = plan.first_ids["products"]
        self._numbers = Numbers(plan.seed)
        self._calendar = arrivals_calendar(plan.until, YEARS)
        self._texts = texts(plan.locale)
        leaves = [leaf_by_name(name) for _, name in plan.leaves]
        self._leaf_ids = np.array([number for number, _ in plan.leaves], dtype=np.int64)
        self._pieces = [leaf.piece for leaf in leaves]
        cents = 100 * PRICE_UNITS[plan.locale]
        self._usual_cents = np.array([leaf.price * cents for leaf in leaves], dtype=np.int64)
        self._log_normal = log_normal()
        self._popularity: Popularity | None = None

    def cents(self, rows: Rows) -> Integers:
        """The prices in cents, log-normal around the median of the category."""
        quantiles = self._numbers.below("products.price", rows, QUANTILES)
        cents: Integers = self._usual_cents[self._leaf(rows)] * self._log_normal[quantiles] // PARTS
        return np.maximum(1, cents)

    def quality(self, rows: Rows) -> Integers:
        """The quality of each product, from 0 to ``QUALITIES`` - 1."""
        return self._numbers.below("products.quality", rows, QUALITIES)

    def there_at(self, at: Integers) -> Integers:
        """How many products existed at each moment."""
        return self._calendar.rows_until(at, self.count)

    def choose(self, column: str, rows: Rows, among: Integers) -> Rows:
        """For each row, one of the first ``among`` products, chosen by Zipf's law."""
        if self._popularity is None:
            self._popularity = Popularity(self._numbers, "products", self.count, Exponent.ONE)
        return self._popularity.choose(column, rows, among)

    def columns(self, rows: Rows) -> dict[str, Column]:
        """The table's columns."""
        below, pools = self._numbers.below, self._texts
        leaf = self._leaf(rows)
        brand = chosen(pools.brands, below("products.brand", rows, len(pools.brands)))
        model = whole(below("products.model", rows, MODELS))
        jitter = below("products.creation_date", rows, self._calendar.total)
        return {
            "product_id": whole(rows + self.first_id),
            "name": joined(brand, chosen(self._pieces, leaf), model, separator=" "),
            "description": chosen(pools.texts, below("products.description", rows, len(pools.texts))),
            "category_id": whole(self._leaf_ids[leaf]),
            "price": money(self.cents(rows), PRICE),
            "stock_quantity": whole(below("products.stock", rows, STOCK_AT_MOST), pa.int32()),
            "creation_date": moments(self._calendar.moments(rows, self.count, jitter)),
        }

    def _leaf(self, rows: Rows) -> Integers:
        return self._numbers.below("products.category", rows, len(self._leaf_ids))


def category_columns(plan: Plan, rows: Rows) -> dict[str, Column]:
    """The columns of ``productcategories``."""
    tree, first = categories(plan.language), plan.first_ids["productcategories"]
    some = [tree[row] for row in rows]
    parents = [None if category.parent is None else first + category.parent for category in some]
    return {
        "category_id": whole(rows + first),
        "name": pa.array([category.name for category in some], pa.string()),
        "parent_category_id": pa.array(parents, pa.int64()),
    }
