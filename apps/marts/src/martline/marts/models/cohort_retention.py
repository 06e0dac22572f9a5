"""``mart_cohort_retention``: who goes on buying, by the month of registration."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from martline.marts.definition import Column, Mart, quotient
from martline.marts.rules import between, not_negative, rows
from martline.marts.spending import NOT_SOLD


def build(users: DataFrame, orders: DataFrame) -> DataFrame:
    """One row per month of registration and month since then, up to the month of the last order."""
    registered = users.select("user_id", _month("registration_date").alias("cohort"))
    bought = orders.where(~sf.col("status").isin(*NOT_SOLD)).select(
        "user_id", _month("order_date").alias("month")
    )
    sizes = registered.groupBy("cohort").agg(sf.count("*").alias("users"))
    last = bought.agg(sf.max("month").alias("last"))
    months = (
        sizes.crossJoin(sf.broadcast(last))
        .where("last >= cohort")
        .select(
            "cohort",
            "users",
            sf.explode(sf.sequence(sf.lit(0), sf.col("last") - sf.col("cohort"))).alias("months_since"),
        )
    )
    active = (
        bought.distinct()
        .join(registered, "user_id")
        .groupBy("cohort", (sf.col("month") - sf.col("cohort")).alias("months_since"))
        .agg(sf.count("*").alias("active_users"))
    )
    return months.join(active, ["cohort", "months_since"], "left").select(
        sf.make_date(
            sf.call_function("div", "cohort", sf.lit(12)).cast("int"),
            (sf.col("cohort") % 12 + 1).cast("int"),
            sf.lit(1),
        ).alias("cohort_month"),
        sf.col("months_since").cast("bigint").alias("months_since"),
        "users",
        sf.coalesce("active_users", sf.lit(0)).alias("active_users"),
        quotient((sf.coalesce("active_users", sf.lit(0)) * 100).cast("decimal(32,8)"), sf.col("users")).alias(
            "retention_percent"
        ),
    )


def _month(moment: str) -> SparkColumn:
    """The number of the month, from the first of the year 0 on."""
    return sf.year(moment) * 12 + sf.month(moment) - 1


MART = Mart(
    name="mart_cohort_retention",
    meaning="Of the users who registered in a month, how many buy in each month from then on",
    columns=(
        Column("cohort_month", "DATE NOT NULL", "First day of the month of registration (UTC)"),
        Column("months_since", "BIGINT NOT NULL", "Months since then; 0 is the month of registration"),
        Column("users", "BIGINT NOT NULL", "Users who registered in that month"),
        Column("active_users", "BIGINT NOT NULL", f"Those with an order in the month, but {', '.join(NOT_SOLD)}"),
        Column("retention_percent", "DECIMAL(22,2) NOT NULL", "active_users in percent of users"),
    ),
    key=("cohort_month", "months_since"),
    sources={
        "users": ("user_id", "registration_date"),
        "orders": ("user_id", "order_date", "status"),
    },
    build=build,
    checks=(
        not_negative("months_since", "active_users"),
        rows("active_users_are_of_the_cohort", "active_users <= users"),
        between("retention_percent", 0, 100),
    ),
)
