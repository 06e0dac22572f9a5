"""The type that the functions of charts return."""

import altair as alt

Picture = alt.LayerChart | alt.FacetChart
"""Altair's types of charts with several layers."""
