"""``mart_user_activity``: what each user has done."""

import ibis
from ibis import _

from martline.marts.definition import Column, Mart, Parts, Table, average
from martline.marts.rules import between, counts, not_negative, null_if, refers, rows
from martline.marts.spending import NOT_SOLD


def build(users: Table, orders: Table, reviews: Table, loyaltypoints: Table) -> Table:
    """One row per user, even without orders, reviews or points."""
    ordered = orders.group_by("user_id").agg(
        orders=_.count(),
        amount_spent=_.total_amount.sum(where=_.status.notin(NOT_SOLD)),
        first_order=_.order_date.min(),
        last_order=_.order_date.max(),
    )
    reviewed = reviews.group_by("user_id").agg(
        reviews=_.count(),
        average_rating=average(_.rating),
        first_review=_.created_at.min(),
        last_review=_.created_at.max(),
    )
    earned = loyaltypoints.group_by("user_id").agg(
        loyalty_points=_.points.sum(), first_points=_.created_at.min(), last_points=_.created_at.max()
    )
    return (
        users.left_join(ordered, "user_id")
        .left_join(reviewed, "user_id")
        .left_join(earned, "user_id")
        .select(
            "user_id",
            "first_name",
            "last_name",
            "loyalty_status",
            *(
                _[name].fill_null(0).name(name)
                for name in ("orders", "amount_spent", "reviews", "loyalty_points")
            ),
            "average_rating",
            # The least and the greatest of those that there are.
            first_activity_at=ibis.least(_.first_order, _.first_review, _.first_points),
            last_activity_at=ibis.greatest(_.last_order, _.last_review, _.last_points),
        )
    )


MART = Mart(
    name="mart_user_activity",
    meaning="What each user has done; users without any activity are there too",
    columns=(
        Column("user_id", "BIGINT NOT NULL", "The user"),
        Column("first_name", "LONGTEXT", "First name"),
        Column("last_name", "LONGTEXT", "Last name"),
        Column("loyalty_status", "LONGTEXT", "Gold, Silver or Bronze"),
        Column("orders", "BIGINT NOT NULL", "Number of orders, whatever their status"),
        Column("amount_spent", "DECIMAL NOT NULL", f"Sum of total_amount but {', '.join(NOT_SOLD)}"),
        Column("reviews", "BIGINT NOT NULL", "Number of reviews written"),
        Column("average_rating", "DECIMAL(22,2)", "Average rating given, 1 to 5; null without reviews"),
        Column("loyalty_points", "BIGINT NOT NULL", "Sum of the loyalty entries"),
        Column("first_activity_at", "DATETIME(6)", "First order, review or loyalty entry (UTC)"),
        Column("last_activity_at", "DATETIME(6)", "Last order, review or loyalty entry (UTC)"),
    ),
    key=("user_id",),
    sources={
        "users": ("user_id", "first_name", "last_name", "loyalty_status"),
        "orders": ("user_id", "order_date", "total_amount", "status"),
        "reviews": ("user_id", "rating", "created_at"),
        "loyaltypoints": ("user_id", "points", "created_at"),
    },
    build=build,
    parts=Parts(by="user_id"),
    checks=(
        not_negative("orders", "reviews", "amount_spent"),
        rows("amount_spent_needs_orders", "orders > 0 OR amount_spent = 0"),
        between("average_rating", 1, 5),
        null_if("average_rating", "reviews = 0", "average_rating_iff_reviews"),
        rows("first_activity_is_before_last", "first_activity_at <= last_activity_at"),
        null_if("last_activity_at", "first_activity_at IS NULL", "first_activity_iff_last"),
        refers("user_id", "users", "user_id"),
        counts("orders", "orders"),
    ),
)
