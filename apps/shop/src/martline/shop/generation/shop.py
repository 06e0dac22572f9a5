"""The whole shop of a plan, which can make any rows of any table."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from martline.shop.generation.catalogue import categories
from martline.shop.generation.columns import Column
from martline.shop.generation.csv import pieces
from martline.shop.generation.loyalty import Loyalty
from martline.shop.generation.numbers import Integers, Rows
from martline.shop.generation.orders import Orders
from martline.shop.generation.plan import Plan
from martline.shop.generation.products import Products, category_columns
from martline.shop.generation.reviews import Reviews
from martline.shop.generation.schemas import SCHEMAS
from martline.shop.generation.users import Users, loyalty_statuses


class Shop:
    """The tables of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.users = Users(plan.earlier.get("users", plan))
        self.products = Products(plan.earlier.get("products", plan))
        self.orders = Orders(plan, self.users, self.products)
        reviewed = Shop(plan.earlier["orders"]).orders if "orders" in plan.earlier else self.orders
        self.reviews = Reviews(plan, reviewed)
        self.loyalty = Loyalty(plan, self.users, self.orders)
        self.statuses: NDArray[np.uint8] | None = None
        """The loyalty status of each user, in one byte each; None until it is known."""

    def count(self, table: str) -> int:
        """How many rows the table has."""
        sizes = self.plan.sizes
        if table == "productcategories":
            return len(categories(self.plan.language)) if self.plan.adds_categories else 0
        if table == "orderdetails":
            return self.orders.totals.details if sizes.orders else 0
        return int(getattr(sizes, "loyalty" if table == "loyaltypoints" else table))

    def rows(self, table: str, first: int, end: int) -> pa.RecordBatch:
        """The rows of a table from ``first`` to before ``end``, counted from 0."""
        make: dict[str, Callable[[Rows], dict[str, Column]]] = {
            "users": lambda rows: self.users.columns(rows, self.known_statuses()),
            "productcategories": lambda rows: category_columns(self.plan, rows),
            "products": self.products.columns,
            "orders": self.orders.columns,
            "orderdetails": self.orders.detail_columns,
            "reviews": self.reviews.columns,
            "loyaltypoints": self.loyalty.columns,
        }
        return pa.RecordBatch.from_pydict(make[table](np.arange(first, end, dtype=np.int64)), SCHEMAS[table])

    def known_statuses(self) -> NDArray[np.uint8]:
        """The statuses; computed here if they were not given."""
        if self.statuses is None:
            sums = np.zeros(self.users.count, dtype=np.int64)
            for first, end in pieces(self.loyalty.count):
                self.add_points(sums, first, end)
            self.statuses = loyalty_statuses(sums)
        return self.statuses

    def add_points(self, sums: Integers, first: int, end: int) -> None:
        """Add the points of the loyalty entries from ``first`` to before ``end`` to the users' sums."""
        users, points, _, _ = self.loyalty.points(np.arange(first, end, dtype=np.int64))
        np.add.at(sums, users, points)
