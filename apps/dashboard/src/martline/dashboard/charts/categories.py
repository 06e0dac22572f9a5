"""Revenue by category."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.picture import Picture
from martline.dashboard.charts.units import Units

BAR_HEIGHT = 30
NARROW = 400


def revenue_by_category(
    rows: Sequence[Mapping[str, Any]],
    *,
    width: int,
    units: Units | None = None,
    now: str = "This period",
    before: str = "Period before",
) -> Picture:
    """A bar of ``revenue`` for each ``category``, in the given order, with a mark at ``before``."""
    order = [row["category"] for row in rows]
    values = [row[name] for row in rows for name in ("revenue", "before")]
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=BAR_HEIGHT * len(rows))
    y = alt.Y("category:N", sort=order, axis=alt.Axis(labelLimit=width // 3, labelColor=LIGHT["ink"], title=None))
    x_axis = alt.Axis(
        grid=True, tickCount=max(2, width // 120), title=None, labelExpr=(units or Units()).expression(values)
    )
    colours = alt.Scale(domain=[now, before], range=[LIGHT["series"], LIGHT["before"]])
    # Beside long names there is no room for two words in a line.
    legend = alt.Legend(direction="vertical" if width < NARROW else "horizontal")
    colour = alt.Color("series:N", scale=colours, legend=legend)
    bars = (
        base.transform_calculate(series=json.dumps(now))
        .mark_bar(cornerRadiusEnd=3, height=14)
        .encode(x=alt.X("revenue:Q", axis=x_axis), y=y, color=colour)
    )
    marks = (
        base.transform_calculate(series=json.dumps(before))
        .mark_tick(thickness=3, size=22)
        .encode(x=alt.X("before:Q"), y=y, color=colour)
    )
    return alt.layer(bars, marks)
