"""``mart_user_activity``: what each user has done."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from martline.marts.definition import Column, Mart, average
from martline.marts.rules import agrees, between, not_negative, null_if, refers, rows
from martline.marts.spending import NOT_SOLD


def build(users: DataFrame, orders: DataFrame, reviews: DataFrame, loyaltypoints: DataFrame) -> DataFrame:
    """One row per user, users without orders, reviews and points included."""
    spent = sf.when(sf.col("status").isin(*NOT_SOLD), 0).otherwise(sf.col("total_amount"))
    ordered = orders.groupBy("user_id").agg(
        sf.count("*").alias("orders"),
        sf.sum(spent).alias("amount_spent"),
        *_first_and_last("order_date", "order"),
    )
    reviewed = reviews.groupBy("user_id").agg(
        sf.count("*").alias("reviews"),
        average(sf.col("rating")).alias("average_rating"),
        *_first_and_last("created_at", "review"),
    )
    earned = loyaltypoints.groupBy("user_id").agg(
        sf.sum("points").alias("loyalty_points"), *_first_and_last("created_at", "points")
    )
    return (
        users.join(ordered, "user_id", "left")
        .join(reviewed, "user_id", "left")
        .join(earned, "user_id", "left")
        .select(
            "user_id",
            "first_name",
            "last_name",
            "loyalty_status",
            *(
                sf.coalesce(name, sf.lit(0)).alias(name)
                for name in ("orders", "amount_spent", "reviews", "loyalty_points")
            ),
            "average_rating",
            sf.least("first_order", "first_review", "first_points").alias("first_activity_at"),
            sf.greatest("last_order", "last_review", "last_points").alias("last_activity_at"),
        )
    )


def _first_and_last(time: str, what: str) -> tuple[SparkColumn, SparkColumn]:
    return sf.min(time).alias(f"first_{what}"), sf.max(time).alias(f"last_{what}")


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
    checks=(
        not_negative("orders", "reviews", "amount_spent"),
        rows("amount_spent_needs_orders", "orders > 0 OR amount_spent = 0"),
        between("average_rating", 1, 5),
        null_if("average_rating", "reviews = 0", "average_rating_iff_reviews"),
        rows("first_activity_is_before_last", "first_activity_at <= last_activity_at"),
        null_if("last_activity_at", "first_activity_at IS NULL", "first_activity_iff_last"),
        refers("user_id", "users", "user_id"),
        agrees(
            "orders_are_those_of_the_source",
            "orders",
            "orders",
            "1",
            with_source=True,
        ),
    ),
)
