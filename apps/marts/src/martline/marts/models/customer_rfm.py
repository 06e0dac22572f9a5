"""``mart_customer_rfm``: how recently, how often and for how much each user buys."""

import ibis
from ibis import _
from ibis.expr.types import IntegerValue, StringValue

from martline.marts.definition import Column, Mart, Table
from martline.marts.rules import agrees, between, not_negative, null_if, one_of, refers
from martline.marts.spending import NOT_SOLD

SEGMENTS = ("Champions", "Loyal", "New", "Needs attention", "At risk", "Lost", "No orders")


def build(users: Table, orders: Table) -> Table:
    """One row per user, even without orders."""
    bought = (
        orders.filter(_.status.notin(NOT_SOLD))
        .group_by("user_id")
        .agg(last_day=_.order_date.max().date(), frequency=_.count(), monetary=_.total_amount.sum())
    )
    measured = bought.mutate(recency_days=_.last_day.max().delta(_.last_day, unit="day"))
    scored = measured.mutate(
        recency_score=6 - _score(measured, "recency_days"),
        frequency_score=_score(measured, "frequency"),
        monetary_score=_score(measured, "monetary"),
    )
    return users.left_join(scored, "user_id").select(
        "user_id",
        "recency_days",
        "recency_score",
        "frequency_score",
        "monetary_score",
        frequency=_.frequency.fill_null(0),
        monetary=_.monetary.fill_null(0),
        segment=_segment(_.recency_score, _.frequency_score + _.monetary_score),
    )


def _score(buyers: Table, name: str) -> IntegerValue:
    """The score from 1 to 5: five times the share of buyers with a smaller value, rounded down, plus one."""
    with_less = ibis.rank().over(order_by=buyers[name])
    return with_less * 5 // buyers.count() + 1


def _segment(recency: IntegerValue, value: IntegerValue) -> StringValue:
    return ibis.cases(
        (recency.isnull(), "No orders"),
        ((recency >= 4) & (value >= 8), "Champions"),
        ((recency >= 3) & (value >= 6), "Loyal"),
        (recency >= 4, "New"),
        (recency == 3, "Needs attention"),
        (value >= 6, "At risk"),
        else_="Lost",
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
