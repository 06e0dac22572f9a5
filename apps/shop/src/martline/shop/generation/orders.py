"""The rows of ``orders`` and ``orderdetails``, in the order of time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from martline.shop.generation.calendar import DAY, HOUR, orders_calendar
from martline.shop.generation.columns import AMOUNT, PRICE, Column, chosen, moments, money, whole
from martline.shop.generation.numbers import Integers, Numbers, Rows
from martline.shop.generation.plan import YEARS, Plan
from martline.shop.generation.products import Products
from martline.shop.generation.users import Users

STATUSES = ("Pending", "Processing", "Shipped", "Delivered", "Completed", "Returned", "Canceled", "Failed")
PENDING, PROCESSING, SHIPPED, DELIVERED, COMPLETED, RETURNED, CANCELED, FAILED = range(len(STATUSES))
# Of a hundred orders, so many are canceled, fail, are sent back.
CANCELED_BELOW, FAILED_BELOW, RETURNED_BELOW = 9, 13, 19
DELIVERY_AT_LEAST, DELIVERY_MORE = 20 * HOUR, 12 * DAY
COMPLETED_AFTER, RETURNED_AFTER = 14 * DAY, 3 * DAY
MOST_DETAILS = 5
# Of a hundred orders and details, those with 1, 2, 3 … details and pieces.
DETAILS_BELOW = np.array([34, 60, 80, 92, 100])
QUANTITY_BELOW = np.array([70, 88, 96, 100])
BLOCK = 1024
"""Orders whose details, deliveries and points are counted together."""


@dataclass(frozen=True)
class Progress:
    """How far orders are on the last day."""

    ordered: Integers
    status: Integers
    delivered: Integers
    """When; it counts where ``is_delivered``."""
    is_delivered: NDArray[np.bool_]

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """Whether it was delivered and not sent back: these give points."""
        kept: NDArray[np.bool_] = self.is_delivered & (self.status != RETURNED)
        return kept


@dataclass(frozen=True)
class Details:
    """The details of orders as a table of ``MOST_DETAILS`` columns; ``there`` says which there are."""

    there: NDArray[np.bool_]
    products: Rows
    quantities: Integers
    cents: Integers
    """The price of a piece."""

    @property
    def totals(self) -> Integers:
        """The sum of each order, in cents."""
        totals: Integers = np.where(self.there, self.quantities * self.cents, 0).sum(axis=1)
        return totals


@dataclass(frozen=True)
class Totals:
    """How many there are in all."""

    details: int
    purchases: int
    """Details of delivered orders."""
    kept: int
    """Orders that were delivered and not sent back."""


@dataclass(frozen=True)
class Index:
    """The same before each block of orders, and over all in the end; takes 24 bytes a block."""

    details: Integers
    purchases: Integers
    kept: Integers

    @classmethod
    def of(cls, counted: Iterable[Integers]) -> "Index":
        """Of what was counted block by block."""
        blocks = np.concatenate([np.zeros((1, 3), dtype=np.int64), *counted])
        return cls(*np.cumsum(blocks, axis=0).T)


class Orders:
    """Orders by their numbers."""

    def __init__(self, plan: Plan, users: Users, products: Products) -> None:
        self.count = plan.sizes.orders
        self.first_id = plan.first_ids["orders"]
        self.first_detail_id = plan.first_ids["orderdetails"]
        self.users, self.products = users, products
        self._numbers = Numbers(plan.seed)
        self._calendar = orders_calendar(plan.until, YEARS)
        self.index: Index | None = None

    @property
    def end(self) -> int:
        """The moment after the last one at which anything has happened."""
        return self._calendar.end

    def progress(self, rows: Rows) -> Progress:
        """When they were made, and how far they are."""
        jitter = self._numbers.below("orders.order_date", rows, self._calendar.total)
        ordered = self._calendar.moments(rows, self.count, jitter)
        slowness = self._numbers.fraction("orders.delivery_date", rows)
        taking = DELIVERY_AT_LEAST + (slowness * slowness * DELIVERY_MORE).astype(np.int64)
        delivered, age = ordered + taking, self.end - ordered
        # The first order is as good as any: a shop of one order has something to review.
        fate = np.where(rows == 0, 99, self._numbers.below("orders.status", rows, 100))
        delivered_ago = self.end - delivered
        status = np.select(
            [
                age * 4 < taking,
                fate < CANCELED_BELOW,
                fate < FAILED_BELOW,
                age * 2 < taking,
                delivered_ago <= 0,
                (fate < RETURNED_BELOW) & (delivered_ago > RETURNED_AFTER),
                delivered_ago > COMPLETED_AFTER,
            ],
            [PENDING, CANCELED, FAILED, PROCESSING, SHIPPED, RETURNED, COMPLETED],
            DELIVERED,
        )
        return Progress(ordered, status, delivered, (status >= DELIVERED) & (status <= RETURNED))

    def details(self, rows: Rows, ordered: Integers) -> Details:
        """What was bought."""
        among = self.products.there_at(ordered)
        counts = np.minimum(self._details_count(rows), among)
        products = np.empty((len(rows), MOST_DETAILS), dtype=np.int64)
        quantities = np.empty_like(products)
        for number in range(MOST_DETAILS):
            products[:, number] = self.products.choose(f"orderdetails.product_id {number}", rows, among)
            parts = self._numbers.below(f"orderdetails.quantity {number}", rows, 100)
            quantities[:, number] = 1 + np.searchsorted(QUANTITY_BELOW, parts, side="right")
        there = np.arange(MOST_DETAILS) < counts[:, None]
        _part_equals(products, there, among)
        return Details(there, products, quantities, self.products.cents(products.ravel()).reshape(products.shape))

    def of_user(self, rows: Rows, ordered: Integers) -> Rows:
        """Who made them."""
        return self.users.choose("orders.user_id", rows, ordered)

    def columns(self, rows: Rows) -> dict[str, Column]:
        """The columns of ``orders``."""
        progress = self.progress(rows)
        totals = self.details(rows, progress.ordered).totals
        return {
            "order_id": whole(rows + self.first_id),
            "user_id": whole(self.of_user(rows, progress.ordered) + self.users.first_id),
            "order_date": moments(progress.ordered),
            "total_amount": money(totals),
            "status": chosen(pa.array(STATUSES), progress.status),
            "delivery_date": moments(progress.delivered, ~progress.is_delivered),
        }

    def detail_columns(self, detail_rows: Rows) -> dict[str, Column]:
        """The columns of ``orderdetails``, of rows that follow each other."""
        rows, skipped = self._blocks_with(self.known_index.details, detail_rows)
        details = self.details(rows, self.progress(rows).ordered)
        row, column = (found[skipped : skipped + len(detail_rows)] for found in np.nonzero(details.there))
        quantities, cents = details.quantities[row, column], details.cents[row, column]
        return {
            "order_detail_id": whole(detail_rows + self.first_detail_id),
            "order_id": whole(rows[row] + self.first_id),
            "product_id": whole(details.products[row, column] + self.products.first_id),
            "quantity": whole(quantities, pa.int32()),
            "price_per_unit": money(cents, PRICE),
            "total_price": money(quantities * cents, AMOUNT),
        }

    def purchases(self, numbers: Rows) -> tuple[Rows, Rows, Integers]:
        """Of delivered details by their numbers: the users, the products, and when they were delivered."""
        rows, skipped = self._blocks_with(self.known_index.purchases, numbers)
        progress = self.progress(rows)
        counts = np.where(progress.is_delivered, self.details_count(rows, progress.ordered), 0)
        ends = np.cumsum(counts)
        wanted = numbers - numbers.min() + skipped
        found = np.searchsorted(ends, wanted, side="right")
        orders, ordered = rows[found], progress.ordered[found]
        place = wanted - (ends - counts)[found]
        products = self.details(orders, ordered).products[np.arange(len(orders)), place]
        return self.of_user(orders, ordered), products, progress.delivered[found]

    def kept(self, numbers: Rows) -> tuple[Rows, Integers, Integers]:
        """Of kept orders by their numbers: the users, the totals in cents, and when they were delivered."""
        rows, skipped = self._blocks_with(self.known_index.kept, numbers)
        progress = self.progress(rows)
        found = np.flatnonzero(progress.is_kept)[numbers - numbers[0] + skipped]
        orders, ordered = rows[found], progress.ordered[found]
        return self.of_user(orders, ordered), self.details(orders, ordered).totals, progress.delivered[found]

    @property
    def totals(self) -> Totals:
        """What all orders hold together."""
        index = self.known_index
        return Totals(int(index.details[-1]), int(index.purchases[-1]), int(index.kept[-1]))

    @property
    def known_index(self) -> Index:
        """The index; it is made here where it was not given."""
        if self.index is None:
            self.index = Index.of([self.count_blocks(0, self.blocks)] if self.count else [])
        return self.index

    @property
    def blocks(self) -> int:
        """How many blocks of orders there are."""
        return -(-self.count // BLOCK)

    def _blocks_with(self, sums: Integers, numbers: Integers) -> tuple[Rows, int]:
        """The orders of the blocks that hold what is counted in ``sums``, by its numbers.

        And how much of it these blocks hold before the first number.
        """
        first, last = int(numbers.min()), int(numbers.max())
        first_block = int(np.searchsorted(sums, first, side="right")) - 1
        end_block = int(np.searchsorted(sums, last, side="right"))
        rows = np.arange(first_block * BLOCK, min(end_block * BLOCK, self.count), dtype=np.int64)
        return rows, first - int(sums[first_block])

    def count_blocks(self, first: int, end: int) -> Integers:
        """Of the blocks from ``first`` to before ``end``: details, purchases and kept orders, a column each."""
        rows = np.arange(first * BLOCK, min(end * BLOCK, self.count), dtype=np.int64)
        progress = self.progress(rows)
        counts = self.details_count(rows, progress.ordered)
        starts = np.arange(0, len(rows), BLOCK)
        counted = (counts, np.where(progress.is_delivered, counts, 0), progress.is_kept.astype(np.int64))
        return np.stack([np.add.reduceat(values, starts) for values in counted], axis=1)

    def details_count(self, rows: Rows, ordered: Integers) -> Integers:
        """How many details they have."""
        return np.minimum(self._details_count(rows), self.products.there_at(ordered))

    def _details_count(self, rows: Rows) -> Integers:
        parts = self._numbers.below("orders.details", rows, 100)
        return 1 + np.searchsorted(DETAILS_BELOW, parts, side="right")


def _part_equals(products: Rows, there: NDArray[np.bool_], among: Integers) -> None:
    """Let an order name a product once: one that it has already gives way to the next that it does not have."""
    for number in range(1, MOST_DETAILS):
        orders = np.flatnonzero(there[:, number])
        while True:
            earlier = products[orders, :number] == products[orders, number][:, None]
            orders = orders[earlier.any(axis=1)]
            if len(orders) == 0:
                break
            products[orders, number] = (products[orders, number] + 1) % among[orders]
