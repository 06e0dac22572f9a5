"""Each mart, computed from a few rows and compared with an answer found by hand. No server is needed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from martline.command import Failure
from martline.marts.catalogue import MARTS
from martline.marts.engines.duck import compute

MONEY = pa.decimal128(12, 2)
KINDS = {
    "users": {
        "user_id": pa.int64(),
        "first_name": pa.string(),
        "last_name": pa.string(),
        "loyalty_status": pa.string(),
        "registration_date": pa.timestamp("us"),
    },
    "orders": {
        "order_id": pa.int64(),
        "user_id": pa.int64(),
        "order_date": pa.timestamp("us"),
        "total_amount": MONEY,
        "status": pa.string(),
    },
    "orderdetails": {"order_id": pa.int64(), "product_id": pa.int64(), "total_price": MONEY},
    "products": {"product_id": pa.int64(), "name": pa.string(), "category_id": pa.int64()},
    "productcategories": {"category_id": pa.int64(), "name": pa.string()},
    "reviews": {
        "user_id": pa.int64(),
        "product_id": pa.int64(),
        "rating": pa.int64(),
        "created_at": pa.timestamp("us"),
    },
    "loyaltypoints": {"user_id": pa.int64(), "points": pa.int64(), "created_at": pa.timestamp("us")},
}
JANUARY = datetime(2026, 1, 31, 23, 59, 59, 999999)
FEBRUARY = datetime(2026, 2, 1)
MIDNIGHT_OF_A_CLOCK_CHANGE = datetime(2026, 3, 29)


def built(mart: str, **rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The mart's rows in the order of its key; tables that are not given have no rows."""
    tables = {
        table: pa.table(
            [
                pa.array([row[position] for row in rows.get(table, [])], kind)
                for position, kind in enumerate(KINDS[table].values())
            ],
            names=list(KINDS[table]),
        )
        for table in MARTS[mart].sources
    }
    computed = compute(MARTS[mart], tables)
    ordered = computed.sort_by([(name, "ascending") for name in MARTS[mart].key])
    return [tuple(row.values()) for row in ordered.to_pylist()]


def test_marts_of_no_rows_have_none() -> None:
    for mart in MARTS:
        assert built(mart) == []


def test_a_user_without_orders_has_no_scores_and_has_done_nothing() -> None:
    users = [(1, "Ada", "Byron", None, JANUARY)]

    assert built("mart_customer_rfm", users=users) == [(1, None, 0, 0, None, None, None, "No orders")]
    [(_, _, _, status, *done)] = built("mart_user_activity", users=users)
    assert status is None
    assert done == [0, 0, 0, None, 0, None, None]


def test_what_is_returned_is_no_revenue_and_is_counted_apart() -> None:
    orders = [(1, 1, JANUARY, 5, "Returned"), (2, 1, JANUARY, 7, "Delivered"), (3, 1, JANUARY, 9, "Canceled")]
    details = [(1, 1, 5), (2, 1, 3), (2, 1, 4), (3, 1, 9)]

    sold = built("mart_sales_daily", orders=orders, orderdetails=details, products=[(1, "Book", 3)])

    assert sold == [(date(2026, 1, 31), 3, 1, 1, 7, 7, 1)]


def test_midnight_belongs_to_the_day_that_begins_also_when_clocks_change() -> None:
    orders = [(1, 1, FEBRUARY, 1, "Shipped"), (2, 1, MIDNIGHT_OF_A_CLOCK_CHANGE, 1, "Shipped")]
    details = [(1, 1, 1), (2, 1, 1)]

    sold = built("mart_sales_daily", orders=orders, orderdetails=details, products=[(1, "Book", 3)])

    assert [row[0] for row in sold] == [date(2026, 2, 1), date(2026, 3, 29)]


def test_a_product_of_a_category_three_deep_is_in_its_own_category_and_may_be_unrated() -> None:
    categories = [(1, "Media"), (2, "Books"), (3, "Novels")]
    products = [(1, "Emma", 3), (2, "Ulysses", None)]

    rated = built("mart_product_rating", productcategories=categories, products=products, reviews=[])

    assert rated == [(1, "Emma", 3, "Novels", None, 0), (2, "Ulysses", None, None, None, 0)]


def test_an_average_is_rounded_half_up_from_the_exact_sum() -> None:
    reviews = [(1, 1, 3 if n < 27 else 2, JANUARY) for n in range(40)]

    [(*_, average, count)] = built("mart_product_rating", products=[(1, "Tie", None)], reviews=reviews)

    assert (average, count) == (Decimal("2.68"), 40)  # of 2.675


def test_an_average_of_the_largest_sums_is_exact() -> None:
    largest = Decimal("9999999999.99")
    orders = [(n, 1, JANUARY, largest if n else -largest, "Shipped") for n in range(4)]

    [(*_, average)] = built("mart_average_check", orders=orders, users=[(1, None, None, "Gold", JANUARY)])

    assert average == Decimal("5000000000.00")  # of 4,999,999,999.995


def test_buyers_with_the_same_value_have_the_same_score() -> None:
    users = [(n, None, None, None, JANUARY) for n in range(10)]
    orders = [(n, n, JANUARY, 5 if n < 9 else 6, "Shipped") for n in range(10)]

    scores = {row[0]: row[6] for row in built("mart_customer_rfm", users=users, orders=orders)}

    assert scores == {**dict.fromkeys(range(9), 1), 9: 5}


def test_a_cohort_has_a_row_for_each_month_up_to_the_last_order() -> None:
    users = [(1, None, None, None, datetime(2025, 12, 31)), (2, None, None, None, FEBRUARY)]
    orders = [(1, 1, FEBRUARY, 1, "Shipped"), (2, 1, JANUARY, 1, "Failed")]

    retention = built("mart_cohort_retention", users=users, orders=orders)

    assert retention == [
        (date(2025, 12, 1), 0, 1, 0, 0),
        (date(2025, 12, 1), 1, 1, 0, 0),
        (date(2025, 12, 1), 2, 1, 1, 100),
        (date(2026, 2, 1), 0, 1, 0, 0),
    ]


def test_an_engines_wider_types_become_those_of_the_mart() -> None:
    [(*_, points, _first, _last)] = built(
        "mart_user_activity",
        users=[(1, None, None, None, JANUARY)],
        loyaltypoints=[(1, 2**62, JANUARY), (1, 2**62 - 1, JANUARY)],
    )

    assert points == 2**63 - 1

    with pytest.raises(Failure, match="loyalty_points has a value that is no int64"):
        built(
            "mart_user_activity",
            users=[(1, None, None, None, JANUARY)],
            loyaltypoints=[(1, 2**62, JANUARY), (1, 2**62, JANUARY)],
        )
