"""``mart_cohort_retention``: how many users keep buying, by their month of registration."""

import ibis
from ibis import _
from ibis.expr.types import IntegerValue, TimestampValue

from martline.marts.definition import Column, Mart, Table, quotient
from martline.marts.rules import between, not_negative, rows
from martline.marts.spending import NOT_SOLD


def build(users: Table, orders: Table) -> Table:
    """One row per month of registration and month since then, up to the month of the last order."""
    registered = users.select("user_id", cohort=_month(_.registration_date))
    bought = orders.filter(_.status.notin(NOT_SOLD)).select("user_id", month=_month(_.order_date))
    sizes = registered.group_by("cohort").agg(users=_.count())
    last = bought.agg(last=_.month.max())
    seen = sizes.cross_join(last).filter(_.last >= _.cohort)
    months = seen.select("cohort", "users", months_since=ibis.range(0, seen.last - seen.cohort + 1).unnest())
    active = (
        bought.distinct()
        .join(registered, "user_id")
        .group_by("cohort", months_since=_.month - _.cohort)
        .agg(active_users=_.count())
    )
    return months.left_join(active, ["cohort", "months_since"]).select(
        "months_since",
        "users",
        cohort_month=ibis.date(_.cohort // 12, _.cohort % 12 + 1, 1),
        active_users=_.active_users.fill_null(0),
        retention_percent=quotient(_.active_users.fill_null(0) * 100, _.users),
    )


def _month(moment: TimestampValue) -> IntegerValue:
    """The number of months since the start of the year 0."""
    return moment.year() * 12 + moment.month() - 1


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
