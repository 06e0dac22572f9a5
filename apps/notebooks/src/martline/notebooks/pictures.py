"""Draws charts in the notebook's process, so that a notebook loads nothing from the network."""

import altair as alt

from martline.dashboard.charts import LIGHT, style


def show_as_pictures() -> None:
    """Make Altair show charts as SVG, in the style of the dashboard, on a light background."""
    alt.renderers.enable("svg")
    alt.theme.register("martline", enable=True)(_theme)


def _theme() -> alt.theme.ThemeConfig:
    quiet = style()
    # The dashboard's pages have a heading above each chart; here the axes say what they show.
    axis = {name: value for name, value in quiet["axis"].items() if name != "title"}
    axis |= {"titleColor": LIGHT["muted"], "titleFontWeight": "normal"}
    ground = {"background": LIGHT["surface"], "padding": 8, "mark": {"color": LIGHT["series"]}}
    return alt.theme.ThemeConfig(config={**quiet, **ground, "axis": axis})  # type: ignore[typeddict-item]
