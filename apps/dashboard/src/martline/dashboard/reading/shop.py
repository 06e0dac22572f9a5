"""Reads the marts at one moment, as the pages need them, and small enough to be kept in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pymysql.connections import Connection

from martline.dashboard.reading.database import ask
from martline.dashboard.reading.sales import Sales
from martline.dashboard.tables import ALL_MARTS, VERSIONS
from pg_to_mysql.mysql.names import present_tables

MOST_SALES = 400_000
"""The largest number of rows of mart_sales_daily that are kept. If there are more, the latest days are kept."""
RATED = 8
"""The number of best and of worst products that are shown."""
FEWEST_REVIEWS = 3
"""The smallest number of reviews of a product that is compared with others."""


@dataclass(frozen=True)
class AverageCheck:
    """A row of ``mart_average_check``."""

    order_status: str
    loyalty_status: str
    orders: int
    average_amount: Decimal


@dataclass(frozen=True)
class Cohort:
    """A row of ``mart_cohort_retention``."""

    cohort_month: date
    months_since: int
    users: int
    active_users: int
    retention_percent: Decimal


@dataclass(frozen=True)
class Segment:
    """One segment of ``mart_customer_rfm``."""

    segment: str
    users: int
    orders: int
    revenue: Decimal


@dataclass(frozen=True)
class Product:
    """A row of ``mart_product_rating``, of a product with reviews."""

    product_id: int
    name: str
    category_id: int | None
    category: str
    average_rating: Decimal
    reviews: int


@dataclass(frozen=True)
class Version:
    """A row of ``mart_versions``: the run that has built the mart."""

    run_id: int
    built_at: datetime
    """The time in UTC."""
    rows: int


@dataclass(frozen=True)
class Shop:
    """The content of the marts. Missing marts are empty, and their names are in ``missing``."""

    versions: dict[str, Version]
    """The versions of the existing marts."""
    missing: tuple[str, ...]
    sales: Sales
    categories: dict[int, str]
    checks: Sequence[AverageCheck]
    cohorts: Sequence[Cohort]
    segments: Sequence[Segment]
    best: Sequence[Product]
    """The best rated products of each category, the best first."""
    worst: Sequence[Product]


def read_versions(connection: "Connection[Any]") -> dict[str, Version]:
    """The versions of the existing marts. A build replaces them together with the marts."""
    present = present_tables(connection)
    if VERSIONS not in present:
        return {}
    rows = ask(connection, f"SELECT mart, run_id, built_at, `rows` FROM {VERSIONS} ORDER BY mart")
    return {
        mart: Version(int(run_id), built_at.replace(tzinfo=UTC), int(count))
        for mart, run_id, built_at, count in rows
        if mart in ALL_MARTS and mart in present
    }


def read_shop(connection: "Connection[Any]", versions: Mapping[str, Version]) -> Shop:
    """Read the existing marts."""
    present = versions.keys()
    return Shop(
        versions=dict(versions),
        missing=tuple(mart for mart in ALL_MARTS if mart not in present),
        sales=_sales(connection) if "mart_sales_daily" in present else Sales((), 2),
        categories=dict(_categories(connection)) if "mart_product_rating" in present else {},
        checks=_rows(connection, present, "mart_average_check", AverageCheck, _CHECKS),
        cohorts=_rows(connection, present, "mart_cohort_retention", Cohort, _COHORTS),
        segments=_rows(connection, present, "mart_customer_rfm", Segment, _SEGMENTS),
        best=_rows(connection, present, "mart_product_rating", Product, _RATED.format(order="DESC")),
        worst=_rows(connection, present, "mart_product_rating", Product, _RATED.format(order="ASC")),
    )


_CHECKS = (
    "SELECT order_status, loyalty_status, orders, average_amount FROM mart_average_check"
    " ORDER BY order_status, loyalty_status LIMIT 1000"
)
_COHORTS = (
    "SELECT cohort_month, months_since, users, active_users, retention_percent FROM mart_cohort_retention"
    " ORDER BY cohort_month DESC, months_since LIMIT 5000"
)
_SEGMENTS = (
    "SELECT segment, COUNT(*), CAST(SUM(frequency) AS SIGNED), SUM(monetary) FROM mart_customer_rfm"
    " GROUP BY segment ORDER BY 2 DESC, 1 LIMIT 100"
)
_RATED = (
    "SELECT product_id, COALESCE(name, ''), category_id, COALESCE(category, ''), average_rating, reviews FROM ("
    "SELECT *, ROW_NUMBER() OVER (PARTITION BY category_id"
    " ORDER BY average_rating {order}, reviews DESC, product_id) AS place"
    f" FROM mart_product_rating WHERE reviews >= {FEWEST_REVIEWS}) ranked WHERE place <= {RATED}"
    " ORDER BY average_rating {order}, reviews DESC, product_id LIMIT 20000"
)


def _rows(connection: "Connection[Any]", present: Collection[str], mart: str, kind: Any, query: str) -> list[Any]:
    return [kind(*row) for row in ask(connection, query)] if mart in present else []


def _categories(connection: "Connection[Any]") -> Sequence[tuple[int, str]]:
    return ask(
        connection,
        "SELECT category_id, COALESCE(MIN(category), '') FROM mart_product_rating"
        " WHERE category_id IS NOT NULL GROUP BY category_id LIMIT 20000",
    )


def _sales(connection: "Connection[Any]") -> Sales:
    [(scale,)] = ask(
        connection,
        "SELECT numeric_scale FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND table_name = 'mart_sales_daily' AND column_name = 'revenue'",
    )
    rows = ask(
        connection,
        "SELECT day, category_id, orders, revenue, returns FROM mart_sales_daily"
        f" ORDER BY day DESC LIMIT {MOST_SALES}",
    )
    if len(rows) == MOST_SALES:  # the first day may be incomplete
        rows = [row for row in rows if row[0] > rows[-1][0]]
    return Sales(rows, int(scale))
