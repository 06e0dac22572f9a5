"""Charts are valid Vega-Lite, which Altair requires of a chart that a notebook shows."""

from collections.abc import Callable, Mapping, Sequence
from html import unescape
from typing import Any

import pytest

from martline.dashboard import charts
from martline.dashboard.charts.svg import draw

Rows = Sequence[Mapping[str, Any]]
CHARTS: list[tuple[Callable[..., Any], Rows]] = [
    (charts.over_time, [{"day": "2026-01-01", "value": 120.5, "before": None}]),
    (charts.revenue_by_category, [{"category": 'It\'s "new"', "revenue": 12.5, "before": 10}]),
    (
        charts.average_check_by_status,
        [{"status": "Completed", "loyalty": "Gold", "name": "Gold", "average": 99.5}],
    ),
    (charts.ratings, [{"product": "A <b>", "rating": 4.5, "label": "4.50"}]),
    (charts.users_by_segment, [{"segment": "Loyal", "users": 3, "label": "3"}]),
    (charts.retention, [{"cohort": "Jan 2026", "month": 1, "percent": 12.5, "label": "13"}]),
]


@pytest.mark.parametrize(("chart", "rows"), CHARTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_notebook_can_show_the_chart(chart: Callable[..., Any], rows: Rows) -> None:
    chart(rows, width=400).to_dict(validate=True)
    chart([], width=400).to_dict(validate=True)


@pytest.mark.parametrize("chart", [charts.over_time, charts.revenue_by_category])
def test_a_series_is_called_as_it_is_told(chart: Callable[..., Any]) -> None:
    rows = [{"day": "2026-01-01", "category": "Books", "value": 1, "revenue": 1, "before": 2}]
    name = """50 % "off" \\ isn't"""
    drawn = draw(chart(rows, width=400, now=name), name="c", title="A chart", language="en")
    assert name in unescape(drawn)
