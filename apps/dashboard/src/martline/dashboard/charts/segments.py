"""Customers by segment."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import LIGHT
from martline.dashboard.charts.picture import Picture

BAR_HEIGHT = 34
ROOM_FOR_LABELS = 1.32
"""The picture's width, as a multiple of the longest bar."""


def users_by_segment(rows: Sequence[Mapping[str, Any]], *, width: int) -> Picture:
    """A bar of ``users`` for each ``segment``, in the given order, with ``label`` at its end."""
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=BAR_HEIGHT * len(rows))
    y_axis = alt.Axis(labelColor=LIGHT["ink"], labelLimit=width // 3, title=None)
    y = alt.Y("segment:N", sort=[row["segment"] for row in rows], axis=y_axis)
    most = max((row["users"] for row in rows), default=1)
    x = alt.X("users:Q", scale=alt.Scale(domain=[0, most * ROOM_FOR_LABELS], nice=False), axis=None)
    bars = base.mark_bar(color=LIGHT["series"], cornerRadiusEnd=3, height=16).encode(x=x, y=y)
    labels = base.mark_text(align="left", dx=8, color=LIGHT["muted"]).encode(x=x, y=y, text="label:N")
    return alt.layer(bars, labels)
