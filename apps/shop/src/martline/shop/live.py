"""A shop that keeps changing: new orders, users and reviews, statuses, stock, prices, and deletions.

Each change has a number, and its effect depends only on the seed and the number. The number is stored in the same
transaction as the changes, so a run continues exactly where the previous run ended, however it ended.
"""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from martline.command import Failure
from martline.shop.generation.loyalty import CENTS_OF_A_POINT, REASONS
from martline.shop.generation.numbers import Numbers
from martline.shop.generation.products import PRICE_UNITS
from martline.shop.generation.texts import texts, within
from martline.shop.generation.users import DOMAIN, FIRST_PHONES, POINTS_OF_GOLD, POINTS_OF_SILVER
from martline.shop.source import connect
from pg_to_mysql.passing import cause_of

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
MOST_AT_ONCE = 1000
"""The maximum number of changes in one transaction."""
LONGEST_PAUSE_SECONDS = 15
RECENT_ORDERS = 2000
"""How many of the last orders are searched for one whose status may change."""
# How many of a hundred changes are of each kind.
KINDS = {
    **{"order": 30, "state": 35, "stock": 12, "price": 6, "user": 7, "review": 6},
    **{"review_deletion": 2, "order_deletion": 2},
}
INDEXES = (
    "CREATE INDEX IF NOT EXISTS orderdetails_order_id ON orderdetails (order_id)",
    "CREATE INDEX IF NOT EXISTS loyaltypoints_user_id ON loyaltypoints (user_id)",
)
"""Indexes for its look-ups; without them, each deleted order and each delivery would read a whole table."""

NOW = "date_trunc('second', clock_timestamp() AT TIME ZONE 'UTC')"
STATES = """(VALUES
    ('Pending', 'Processing', 0.00, 0.92), ('Pending', 'Canceled', 0.92, 1.00),
    ('Processing', 'Shipped', 0.00, 0.96), ('Processing', 'Failed', 0.96, 1.00),
    ('Shipped', 'Delivered', 0.00, 1.00),
    ('Delivered', 'Completed', 0.00, 0.94), ('Delivered', 'Returned', 0.94, 1.00)
) AS states (earlier, later, at_least, below)"""


def _one_of(table: str, key: str, parameter: str) -> str:
    """SQL for one row of a table. The parameter, from 0 to 1, is its place between the first and last key."""
    return (
        f"SELECT * FROM {table} WHERE {key} >= (SELECT min({key})"
        f" + (%({parameter})s * (max({key}) - min({key})))::bigint FROM {table}) ORDER BY {key} LIMIT 1"
    )


STATEMENTS = {
    "order": f"""
        WITH buyer AS ({_one_of("users", "user_id", "a")}),
        bought AS (
            SELECT product.product_id, min(price) AS price, sum(quantity)::integer AS quantity,
                max(creation_date) AS created
            FROM unnest(%(many)s::float8[], %(quantities)s::integer[]) AS wanted (place, quantity),
            LATERAL ({_one_of("products", "product_id", "many").replace("%(many)s", "place")}) AS product
            GROUP BY product.product_id
        ),
        sold AS (
            UPDATE products SET stock_quantity = greatest(0, stock_quantity - quantity)
            FROM bought WHERE products.product_id = bought.product_id
        ),
        made AS (
            INSERT INTO orders (user_id, order_date, total_amount, status)
            SELECT user_id, greatest({NOW}, registration_date, (SELECT max(created) FROM bought)),
                (SELECT sum(quantity * price) FROM bought), 'Pending'
            FROM buyer WHERE EXISTS (SELECT FROM bought)
            RETURNING order_id
        )
        INSERT INTO orderdetails (order_id, product_id, quantity, price_per_unit, total_price)
        SELECT order_id, product_id, quantity, price, quantity * price FROM made, bought""",
    # A delivery gives points, a return takes them back, and the sum of all points decides the user's status.
    "state": f"""
        WITH chosen AS (
            SELECT order_id, user_id, floor(total_amount / %(amount_of_a_point)s)::integer AS points, later,
                CASE later WHEN 'Delivered' THEN greatest({NOW}, order_date) ELSE delivery_date END AS delivered
            FROM (
                SELECT * FROM orders
                WHERE order_id > (SELECT max(order_id) - (%(a)s * {RECENT_ORDERS})::bigint FROM orders) - 1
                AND status IN ('Pending', 'Processing', 'Shipped', 'Delivered') ORDER BY order_id LIMIT 1
            ) AS candidate JOIN {STATES} ON status = earlier AND %(b)s >= at_least AND %(b)s < below
        ),
        given AS (
            INSERT INTO loyaltypoints (user_id, points, reason, created_at)
            SELECT user_id, points, %(reason)s, delivered FROM chosen WHERE later = 'Delivered'
            RETURNING user_id, points
        ),
        taken AS (
            DELETE FROM loyaltypoints WHERE loyalty_id = (
                SELECT min(loyalty_id) FROM loyaltypoints AS entry JOIN chosen USING (user_id, points)
                WHERE later = 'Returned' AND reason = %(reason)s AND created_at = delivered)
            RETURNING user_id, -points AS points
        ),
        changed AS (
            SELECT user_id, points + coalesce((SELECT sum(points) FROM loyaltypoints AS entry
                WHERE entry.user_id = change.user_id), 0) AS points
            FROM (SELECT * FROM given UNION ALL SELECT * FROM taken) AS change
        ),
        followed AS (
            UPDATE users SET loyalty_status = CASE WHEN points >= {POINTS_OF_GOLD} THEN 'Gold'
                WHEN points >= {POINTS_OF_SILVER} THEN 'Silver' ELSE 'Bronze' END
            FROM changed WHERE users.user_id = changed.user_id
        )
        UPDATE orders SET status = later, delivery_date = delivered
        FROM chosen WHERE orders.order_id = chosen.order_id""",
    "stock": f"""
        UPDATE products SET stock_quantity = products.stock_quantity + 1 + (%(b)s * 100)::integer
        FROM ({_one_of("products", "product_id", "a")}) AS chosen
        WHERE products.product_id = chosen.product_id""",
    "price": f"""
        UPDATE products
        SET price = least(9999999, greatest(0.01, products.price * (0.9 + 0.2 * %(b)s::numeric)))
        FROM ({_one_of("products", "product_id", "a")}) AS chosen
        WHERE products.product_id = chosen.product_id""",
    "user": f"""
        INSERT INTO users
            (user_id, first_name, last_name, email, phone, registration_date, loyalty_status)
        SELECT id, %(first)s, %(last)s, %(address)s || id || '@{DOMAIN}', %(phone)s, {NOW}, 'Bronze'
        FROM (SELECT nextval(pg_get_serial_sequence('users', 'user_id')) AS id) AS next""",
    "review": f"""
        INSERT INTO reviews (user_id, product_id, rating, review_text, created_at)
        SELECT user_id, product_id, %(rating)s, %(text)s, greatest({NOW}, delivery_date)
        FROM (
            SELECT user_id, product_id, delivery_date FROM orderdetails JOIN orders USING (order_id)
            WHERE delivery_date IS NOT NULL AND order_detail_id >= (
                SELECT min(order_detail_id) + (%(a)s * (max(order_detail_id) - min(order_detail_id)))::bigint
                FROM orderdetails)
            ORDER BY order_detail_id LIMIT 1
        ) AS purchase""",
    "review_deletion": f"""
        DELETE FROM reviews USING ({_one_of("reviews", "review_id", "a")}) AS chosen
        WHERE reviews.review_id = chosen.review_id""",
    # Only its details reference an order that was never delivered.
    "order_deletion": f"""
        WITH chosen AS (
            SELECT order_id FROM orders, (
                SELECT min(order_id) + (%(a)s * (max(order_id) - min(order_id)))::bigint AS place FROM orders
            ) AS start
            WHERE order_id BETWEEN place AND place + {RECENT_ORDERS} AND status IN ('Canceled', 'Failed')
            ORDER BY order_id LIMIT 1
        ),
        details AS (DELETE FROM orderdetails USING chosen WHERE orderdetails.order_id = chosen.order_id)
        DELETE FROM orders USING chosen WHERE orders.order_id = chosen.order_id""",
}


@dataclass(frozen=True)
class Change:
    """A change: its kind and the parameters of its statement."""

    kind: str
    parameters: dict[str, Any]


class Changes:
    """Changes by their numbers."""

    def __init__(self, seed: int, locale: str) -> None:
        self._numbers = Numbers(seed)
        self._texts = texts(locale)
        self._phones = FIRST_PHONES[locale[:2]]
        self._points = {
            "amount_of_a_point": CENTS_OF_A_POINT * PRICE_UNITS[locale] // 100,
            "reason": REASONS[locale[:2]][0],
        }
        self._kinds = [kind for kind, weight in KINDS.items() for _ in range(weight)]

    def at(self, number: int) -> Change:
        """The change with this number."""
        row = np.array([number], dtype=np.int64)
        draw = [float(self._numbers.fraction(f"live {column}", row)[0]) for column in range(5)]
        kind = self._kinds[int(draw[0] * len(self._kinds))]
        parameters: dict[str, Any] = {"a": draw[1], "b": draw[2]}
        if kind == "order":
            count = 1 + int(draw[2] * 4)
            # Squared, so that some products sell more than others.
            places = self._numbers.fraction("live products", row * 4 + np.arange(count)) ** 2
            parameters |= {"many": places.tolist(), "quantities": [1 + int(draw[3] * 3)] * count}
        elif kind == "state":
            parameters |= self._points
        elif kind == "user":
            parameters |= self._person(draw)
        elif kind == "review":
            rating, opening = 1 + int(draw[2] * 5), int(draw[3] * self._texts.openings_of_rating)
            text = self._texts.review(*np.array([[rating], [opening], [int(draw[4] * len(self._texts.texts))]]))
            parameters |= {"rating": rating, "text": text[0].as_py()}
        return Change(kind, parameters)

    def _person(self, draw: list[float]) -> dict[str, str]:
        pools = self._texts
        sex = np.array([int(draw[1] * 2)])
        [first] = within(pools.first_starts, sex, np.array([draw[2]]))
        [last] = within(pools.last_starts, sex, np.array([draw[3]]))
        prefix, first_phone, phones = self._phones
        return {
            "first": pools.first_names[first].as_py(),
            "last": pools.last_names[last].as_py(),
            "address": f"{pools.first_names_latin[first]}.{pools.last_names_latin[last]}",
            "phone": f"{prefix}{first_phone + int(draw[4] * phones)}",
        }


class Live:
    """Makes changes at a rate until it is told to stop; waits while PostgreSQL is down."""

    def __init__(self, seed: int, locale: str, rate: float) -> None:
        self._seed = seed
        self._rate = rate
        self._changes = Changes(seed, locale)
        self.made: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Change the shop until ``stop`` is set."""
        pause = 1.0
        while not stop.is_set():
            try:
                with connect() as connection:
                    position = self._position(connection)
                    log.info(
                        "continuing with change %d of seed %d, %g changes a second",
                        position,
                        self._seed,
                        self._rate,
                    )
                    pause = 1.0
                    self._go_on(connection, position, stop)
            except (psycopg.Error, Failure) as error:
                if (cause := cause_of(error)) is None:
                    raise
                log.warning("%s: trying again in %g s", cause.sentence, pause)
                stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _go_on(self, connection: psycopg.Connection, position: int, stop: threading.Event) -> None:
        started, first = time.monotonic(), position
        while not stop.wait(TICK_SECONDS):
            due = first + int((time.monotonic() - started) * self._rate) - position
            if due > 0:
                position += self._make(connection, position, min(due, MOST_AT_ONCE))

    def _make(self, connection: psycopg.Connection, position: int, count: int) -> int:
        """Make this many changes in one transaction."""
        changes = [self._changes.at(number) for number in range(position, position + count)]
        with connection.transaction(), connection.cursor() as cursor:
            moved = cursor.execute(
                "UPDATE shop.live_changes SET next_change = next_change + %s"
                " WHERE seed = %s AND next_change = %s",
                [count, self._seed, position],
            )
            if moved.rowcount != 1:
                raise Failure(
                    f"Another run makes the changes of seed {self._seed}: stop that run, or choose another --seed"
                )
            with connection.pipeline():
                for change in changes:
                    cursor.execute(STATEMENTS[change.kind], change.parameters)
        self.made.update(change.kind for change in changes)
        return count

    def _position(self, connection: psycopg.Connection) -> int:
        with connection.transaction():
            for index in INDEXES:
                connection.execute(index)
            connection.execute(
                "INSERT INTO shop.live_changes VALUES (%s, 0) ON CONFLICT (seed) DO NOTHING", [self._seed]
            )
            row = connection.execute(
                "SELECT next_change FROM shop.live_changes WHERE seed = %s", [self._seed]
            ).fetchone()
        return int(row[0]) if row else 0
