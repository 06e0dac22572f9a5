"""The page *The shop*: its numbers, and the figures that show them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from martline.dashboard import charts
from martline.dashboard.pages.figure import Column, Figure, Table
from martline.dashboard.pages.formats import Formats
from martline.dashboard.pages.texts import Texts
from martline.dashboard.pages.view import Period, View
from martline.dashboard.reading.sales import Totals
from martline.dashboard.reading.shop import FEWEST_REVIEWS, RATED, Product, Shop

USUAL_DAYS = 90
STEPS = ((92, 1), (400, 7))
"""Pairs: for up to this many days, a point of a chart stands for this many days."""
LONGEST_STEP = 28
MOST_BARS = 12
COHORTS = 12
MEASURES = ("revenue", "orders", "average_check")


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page, with its value in the period before."""

    title: str
    value: str
    before: str
    change: str
    is_better: bool | None
    """None if it has not changed or there is nothing to compare it with."""


class ShopPage:
    """The numbers of the page for one view of it."""

    def __init__(self, shop: Shop, view: View) -> None:
        self.shop = shop
        self.view = view
        self.texts = Texts(view.language)
        self.formats = Formats(view.language)
        self.units = charts.Units(*(self.texts(f"unit.{name}") for name in ("thousand", "million", "billion")))
        self.names = _distinct(shop)
        self.period: Period | None = None
        if shop.sales:
            self.period = view.period(shop.sales.first_day, shop.sales.last_day, USUAL_DAYS)

    def tiles(self) -> list[Tile]:
        """The sales of the period in a few numbers."""
        if self.period is None:
            return []
        now, before = self._totals(self.period), self._totals(self.period.before)
        return [
            self._tile("revenue", now.revenue, before.revenue),
            self._tile("orders", now.orders, before.orders),
            self._tile("average_check", now.average_check, before.average_check),
            self._tile("returns", now.returns, before.returns, less_is_better=True),
        ]

    def figures(self) -> list[Figure]:
        """All figures of the page in their order."""
        return [
            *(self._over_time(measure) for measure in MEASURES),
            self._by_category(),
            self._checks(),
            self._rated("best", self.shop.best),
            self._rated("worst", self.shop.worst),
            self._segments(),
            self._retention(),
        ]

    def figure(self, name: str) -> Figure | None:
        """The figure with this name."""
        return next((figure for figure in self.figures() if figure.name == name), None)

    def category_name(self, category: int) -> str:
        """The category's name, or its number if the marts don't name it."""
        return self.names.get(category) or self.texts("category.unnamed", number=category)

    def categories(self) -> list[tuple[int, str]]:
        """All categories, by name."""
        known = {*self.shop.sales.categories(), *self.names}
        return sorted(
            ((number, self.category_name(number)) for number in known), key=lambda pair: pair[1].lower()
        )

    def presets(self) -> list[tuple[str, str, bool]]:
        """Periods that end with the last day: their names, addresses, and whether the page shows them."""
        if self.period is None:
            return []
        first_day, last_day = self.shop.sales.first_day, self.shop.sales.last_day
        firsts = {f"preset.{days}": last_day - timedelta(days=days - 1) for days in (30, USUAL_DAYS, 365)}
        firsts["preset.all"] = first_day
        return [
            (
                self.texts(key),
                self.view.address(first=first, last=last_day),
                self.period == Period(first, last_day),
            )
            for key, first in firsts.items()
        ]

    def _totals(self, period: Period) -> Totals:
        return self.shop.sales.totals(period.first, period.last, self.view.category)

    def _tile(
        self,
        name: str,
        now: Decimal | int | None,
        before: Decimal | int | None,
        *,
        less_is_better: bool = False,
    ) -> Tile:
        change = (Decimal(now) - before) / abs(Decimal(before)) if now is not None and before else None
        return Tile(
            self.texts(f"{name}.title"),
            self.formats.short(now),
            self.formats.short(before),
            self.formats.change(change),
            (change < 0 if less_is_better else change > 0) if change else None,
        )

    def _over_time(self, measure: str) -> Figure:
        rows = []
        step = 1
        if self.period is not None:
            step = next((step for most, step in STEPS if self.period.days <= most), LONGEST_STEP)
            rows = self._steps(self.period, step, measure)
        t = self.texts
        kind = "count" if measure == "orders" else "money"
        columns = (
            Column("from", t("column.from"), "day"),
            Column("to", t("column.to"), "day"),
            Column(measure, t("column.now"), kind),
            Column(f"{measure}_before", t("column.before"), kind),
        )
        points = [
            {"day": first.isoformat(), "value": _float(now), "before": _float(before)}
            for first, _, now, before in rows
        ]
        return Figure(
            measure,
            t(f"{measure}.title"),
            t(f"{measure}.unit") + ", " + t(f"step.{step}"),
            Table(columns, rows),
            lambda width: charts.over_time(
                points,
                width=width,
                height=240 if measure == "revenue" else 190,
                units=self.units,
                now=t("column.now"),
                before=t("column.before"),
            ),
            note=t("note.orders") if measure != "revenue" and self.view.category is None else "",
            is_wide=measure == "revenue",
            missing=self._missing("mart_sales_daily"),
        )

    def _steps(
        self, period: Period, step: int, measure: str
    ) -> list[tuple[date, date, Decimal | int | None, Decimal | int | None]]:
        sales, category = self.shop.sales, self.view.category
        now = sales.by_days(period.first, period.last, step, category)
        before = sales.by_days(period.before.first, period.before.last, step, category)
        firsts = [period.first + timedelta(days=step * place) for place in range(len(now))]
        lasts = [min(first + timedelta(days=step - 1), period.last) for first in firsts]
        values = ([getattr(totals, measure) for totals in side] for side in (now, before))
        return list(zip(firsts, lasts, *values, strict=True))

    def _by_category(self) -> Figure:
        rows = []
        if self.period is not None:
            now = self.shop.sales.by_category(self.period.first, self.period.last)
            before = self.shop.sales.by_category(self.period.before.first, self.period.before.last)
            nothing = Totals(0, Decimal(0), 0)
            rows = [
                (
                    category,
                    self.category_name(category),
                    sold.orders,
                    sold.revenue,
                    sold.average_check,
                    sold.returns,
                    before.get(category, nothing).revenue,
                )
                for category in now.keys() | before.keys()
                for sold in (now.get(category, nothing),)
                if self.view.category in (None, category)
            ]
            rows.sort(key=lambda row: (-row[3], row[0]))
        t = self.texts
        columns = (
            Column("category_id", t("column.number"), "plain"),
            Column("category", t("column.category")),
            Column("orders", t("orders.title"), "count"),
            Column("revenue", t("revenue.title"), "money"),
            Column("average_check", t("average_check.title"), "money"),
            Column("returns", t("returns.title"), "count"),
            Column("revenue_before", t("column.revenue_before"), "money"),
        )
        bars = [
            {"category": row[1], "revenue": float(row[3]), "before": float(row[6])} for row in rows[:MOST_BARS]
        ]
        return Figure(
            "categories",
            t("categories.title"),
            t("revenue.unit"),
            Table(columns, rows),
            lambda width: charts.revenue_by_category(
                bars, width=width, units=self.units, now=t("column.now"), before=t("column.before")
            ),
            note=t("note.categories", shown=len(bars), all=len(rows)) if len(rows) > len(bars) else "",
            missing=self._missing("mart_sales_daily"),
        )

    def _checks(self) -> Figure:
        t = self.texts
        rows = [
            (check.order_status, check.loyalty_status, check.orders, check.average_amount)
            for check in self.shop.checks
        ]
        columns = (
            Column("order_status", t("column.order_status"), "order_status"),
            Column("loyalty_status", t("column.loyalty_status"), "loyalty_status"),
            Column("orders", t("orders.title"), "count"),
            Column("average_amount", t("column.average_amount"), "money"),
        )
        points = [
            {
                "status": t.name_of("order_status", status),
                "loyalty": loyalty,
                "name": t.name_of("loyalty_status", loyalty),
                "average": float(average),
            }
            for status, loyalty, _, average in rows
        ]
        return Figure(
            "checks",
            t("checks.title"),
            t("average_check.unit"),
            Table(columns, rows),
            lambda width: charts.average_check_by_status(points, width=width, units=self.units),
            note=t("note.whole"),
            missing=self._missing("mart_average_check"),
        )

    def _rated(self, name: str, products: Sequence[Product]) -> Figure:
        t = self.texts
        chosen = [product for product in products if self.view.category in (None, product.category_id)][:RATED]
        columns = (
            Column("product_id", t("column.number"), "plain"),
            Column("name", t("column.product")),
            Column("category", t("column.category")),
            Column("average_rating", t("column.average_rating"), "money"),
            Column("reviews", t("column.reviews"), "count"),
        )
        rows = [(p.product_id, p.name, p.category, p.average_rating, p.reviews) for p in chosen]
        titles = Counter(product.name for product in chosen)
        bars = [
            {
                "product": p.name if titles[p.name] == 1 else f"{p.name} ({p.product_id})",
                "rating": float(p.average_rating),
                "label": self.formats.money(p.average_rating),
            }
            for p in chosen
        ]
        return Figure(
            name,
            t(f"{name}.title"),
            t("rating.unit"),
            Table(columns, rows),
            lambda width: charts.ratings(bars, width=width, good=name == "best"),
            note=t("note.rated", reviews=FEWEST_REVIEWS),
            missing=self._missing("mart_product_rating"),
        )

    def _segments(self) -> Figure:
        t = self.texts
        rows = [
            (segment.segment, segment.users, segment.orders, segment.revenue) for segment in self.shop.segments
        ]
        columns = (
            Column("segment", t("column.segment"), "segment"),
            Column("users", t("column.users"), "count"),
            Column("orders", t("orders.title"), "count"),
            Column("revenue", t("revenue.title"), "money"),
        )
        everybody = sum(row[1] for row in rows)
        bars = [
            {
                "segment": t.name_of("segment", segment),
                "users": users,
                "label": f"{self.formats.short(users)} · {self.formats.percent(Decimal(users) / everybody)}",
            }
            for segment, users, _, _ in rows
        ]
        return Figure(
            "segments",
            t("segments.title"),
            t("segments.unit"),
            Table(columns, rows),
            lambda width: charts.users_by_segment(bars, width=width),
            note=t("note.segments"),
            missing=self._missing("mart_customer_rfm"),
        )

    def _retention(self) -> Figure:
        t = self.texts
        last = sorted({cohort.cohort_month for cohort in self.shop.cohorts}, reverse=True)[:COHORTS]
        rows = [
            (
                cohort.cohort_month,
                cohort.months_since,
                cohort.users,
                cohort.active_users,
                cohort.retention_percent,
            )
            for cohort in self.shop.cohorts
            if cohort.cohort_month in last
        ]
        columns = (
            Column("cohort_month", t("column.cohort_month"), "month"),
            Column("months_since", t("column.months_since"), "count"),
            Column("users", t("column.registered"), "count"),
            Column("active_users", t("column.active_users"), "count"),
            Column("retention_percent", t("column.retention_percent"), "money"),
        )
        cells = [
            {
                "cohort": self.formats.month(month),
                "month": since,
                "percent": float(percent),
                "label": self.formats.count(int(percent.quantize(Decimal(1), ROUND_HALF_UP))),
            }
            for month, since, _, _, percent in rows
        ]
        return Figure(
            "retention",
            t("retention.title"),
            t("retention.unit"),
            Table(columns, rows),
            lambda width: charts.retention(cells, width=width),
            note=t("note.retention", cohorts=len(last)),
            missing=self._missing("mart_cohort_retention"),
        )

    def _missing(self, mart: str) -> str | None:
        return mart if mart in self.shop.missing else None


def _distinct(shop: Shop) -> dict[int, str]:
    """The categories' names. If several categories have the same name, it also contains the number."""
    times = Counter(shop.categories.values())
    return {
        number: name if times[name] == 1 or not name else f"{name} ({number})"
        for number, name in shop.categories.items()
    }


def _float(value: Decimal | int | None) -> float | None:
    return None if value is None else float(value)
