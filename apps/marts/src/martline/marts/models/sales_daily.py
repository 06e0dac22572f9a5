"""``mart_sales_daily``: what was sold on each day in each category."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from martline.marts.definition import Column, Mart, quotient
from martline.marts.rules import not_negative, null_if, refers, rows
from martline.marts.spending import NOT_SOLD, RETURNED


def build(orders: DataFrame, orderdetails: DataFrame, products: DataFrame) -> DataFrame:
    """One row per day and category with an order that was sold or returned."""
    kept = orders.where(~sf.col("status").isin(*NOT_SOLD) | (sf.col("status") == RETURNED))
    by_order = (
        orderdetails.join(sf.broadcast(products), "product_id")
        .join(kept, "order_id")
        .groupBy("order_id", "category_id")
        .agg(
            sf.sum("total_price").alias("amount"),
            sf.first("user_id").alias("user_id"),
            sf.first("order_date").alias("order_date"),
            sf.first(sf.col("status") == RETURNED).alias("returned"),
        )
    )
    sold = ~sf.col("returned")
    return (
        by_order.groupBy(sf.to_date("order_date").alias("day"), "category_id")
        .agg(
            sf.count(sf.when(sold, 1)).alias("orders"),
            sf.count_distinct(sf.when(sold, sf.col("user_id"))).alias("buyers"),
            sf.coalesce(sf.sum(sf.when(sold, sf.col("amount"))), sf.lit(0)).alias("revenue"),
            sf.count(sf.when(~sold, 1)).alias("returns"),
        )
        .select(
            "day",
            "category_id",
            "orders",
            "buyers",
            "revenue",
            quotient(sf.col("revenue").cast("decimal(32,8)"), sf.col("orders")).alias("average_check"),
            "returns",
        )
    )


MART = Mart(
    name="mart_sales_daily",
    meaning="What was sold on each day in each category of products",
    columns=(
        Column("day", "DATE NOT NULL", "Day of the orders (UTC)"),
        Column("category_id", "BIGINT NOT NULL", "Category of the products, as it is now"),
        Column("orders", "BIGINT NOT NULL", f"Orders with a product of the category, but {', '.join(NOT_SOLD)}"),
        Column("buyers", "BIGINT NOT NULL", "Users who placed these orders"),
        Column("revenue", "DECIMAL NOT NULL", "Sum of total_price of the category's products in these orders"),
        Column("average_check", "DECIMAL(22,2)", "revenue by orders; null without orders"),
        Column("returns", "BIGINT NOT NULL", "Returned orders with a product of the category"),
    ),
    key=("day", "category_id"),
    indexes=(("category_id", "day"),),
    sources={
        "orders": ("order_id", "user_id", "order_date", "status"),
        "orderdetails": ("order_id", "product_id", "total_price"),
        "products": ("product_id", "category_id"),
    },
    build=build,
    checks=(
        not_negative("orders", "buyers", "revenue", "returns"),
        rows("something_has_happened", "orders + returns > 0"),
        rows("buyers_have_ordered", "buyers <= orders AND (buyers = 0) = (orders = 0)"),
        null_if("average_check", "orders = 0", "average_check_iff_orders"),
        refers("category_id", "productcategories", "category_id"),
    ),
)
