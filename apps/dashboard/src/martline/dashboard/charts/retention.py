"""The heat map of retention."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from martline.dashboard.charts.palette import HEAT, LIGHT
from martline.dashboard.charts.picture import Picture

CELL_HEIGHT = 28
DARK_FROM = 4
"""The step of the scale from which a number in a cell is light."""


def retention(rows: Sequence[Mapping[str, Any]], *, width: int) -> Picture:
    """A cell for each ``cohort`` (a row) and ``month`` since registration, by ``percent`` of its users.

    ``label`` is written into the cell.
    """
    cohorts = list(dict.fromkeys(row["cohort"] for row in rows))
    bounds = _bounds([row["percent"] for row in rows])
    base = alt.Chart(alt.InlineData(values=list(rows)), width=width, height=CELL_HEIGHT * len(cohorts))
    x = alt.X(
        "month:O",
        axis=alt.Axis(orient="top", labelAngle=0, title=None),
        scale=alt.Scale(paddingInner=0.06, paddingOuter=0),
    )
    y = alt.Y(
        "cohort:N",
        sort=cohorts,
        axis=alt.Axis(labelColor=LIGHT["ink"], title=None),
        scale=alt.Scale(paddingInner=0.12, paddingOuter=0),
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        x=x,
        y=y,
        color=alt.Color(
            "percent:Q", scale=alt.Scale(type="threshold", domain=bounds, range=list(HEAT)), legend=None
        ),
    )
    ink = alt.when(f"datum.percent >= {bounds[DARK_FROM - 1]}")
    texts = base.mark_text().encode(
        x=x,
        y=y,
        text="label:N",
        color=ink.then(alt.value(LIGHT["heat-paper"])).otherwise(alt.value(LIGHT["heat-ink"])),
    )
    return alt.layer(cells, texts)


def _bounds(values: Sequence[float]) -> list[float]:
    """Five bounds at equal distances, between which the colours change."""
    highest = max(values, default=0) or 1
    return [highest * step / len(HEAT) for step in range(1, len(HEAT))]
