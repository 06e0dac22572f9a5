"""``mart_user_activity``: what each user has done."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from martline.marts.definition import Column, Mart, average

NOT_SPENT = ("Canceled", "Failed", "Returned")


def build(users: DataFrame, orders: DataFrame, reviews: DataFrame, loyaltypoints: DataFrame) -> DataFrame:
    """One row per user, users without orders, reviews and points included."""
    spent = sf.when(sf.col("status").isin(*NOT_SPENT), 0).otherwise(sf.col("total_amount"))
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
        Column("amount_spent", "DECIMAL NOT NULL", f"Sum of total_amount but {', '.join(NOT_SPENT)}"),
        Column("reviews", "BIGINT NOT NULL", "Number of reviews written"),
        Column("average_rating", "DECIMAL(22,2)", "Average rating given, 1 to 5; null without reviews"),
        Column("loyalty_points", "BIGINT NOT NULL", "Sum of the loyalty entries"),
        Column("first_activity_at", "DATETIME(6)", "First order, review or loyalty entry (UTC)"),
        Column("last_activity_at", "DATETIME(6)", "Last order, review or loyalty entry (UTC)"),
    ),
    key=("user_id",),
    sources=("users", "orders", "reviews", "loyaltypoints"),
    build=build,
)
