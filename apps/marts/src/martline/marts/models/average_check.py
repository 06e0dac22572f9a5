"""``mart_average_check``: the average amount of an order."""

from ibis import _

from martline.marts.definition import Column, Mart, Table, average
from martline.marts.rules import agrees, not_negative, rows


def build(orders: Table, users: Table) -> Table:
    """One row for each order status and loyalty status of the user that occur together."""
    return (
        orders.join(users, "user_id")
        .group_by("loyalty_status", order_status=_.status)
        .agg(orders=_.count(), average_amount=average(_.total_amount))
    )


MART = Mart(
    name="mart_average_check",
    meaning="Average amount of an order, by its status and its user's loyalty status",
    columns=(
        Column("order_status", "VARCHAR(255) NOT NULL", "Status of the orders"),
        Column("loyalty_status", "VARCHAR(255) NOT NULL", "Loyalty status of their users, as it is now"),
        Column("orders", "BIGINT NOT NULL", "Number of orders"),
        Column("average_amount", "DECIMAL(22,2) NOT NULL", "Average total_amount"),
    ),
    key=("order_status", "loyalty_status"),
    sources={"orders": ("user_id", "total_amount", "status"), "users": ("user_id", "loyalty_status")},
    build=build,
    checks=(
        rows("orders_are_positive", "orders > 0"),
        not_negative("average_amount"),
        agrees("orders_add_up", "orders", "{mart_user_activity}", "orders"),
    ),
)
