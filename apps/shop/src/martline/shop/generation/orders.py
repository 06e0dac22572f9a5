"""The rows of ``orders`` and ``orderdetails``, in chronological order."""

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
# Cumulative percentages of the orders that are canceled, that fail and that are returned.
CANCELED_BELOW, FAILED_BELOW, RETURNED_BELOW = 9, 13, 19
DELIVERY_AT_LEAST, DELIVERY_MORE = 20 * HOUR, 12 * DAY
COMPLETED_AFTER, RETURNED_AFTER = 14 * DAY, 3 * DAY
MOST_DETAILS = 5
# Cumulative percentages of the orders with 1, 2, 3 … details, and of the details with 1, 2, 3 … pieces.
DETAILS_BELOW = np.array([34, 60, 80, 92, 100])
QUANTITY_BELOW = np.array([70, 88, 96, 100])
BLOCK = 1024
"""How many orders the :class:`Index` counts together."""


@dataclass(frozen=True)
class Progress:
    """The state of orders at the end of the last day."""

    ordered: Integers
    status: Integers
    delivered: Integers
    """The moments of delivery; valid only where ``is_delivered`` is true."""
    is_delivered: NDArray[np.bool_]

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """Whether the order was delivered and not returned. Only such orders give points."""
        kept: NDArray[np.bool_] = self.is_delivered & (self.status != RETURNED)
        return kept


@dataclass(frozen=True)
class Details:
    """The details of orders, a row for each order and ``MOST_DETAILS`` columns; ``there`` marks those in use."""

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
    """Counts over all orders."""

    details: int
    purchases: int
    """Details of delivered orders."""
    kept: int
    """Orders that were delivered and not returned."""


@dataclass(frozen=True)
class Index:
    """The same counts before each block of orders, and the totals at the end. Takes 24 bytes a block."""

    details: Integers
    purchases: Integers
    kept: Integers

    @classmethod
    def of(cls, counted: Iterable[Integers]) -> "Index":
        """The index for the counts of the blocks, in order."""
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
        """The end of the last day. Everything happens before it."""
        return self._calendar.end

    def progress(self, rows: Rows) -> Progress:
        """When the orders were made, and their state at the end of the last day."""
        jitter = self._numbers.below("orders.order_date", rows, self._calendar.total)
        ordered = self._calendar.moments(rows, self.count, jitter)
        slowness = self._numbers.fraction("orders.delivery_date", rows)
        taking = DELIVERY_AT_LEAST + (slowness * slowness * DELIVERY_MORE).astype(np.int64)
        delivered, age = ordered + taking, self.end - ordered
        # The first order is always kept, so that even a shop with one order has a purchase to review.
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
        """The details of orders that were made at these moments."""
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
        """The users who made the orders."""
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
        """The columns of ``orderdetails``, for consecutive rows."""
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
        """For purchases by their numbers: the users, the products, and the moments of delivery."""
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
        """For kept orders by their numbers: the users, the totals in cents, and the moments of delivery."""
        rows, skipped = self._blocks_with(self.known_index.kept, numbers)
        progress = self.progress(rows)
        found = np.flatnonzero(progress.is_kept)[numbers - numbers[0] + skipped]
        orders, ordered = rows[found], progress.ordered[found]
        return self.of_user(orders, ordered), self.details(orders, ordered).totals, progress.delivered[found]

    @property
    def totals(self) -> Totals:
        """The counts over all orders."""
        index = self.known_index
        return Totals(int(index.details[-1]), int(index.purchases[-1]), int(index.kept[-1]))

    @property
    def known_index(self) -> Index:
        """The index; computed here if it was not given."""
        if self.index is None:
            self.index = Index.of([self.count_blocks(0, self.blocks)] if self.count else [])
        return self.index

    @property
    def blocks(self) -> int:
        """How many blocks of orders there are."""
        return -(-self.count // BLOCK)

    def _blocks_with(self, sums: Integers, numbers: Integers) -> tuple[Rows, int]:
        """The orders of the blocks in which the items with these numbers are.

        ``sums`` is the column of the index that counts these items. Also returns how many items the blocks have
        before the first number.
        """
        first, last = int(numbers.min()), int(numbers.max())
        first_block = int(np.searchsorted(sums, first, side="right")) - 1
        end_block = int(np.searchsorted(sums, last, side="right"))
        rows = np.arange(first_block * BLOCK, min(end_block * BLOCK, self.count), dtype=np.int64)
        return rows, first - int(sums[first_block])

    def count_blocks(self, first: int, end: int) -> Integers:
        """Columns of counts for the blocks from ``first`` to before ``end``: details, purchases, kept orders."""
        rows = np.arange(first * BLOCK, min(end * BLOCK, self.count), dtype=np.int64)
        progress = self.progress(rows)
        counts = self.details_count(rows, progress.ordered)
        starts = np.arange(0, len(rows), BLOCK)
        counted = (counts, np.where(progress.is_delivered, counts, 0), progress.is_kept.astype(np.int64))
        return np.stack([np.add.reduceat(values, starts) for values in counted], axis=1)

    def details_count(self, rows: Rows, ordered: Integers) -> Integers:
        """How many details each order has."""
        return np.minimum(self._details_count(rows), self.products.there_at(ordered))

    def _details_count(self, rows: Rows) -> Integers:
        parts = self._numbers.below("orders.details", rows, 100)
        return 1 + np.searchsorted(DETAILS_BELOW, parts, side="right")


def _part_equals(products: Rows, there: NDArray[np.bool_], among: Integers) -> None:
    """Replace a product that an order already contains by the next product that it does not contain."""
    for number in range(1, MOST_DETAILS):
        orders = np.flatnonzero(there[:, number])
        while True:
            earlier = products[orders, :number] == products[orders, number][:, None]
            orders = orders[earlier.any(axis=1)]
            if len(orders) == 0:
                break
            products[orders, number] = (products[orders, number] + 1) % among[orders]
