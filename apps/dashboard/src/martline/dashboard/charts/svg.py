"""A chart as a part of a page: SVG without styles, scripts or links, in the page's colours."""

import re
from html import escape
from typing import Any

import altair as alt
import vl_convert

from martline.dashboard.charts.palette import LIGHT, style
from martline.dashboard.charts.picture import Picture

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
LOCALES: dict[str, Any] = {"en": "en-GB", "ru": "ru-RU"}
NAMES = {value: name for name, value in LIGHT.items()}
TAG = re.compile(r"<[^>]*>")
PANE = re.compile(r'<path class="(?:background|foreground)"')
"""The invisible panes that Vega draws behind and before each group."""
NEEDLESS = re.compile(
    r' (?:role|aria-[a-z]+|xmlns|xmlns:xlink|version|stroke-miterlimit|pointer-events|class)="[^"]*"'
    r'| opacity="1"| font-weight="normal"'
)
DIGITS = re.compile(r"-?\d+\.\d{2,}")
COLOUR = re.compile(r'"(#[0-9a-f]{6})"')
OPENING = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')


def draw(chart: Picture, *, name: str, title: str, language: str) -> str:
    """The chart as SVG, with numbers and months in this language. Screen readers read its ``title``.

    ``name`` must be unique on the page, because the picture's internal references contain it.
    """
    specification: dict[str, Any] = chart.to_dict(validate=False)
    specification["config"] = style()
    svg = vl_convert.vegalite_to_svg(
        specification,
        vl_version=VEGA_LITE,
        format_locale=LOCALES[language],
        time_format_locale=LOCALES[language],
    )
    # Texts are not changed, because a product may have the name of a colour.
    svg = TAG.sub(lambda tag: _tidy(tag[0], name), svg)
    return OPENING.sub(
        lambda size: (
            f'<svg class="chart" viewBox="0 0 {size[1]} {size[2]}" width="{size[1]}" height="{size[2]}"'
            f' role="img" aria-label="{escape(title)}">'
        ),
        svg,
        count=1,
    )


def _tidy(tag: str, name: str) -> str:
    if PANE.match(tag):
        return ""
    tag = NEEDLESS.sub("", tag)
    tag = DIGITS.sub(lambda digits: f"{float(digits[0]):.1f}".removesuffix(".0"), tag)
    tag = tag.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    return COLOUR.sub(lambda colour: f'"var(--{NAMES[colour[1]]})"' if colour[1] in NAMES else colour[0], tag)
