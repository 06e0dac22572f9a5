"""The data generator: rows that are consistent, and the same for the same seed."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from random import Random
from typing import Any

import psycopg
from psycopg import sql
from tqdm import tqdm

from martline.command import Failure, progress
from martline.shop.names import Names
from martline.shop.source import Lock

log = logging.getLogger(__name__)

# Users register and products appear in the first year, orders follow in the second; nothing is later than END.
START = datetime(2024, 1, 1)
YEAR = timedelta(days=365)
CATEGORIES = {
    "Electronics": ("Phones", "Laptops", "Cameras"),
    "Home": ("Kitchen", "Furniture", "Lighting"),
    "Books": ("Fiction", "Science", "Children"),
    "Одежда": ("Обувь", "Куртки", "Аксессуары"),
}
LOYALTY = ("Gold", "Silver", "Bronze")
STATUSES = ("Pending", "Completed", "Canceled", "Processing", "Shipped", "Delivered", "Returned", "Failed")
DELIVERED = {"Completed", "Delivered", "Returned"}
REASONS = ("purchase", "review", "birthday", "referral", "акция")
ORDERS_AT_ONCE = 10_000

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Sizes:
    """How many rows a batch adds; an order comes with one to five details."""

    users: int
    products: int
    orders: int
    reviews: int
    loyalty: int


def generate(connection: psycopg.Connection, sizes: Sizes, seed: int) -> dict[str, int]:
    """Add a batch of rows in one transaction, and return the number of rows by table.

    A batch is known by its seed: one that is in the database already is not added again.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.GENERATE])
        if _is_known(connection, sizes, seed):
            log.info("the batch with seed %d is there already: nothing to add", seed)
            return {}
        with progress(None, "rows", "generating") as bar:
            rows = _Batch(connection, Random(seed), seed, bar).add(sizes)
        connection.execute(
            "INSERT INTO shop.generated_batches VALUES (%s, %s)", [seed, json.dumps(asdict(sizes))]
        )
    return rows


def _is_known(connection: psycopg.Connection, sizes: Sizes, seed: int) -> bool:
    known = connection.execute("SELECT sizes FROM shop.generated_batches WHERE seed = %s", [seed]).fetchone()
    if known and known[0] != asdict(sizes):
        raise Failure(f"Seed {seed} has been used for a batch of other sizes ({known[0]}): choose another seed")
    return known is not None


class _Batch:
    """Writes one batch; every choice comes from one generator, in a fixed order."""

    def __init__(self, connection: psycopg.Connection, random: Random, seed: int, bar: "tqdm[Any]") -> None:
        self._connection = connection
        self._random = random
        self._seed = seed
        self._bar = bar
        self._names = Names.seeded(random)
        self._rows: dict[str, int] = {}

    def add(self, sizes: Sizes) -> dict[str, int]:
        self._add_users(sizes.users)
        self._add_categories()
        self._add_products(sizes.products)
        self._add_orders(sizes.orders)
        self._add_reviews(sizes.reviews)
        self._add_loyalty(sizes.loyalty)
        return self._rows

    def _add_users(self, count: int) -> None:
        first = self._take_ids("users", "user_id", count)
        choice = self._random.choice
        self._copy(
            "users",
            ("user_id", "first_name", "last_name", "email", "phone", "registration_date", "loyalty_status"),
            (
                (
                    *(first + number, choice(self._names.first), choice(self._names.last)),
                    *(f"user{number}.{self._seed}@example.com", f"+7{self._random.randrange(10**10):010d}"),
                    *(self._moment(START, START + YEAR), choice(LOYALTY)),
                )
                for number in range(count)
            ),
        )

    def _add_categories(self) -> None:
        """The category tree is the same for every batch, so that it is added once; any other is left as it is."""
        # A row is asked for what it holds: one of no columns is an empty tuple, which is false.
        if self._column("SELECT EXISTS (SELECT FROM productcategories)") == [True]:
            return
        count = len(CATEGORIES) + sum(map(len, CATEGORIES.values()))
        first = self._take_ids("productcategories", "category_id", count)
        rows: list[Row] = []
        for parent, children in CATEGORIES.items():
            parent_id = first + len(rows)
            rows.append((parent_id, parent, None))
            rows += [(parent_id + 1 + position, child, parent_id) for position, child in enumerate(children)]
        self._copy("productcategories", ("category_id", "name", "parent_category_id"), rows)

    def _add_products(self, count: int) -> None:
        if count == 0:
            return
        first = self._take_ids("products", "product_id", count)
        leaves = self._column(
            "SELECT category_id FROM productcategories leaf WHERE NOT EXISTS"
            " (SELECT FROM productcategories WHERE parent_category_id = leaf.category_id) ORDER BY 1"
        )
        if not leaves:
            raise Failure("Products need a category that is no other's parent: add one to productcategories")
        choice = self._random.choice
        self._copy(
            "products",
            ("product_id", "name", "description", "category_id", "price", "stock_quantity", "creation_date"),
            (
                (
                    *(first + number, f"{choice(self._names.products)} {choice(self._names.products)}"),
                    *(
                        choice(self._names.sentences),
                        choice(leaves),
                        Decimal(self._random.randint(100, 5_000_000)) / 100,
                    ),
                    *(self._random.randrange(1000), self._moment(START, START + YEAR)),
                )
                for number in range(count)
            ),
        )

    def _add_orders(self, count: int) -> None:
        if count == 0:
            return
        users = self._column("SELECT user_id FROM users ORDER BY 1")
        products = self._connection.execute("SELECT product_id, price FROM products ORDER BY 1").fetchall()
        if not users or not products:
            raise Failure("Orders need users and products: generate some of both first")
        for start in range(0, count, ORDERS_AT_ONCE):
            self._add_some_orders(min(ORDERS_AT_ONCE, count - start), users, products)

    def _add_some_orders(self, count: int, users: Sequence[int], products: Sequence[Row]) -> None:
        first_order = self._take_ids("orders", "order_id", count)
        orders: list[Row] = []
        details: list[Row] = []
        for order in range(first_order, first_order + count):
            bought = self._random.choices(products, k=self._random.randint(1, 5))
            total = Decimal(0)
            for product, price in bought:
                quantity = self._random.randint(1, 4)
                total += quantity * price
                details.append((order, product, quantity, price, quantity * price))
            orders.append(self._order(order, self._random.choice(users), total))
        first_detail = self._take_ids("orderdetails", "order_detail_id", len(details))
        self._copy(
            "orders", ("order_id", "user_id", "order_date", "total_amount", "status", "delivery_date"), orders
        )
        self._copy(
            "orderdetails",
            ("order_detail_id", "order_id", "product_id", "quantity", "price_per_unit", "total_price"),
            ((first_detail + position, *line) for position, line in enumerate(details)),
        )

    def _order(self, order: int, user: int, total: Decimal) -> Row:
        ordered = self._moment(START + YEAR, START + 2 * YEAR)
        status = self._random.choice(STATUSES)
        delivered = self._moment(ordered, ordered + timedelta(days=14)) if status in DELIVERED else None
        return (order, user, ordered, total, status, delivered)

    def _add_reviews(self, count: int) -> None:
        """Reviews by users for products that they bought, written after the order."""
        if count == 0:
            return
        purchases = self._connection.execute(
            "SELECT user_id, product_id, order_date FROM orders JOIN orderdetails USING (order_id)"
            " ORDER BY order_detail_id"
        ).fetchall()
        if not purchases:
            raise Failure("Reviews need purchases: generate some orders first")
        first = self._take_ids("reviews", "review_id", count)
        self._copy(
            "reviews",
            ("review_id", "user_id", "product_id", "rating", "review_text", "created_at"),
            (
                (
                    *(first + number, user, product, self._random.randint(1, 5)),
                    *(
                        self._random.choice(self._names.sentences),
                        self._moment(bought, bought + timedelta(days=60)),
                    ),
                )
                for number, (user, product, bought) in enumerate(self._random.choices(purchases, k=count))
            ),
        )

    def _add_loyalty(self, count: int) -> None:
        if count == 0:
            return
        users = self._connection.execute("SELECT user_id, registration_date FROM users ORDER BY 1").fetchall()
        if not users:
            raise Failure("Loyalty entries need users: generate some first")
        first = self._take_ids("loyaltypoints", "loyalty_id", count)
        self._copy(
            "loyaltypoints",
            ("loyalty_id", "user_id", "points", "reason", "created_at"),
            (
                (
                    *(first + number, user, self._random.randint(-50, 500), self._random.choice(REASONS)),
                    self._moment(registered, registered + YEAR),
                )
                for number, (user, registered) in enumerate(self._random.choices(users, k=count))
            ),
        )

    def _moment(self, earliest: datetime, latest: datetime) -> datetime:
        return earliest + timedelta(seconds=self._random.randrange(int((latest - earliest).total_seconds())))

    def _column(self, query: str) -> list[Any]:
        return [value for (value,) in self._connection.execute(sql.SQL(query)).fetchall()]

    def _take_ids(self, table: str, column: str, count: int) -> int:
        """Take a run of ids from the table's own sequence, and return its first."""
        row = self._connection.execute(
            "SELECT nextval(s), setval(s, currval(s) + greatest(%s - 1, 0))"
            " FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS s) AS sequence",
            [count, table, column],
        ).fetchone()
        if row is None:
            raise Failure(f"The column {column} of {table} has no sequence: run shop-init on an empty database")
        return int(row[0])

    def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for rows_at_once in _chunks(rows, 1000):
                for row in rows_at_once:
                    copy.write_row(row)
                self._rows[table] = self._rows.get(table, 0) + len(rows_at_once)
                self._bar.update(len(rows_at_once))


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk
