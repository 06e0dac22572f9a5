"""``mart_sales_daily``: what was sold on each day in each category."""

from ibis import _

from martline.marts.definition import Column, Mart, Parts, Table, quotient
from martline.marts.rules import not_negative, null_if, refers, rows
from martline.marts.spending import NOT_SOLD, RETURNED


def build(orders: Table, orderdetails: Table, products: Table) -> Table:
    """One row per day and category with an order that was sold or returned."""
    kept = orders.filter(_.status.notin(NOT_SOLD) | (_.status == RETURNED)).mutate(
        day=_.order_date.date(), sold=_.status != RETURNED
    )
    by_order = (
        orderdetails.join(products, "product_id")
        .join(kept, "order_id")
        .group_by("order_id", "category_id", "user_id", "day", "sold")
        .agg(amount=_.total_price.sum())
    )
    return with_average_check(
        by_order.group_by("day", "category_id").agg(
            orders=_.count(where=_.sold),
            buyers=_.user_id.nunique(where=_.sold),
            revenue=_.amount.sum(where=_.sold).fill_null(0),
            returns=_.count(where=~_.sold),
        )
    )


def with_average_check(sums: Table) -> Table:
    """The rows with the average of an order."""
    return sums.mutate(average_check=quotient(_.revenue, _.orders))


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
    parts=Parts(
        by="user_id",
        day="order_date",
        through={"orderdetails": ("orders", "order_id")},
        sums=("orders", "buyers", "revenue", "returns"),
        complete=with_average_check,
    ),
    checks=(
        not_negative("orders", "buyers", "revenue", "returns"),
        rows("something_has_happened", "orders + returns > 0"),
        rows("buyers_have_ordered", "buyers <= orders AND (buyers = 0) = (orders = 0)"),
        null_if("average_check", "orders = 0", "average_check_iff_orders"),
        refers("category_id", "productcategories", "category_id"),
    ),
)
