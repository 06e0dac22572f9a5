"""The charts' colours and type.

Each colour stands for one thing everywhere, and no two things have the same: a page replaces them by variables of
its style sheet, so that one picture suits both looks.
"""

from typing import Any

LIGHT = {
    "ink": "#1d2330",
    "muted": "#5b6473",
    "grid": "#e6e8ec",
    "surface": "#fffffe",
    "series": "#2f5fd0",
    "before": "#98a1b0",
    "good": "#1f8a5b",
    "poor": "#c2553a",
    "gold": "#b7860b",
    "silver": "#7d8899",
    "bronze": "#a4582d",
    "heat-0": "#eef3fd",
    "heat-1": "#d5e2fb",
    "heat-2": "#b1c9f6",
    "heat-3": "#84a8ee",
    "heat-4": "#5583e0",
    "heat-5": "#2f5fcf",
    "heat-ink": "#1d2331",
    "heat-paper": "#fefffe",
}
"""The colours of a light page, by name."""
HEAT = tuple(LIGHT[f"heat-{step}"] for step in range(6))
FONT = "Inter, system-ui, sans-serif"
LABEL_SIZE = 13
"""The size of labels in pixels. The page shows them at 12, because browsers' letters are wider than those that
Vega measures."""


def style() -> dict[str, Any]:
    """The configuration of Vega-Lite: quiet axes, no frames."""
    return {
        "background": "transparent",
        "padding": {"left": 10, "top": 2, "right": 6, "bottom": 0},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": LIGHT["muted"],
            "labelFontSize": LABEL_SIZE,
            "labelPadding": 8,
            "gridColor": LIGHT["grid"],
            "domain": False,
            "ticks": False,
            "title": None,
        },
        "axisX": {"grid": False},
        "legend": {
            "labelColor": LIGHT["ink"],
            "labelFontSize": LABEL_SIZE,
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "offset": 12,
            "padding": 0,
            "columnPadding": 14,
            "symbolSize": 90,
        },
        "text": {"color": LIGHT["ink"], "fontSize": LABEL_SIZE},
    }
