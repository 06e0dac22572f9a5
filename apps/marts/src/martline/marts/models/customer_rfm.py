"""``mart_customer_rfm``: how recently, how often and for how much each user buys."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from martline.marts.definition import Column, Mart
from martline.marts.rules import agrees, between, not_negative, null_if, one_of, refers
from martline.marts.spending import NOT_SOLD

SEGMENTS = ("Champions", "Loyal", "New", "Needs attention", "At risk", "Lost", "No orders")


def build(users: DataFrame, orders: DataFrame) -> DataFrame:
    """One row per user, also without orders."""
    sold = orders.where(~sf.col("status").isin(*NOT_SOLD))
    bought = sold.groupBy("user_id").agg(
        sf.to_date(sf.max("order_date")).alias("last_day"),
        sf.count("*").alias("frequency"),
        sf.sum("total_amount").alias("monetary"),
    )
    whole = bought.agg(sf.max("last_day").alias("today"), sf.count("*").alias("buyers"))
    measured = bought.crossJoin(sf.broadcast(whole)).withColumn("recency_days", sf.date_diff("today", "last_day"))
    scored = measured.select(
        "user_id",
        "recency_days",
        "frequency",
        "monetary",
        (6 - _score("recency_days")).alias("recency_score"),
        _score("frequency").alias("frequency_score"),
        _score("monetary").alias("monetary_score"),
    )
    return users.join(scored, "user_id", "left").select(
        "user_id",
        "recency_days",
        sf.coalesce("frequency", sf.lit(0)).alias("frequency"),
        sf.coalesce("monetary", sf.lit(0)).alias("monetary"),
        "recency_score",
        "frequency_score",
        "monetary_score",
        _segment().alias("segment"),
    )


def _score(name: str) -> SparkColumn:
    """From 1 to 5: one more than five times the share of buyers with a smaller value, rounded down."""
    less = sf.rank().over(Window.orderBy(name)) - 1
    return sf.call_function("div", less * 5, sf.col("buyers")) + 1


def _segment() -> SparkColumn:
    recent = sf.col("recency_score")
    value = sf.col("frequency_score") + sf.col("monetary_score")
    return (
        sf.when(recent.isNull(), "No orders")
        .when((recent >= 4) & (value >= 8), "Champions")
        .when((recent >= 3) & (value >= 6), "Loyal")
        .when(recent >= 4, "New")
        .when(recent == 3, "Needs attention")
        .when(value >= 6, "At risk")
        .otherwise("Lost")
    )


MART = Mart(
    name="mart_customer_rfm",
    meaning="How recently, how often and for how much each user buys; orders but Canceled, Failed, Returned",
    columns=(
        Column("user_id", "BIGINT NOT NULL", "The user"),
        Column("recency_days", "BIGINT", "Days from the last order of the user to the last order of all (UTC)"),
        Column("frequency", "BIGINT NOT NULL", "Number of orders"),
        Column("monetary", "DECIMAL NOT NULL", "Sum of their total_amount"),
        Column(
            "recency_score",
            "BIGINT",
            "5 for the fifth of the buyers with the fewest recency_days, 1 for the last",
        ),
        Column("frequency_score", "BIGINT", "5 for the fifth with the most orders, 1 for that with the fewest"),
        Column("monetary_score", "BIGINT", "5 for the fifth with the largest sum, 1 for that with the smallest"),
        Column("segment", "VARCHAR(32) NOT NULL", ", ".join(SEGMENTS)),
    ),
    key=("user_id",),
    indexes=(("segment",),),
    sources={
        "users": ("user_id",),
        "orders": ("user_id", "order_date", "total_amount", "status"),
    },
    build=build,
    checks=(
        not_negative("frequency", "monetary", "recency_days"),
        between("recency_score", 1, 5),
        between("frequency_score", 1, 5),
        between("monetary_score", 1, 5),
        null_if("recency_days", "frequency = 0", "recency_iff_orders"),
        one_of("segment", SEGMENTS),
        refers("user_id", "users", "user_id"),
        agrees(
            "monetary_is_what_users_have_spent",
            "monetary",
            "{mart_user_activity}",
            "amount_spent",
        ),
    ),
)
