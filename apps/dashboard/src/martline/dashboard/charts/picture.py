"""What a function of a chart returns."""

import altair as alt

Picture = alt.LayerChart | alt.FacetChart
"""As Altair calls what it puts together of several layers."""
