"""The average check by the order's status and the user's loyalty status."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.picture import Picture
from martline.dashboard.charts.units import Units

ROW_HEIGHT = 32
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
KNOWN = {"Gold": "gold", "Silver": "silver", "Bronze": "bronze"}
OTHERS = ("series", "good", "poor", "before")


def average_check_by_status(
    rows: Sequence[Mapping[str, Any]], *, width: int, units: Units | None = None
) -> Picture:
    """A point at ``average`` for each ``status`` and ``loyalty``; ``name`` is the name of the loyalty status."""
    statuses = sorted({row["status"] for row in rows})
    loyalties = _in_order({row["loyalty"] for row in rows})
    names = {row["loyalty"]: row["name"] for row in rows}
    others = (OTHERS[place % len(OTHERS)] for place in range(len(loyalties)))
    colours = [LIGHT[KNOWN.get(loyalty) or next(others)] for loyalty in loyalties]
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(loyalties))]
    domain = [names[loyalty] for loyalty in loyalties]
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=ROW_HEIGHT * len(statuses))
    y = alt.Y("status:N", axis=alt.Axis(labelColor=LIGHT["ink"], labelLimit=width // 3, title=None))
    values = [row["average"] for row in rows]
    x_axis = alt.Axis(
        grid=True, tickCount=max(2, width // 110), title=None, labelExpr=(units or Units()).expression(values)
    )
    x = alt.X("average:Q", scale=alt.Scale(zero=False, nice=True, padding=10), axis=x_axis)
    spans = base.mark_line(color=LIGHT["grid"], strokeWidth=3).encode(x=x, y=y, detail="status:N")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=x,
        y=y,
        color=alt.Color("name:N", scale=alt.Scale(domain=domain, range=colours)),
        shape=alt.Shape("name:N", scale=alt.Scale(domain=domain, range=shapes)),
    )
    return alt.layer(spans, points)


def _in_order(loyalties: set[str]) -> list[str]:
    known = [loyalty for loyalty in KNOWN if loyalty in loyalties]
    return known + sorted(loyalties - set(known))
