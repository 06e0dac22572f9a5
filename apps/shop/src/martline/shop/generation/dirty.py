"""Rows with known defects, for testing checks: the same number of each kind, after the batch's own rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from martline.shop.generation.numbers import Numbers
from martline.shop.generation.schemas import KEYS, SCHEMAS
from martline.shop.generation.shop import Shop

Row = dict[str, Any]
CENTURY = timedelta(days=36_525)
NOBODY = 10**9
"""How far beyond the last id the missing parent of an orphan is."""


@dataclass(frozen=True)
class Defects:
    """The rows of one kind of defect, with consecutive ids, and the order details that belong to them."""

    kind: str
    table: str
    rows: list[Row]
    details: list[Row]

    def as_result(self) -> dict[str, Any]:
        """Where the rows are, as JSON."""
        return {"table": self.table, "first_id": self.rows[0][KEYS[self.table]], "rows": len(self.rows)}


def defects(shop: Shop, count: int, *, forbidden: bool) -> list[Defects]:
    """``count`` rows of each kind; ``forbidden`` adds the kinds that PostgreSQL's constraints refuse."""
    return _Dirt(shop, count).make(forbidden=forbidden) if count else []


def extra_rows(count: int) -> dict[str, int]:
    """How many ids of each table are needed for the defects that PostgreSQL accepts."""
    return {
        "users": 2 * count,
        "products": count,
        "orders": 4 * count,
        "orderdetails": 3 * count,
        "reviews": count,
    }


def rows_of(found: Sequence[Defects], table: str) -> Iterator[pa.RecordBatch]:
    """The defects' rows in a table."""
    rows = [row for kind in found for row in (kind.rows if kind.table == table else [])]
    rows += [row for kind in found for row in (kind.details if table == "orderdetails" else [])]
    if rows:
        yield pa.RecordBatch.from_pylist(rows, SCHEMAS[table])


def as_result(found: Sequence[Defects]) -> dict[str, Any]:
    """Where the defects are, by kind, under the key ``defects``; empty if there are none."""
    return {"defects": {kind.kind: kind.as_result() for kind in found}} if found else {}


class _Dirt:
    def __init__(self, shop: Shop, count: int) -> None:
        self._shop = shop
        self._count = count
        self._numbers = Numbers(shop.plan.seed)
        self._next = {table: shop.plan.first_ids[table] + shop.count(table) for table in KEYS}
        self._until = datetime.combine(shop.plan.until, datetime.min.time())

    def make(self, *, forbidden: bool) -> list[Defects]:
        strangers = self._kind("duplicate_user", "users", self._duplicate_user)
        made = [
            strangers,
            self._kind("registered_in_the_future", "users", self._future_user),
            self._kind("duplicate_product", "products", lambda number: self._sound("products", number)),
            self._kind("order_before_registration", "orders", self._early_order, details=True),
            self._kind("order_without_details", "orders", lambda number: self._sound("orders", number)),
            self._kind("total_is_not_the_sum", "orders", self._wrong_total, details=True, wrong=Decimal(1)),
            self._kind("delivered_without_a_date", "orders", self._undated, details=True),
            # Nobody has bought anything under a duplicate user's id.
            self._kind(
                "review_without_a_purchase",
                "reviews",
                lambda number: self._review(strangers.rows[number]["user_id"], number, 1),
            ),
        ]
        return made + (self._forbidden() if forbidden else [])

    def _forbidden(self) -> list[Defects]:
        first_user = self._shop.plan.first_ids["users"]
        return [
            self._kind("orphan_order", "orders", self._orphan_order),
            self._kind("orphan_detail", "orderdetails", self._orphan_detail),
            self._kind("rating_out_of_range", "reviews", lambda number: self._review(first_user, number, 7)),
            self._kind("delivered_before_ordered", "orders", self._delivered_early),
            self._kind(
                "duplicate_key", "products", lambda number: self._sound("products", number), own_ids=False
            ),
        ]

    def _kind(
        self,
        kind: str,
        table: str,
        make: Callable[[int], Row],
        *,
        details: bool = False,
        wrong: Decimal = Decimal(0),
        own_ids: bool = True,
    ) -> Defects:
        rows = [make(number) for number in range(self._count)]
        if own_ids:
            rows = [{**row, KEYS[table]: self._take(table)} for row in rows]
        lines = [self._detail(row, row["total_amount"] - wrong) for row in rows] if details else []
        return Defects(kind, table, rows, lines)

    def _take(self, table: str) -> int:
        self._next[table] += 1
        return self._next[table] - 1

    def _sound(self, table: str, number: int) -> Row:
        """One of the batch's own rows, chosen at random."""
        numbers = np.array([number], dtype=np.int64)
        row = int(self._numbers.below(f"dirty {table}", numbers, self._shop.count(table))[0])
        rows: list[Row] = self._shop.rows(table, row, row + 1).to_pylist()
        return rows[0]

    def _duplicate_user(self, number: int) -> Row:
        """The same person again. The unique key accepts the address, because its spelling differs."""
        user = self._sound("users", number)
        return {**user, "email": user["email"].upper().replace("@", f"+{number}@")}

    def _future_user(self, number: int) -> Row:
        user = self._duplicate_user(self._count + number)
        return {**user, "phone": None, "registration_date": self._until + CENTURY}

    def _early_order(self, number: int) -> Row:
        order = self._sound("orders", number)
        early = order["order_date"] - CENTURY
        return {**order, "order_date": early, "status": "Completed", "delivery_date": early + timedelta(days=2)}

    def _wrong_total(self, number: int) -> Row:
        order = self._sound("orders", number)
        return {**order, "total_amount": order["total_amount"] + 1}

    def _undated(self, number: int) -> Row:
        return {**self._sound("orders", number), "status": "Delivered", "delivery_date": None}

    def _orphan_order(self, number: int) -> Row:
        return {**self._sound("orders", number), "user_id": self._next["users"] + NOBODY + number}

    def _orphan_detail(self, number: int) -> Row:
        return {**self._sound("orderdetails", number), "order_id": self._next["orders"] + NOBODY + number}

    def _delivered_early(self, number: int) -> Row:
        order = self._sound("orders", number)
        return {**order, "delivery_date": order["order_date"] - timedelta(days=1)}

    def _review(self, user: int, number: int, rating: int) -> Row:
        product = self._sound("products", number)
        return {
            "user_id": user,
            "product_id": product["product_id"],
            "rating": rating,
            "review_text": None,
            "created_at": self._until,
        }

    def _detail(self, order: Row, total: Decimal) -> Row:
        product = int(self._shop.plan.first_ids["products"])
        return {
            "order_detail_id": self._take("orderdetails"),
            "order_id": order["order_id"],
            "product_id": product,
            "quantity": 1,
            "price_per_unit": total,
            "total_price": total,
        }
