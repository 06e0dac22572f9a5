"""Products by their average rating."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.picture import Picture

BAR_HEIGHT = 30
STARS = 5


def ratings(rows: Sequence[Mapping[str, Any]], *, width: int, good: bool = True) -> Picture:
    """A bar up to ``rating`` for each ``product``, in the given order, with ``label`` at its end."""
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=BAR_HEIGHT * len(rows))
    y_axis = alt.Axis(labelLimit=int(width * 0.4), labelColor=LIGHT["ink"], title=None)
    y = alt.Y("product:N", sort=[row["product"] for row in rows], axis=y_axis)
    x_axis = alt.Axis(values=list(range(STARS + 1)), grid=True, title=None)
    x = alt.X("rating:Q", scale=alt.Scale(domain=[0, STARS + 0.6], nice=False), axis=x_axis)
    bars = base.mark_bar(color=LIGHT["good" if good else "poor"], cornerRadiusEnd=3, height=14).encode(x=x, y=y)
    labels = base.mark_text(align="left", dx=6).encode(x=x, y=y, text="label:N")
    return alt.layer(bars, labels)
