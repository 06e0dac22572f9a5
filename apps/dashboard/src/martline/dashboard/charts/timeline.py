"""A measure over time, beside the period before."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.picture import Picture
from martline.dashboard.charts.units import Units

FINE_STEP_DAYS = 7
"""Points with up to this distance are labelled with days, and more distant ones with months."""


def over_time(
    rows: Sequence[Mapping[str, Any]],
    *,
    width: int,
    height: int = 220,
    units: Units | None = None,
    now: str = "This period",
    before: str = "Period before",
) -> Picture:
    """A line of ``value`` at each ``day``, over a dashed line of ``before``, the value one period earlier.

    Rows without a value leave a gap in the line.
    """
    values = [row[name] for row in rows for name in ("value", "before") if row[name] is not None]
    x = alt.X(
        "day:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%-d %b", tickCount=max(2, width // 110), labelFlush=True, title=None),
    )
    y_axis = alt.Axis(tickCount=4, title=None, labelExpr=(units or Units()).expression(values))
    y = alt.Y("value:Q", scale=alt.Scale(zero=True, nice=True), axis=y_axis)
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=height)
    colours = alt.Scale(domain=[now, before], range=[LIGHT["series"], LIGHT["before"]])
    area = base.mark_area(color=LIGHT["series"], opacity=0.08).encode(x=x, y=y)
    colour = alt.Color("series:N", scale=colours)
    line = (
        base.transform_calculate(series=json.dumps(now))
        .mark_line(strokeWidth=2.25, strokeJoin="round", strokeCap="round")
        .encode(x=x, y=y, color=colour)
    )
    earlier = (
        base.transform_calculate(series=json.dumps(before))
        .mark_line(strokeWidth=1.5, strokeDash=[4, 4])
        .encode(x=x, y=alt.Y("before:Q"), color=colour)
    )
    return alt.layer(area, earlier, line)
