"""One line for each mart: the number of rows, the moment, and its most telling figure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

VERSIONS = "SELECT mart, `rows`, built_at FROM mart_versions ORDER BY mart"


@dataclass(frozen=True)
class Figure:
    """A sentence about a mart, and the query for the values in it."""

    sentence: str
    query: str


FIGURES = {
    "mart_user_activity": Figure(
        "{share:.0f} % of the users have ordered, for {spent:,.0f} each",
        "SELECT 100 * AVG(orders > 0) AS share, SUM(amount_spent) / NULLIF(SUM(orders > 0), 0) AS spent"
        " FROM mart_user_activity",
    ),
    "mart_product_rating": Figure(
        "best product: {name}, {average_rating} in {reviews} reviews",
        "SELECT name, average_rating, reviews FROM mart_product_rating WHERE reviews >= 3"
        " ORDER BY average_rating DESC, reviews DESC, product_id LIMIT 1",
    ),
    "mart_average_check": Figure(
        "average check: {average:,.2f} over {orders:,} orders",
        "SELECT SUM(orders * average_amount) / SUM(orders) AS average, SUM(orders) AS orders"
        " FROM mart_average_check",
    ),
    "mart_sales_daily": Figure(
        "revenue: {revenue:,.2f} in {days:,} days of sales",
        "SELECT SUM(revenue) AS revenue, COUNT(DISTINCT day) AS days FROM mart_sales_daily",
    ),
    "mart_customer_rfm": Figure(
        "largest segment of buyers: {segment}, {users:,} users",
        "SELECT segment, COUNT(*) AS users FROM mart_customer_rfm WHERE frequency > 0"
        " GROUP BY segment ORDER BY users DESC, segment LIMIT 1",
    ),
    "mart_cohort_retention": Figure(
        "bought in the month after registration: {share:.1f} % of users",
        "SELECT 100 * SUM(active_users) / SUM(users) AS share FROM mart_cohort_retention WHERE months_since = 1",
    ),
}
"""By mart. None of them names a person."""


@dataclass(frozen=True)
class MartLine:
    """What is shown about a mart; ``figure`` is blank if there is nothing to show."""

    name: str
    rows: int
    built_at: datetime
    figure: str


def summary(replica: "pymysql.Connection[Any]") -> Iterator[MartLine]:
    """One line for each published mart."""
    with replica.cursor(DictCursor) as cursor:
        cursor.execute(VERSIONS)
        versions = cursor.fetchall()
        for version in versions:
            yield MartLine(
                version["mart"], version["rows"], version["built_at"], _figure(cursor, version["mart"])
            )


def _figure(cursor: DictCursor, mart: str) -> str:
    figure = FIGURES.get(mart)
    if figure is None:
        return ""
    cursor.execute(figure.query)
    values = cursor.fetchone()
    if values is None or None in values.values():
        return ""  # an empty shop
    return figure.sentence.format(**values)
