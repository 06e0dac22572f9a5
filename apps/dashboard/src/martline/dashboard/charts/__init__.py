"""One function for each chart. Each takes rows as dictionaries, and returns an Altair chart of a given width.

In a notebook such a chart shows itself; :func:`martline.dashboard.charts.svg.draw` makes it a part of a page.
"""

from martline.dashboard.charts.categories import revenue_by_category
from martline.dashboard.charts.checks import average_check_by_status
from martline.dashboard.charts.palette import LIGHT, style
from martline.dashboard.charts.ratings import ratings
from martline.dashboard.charts.retention import retention
from martline.dashboard.charts.segments import users_by_segment
from martline.dashboard.charts.timeline import over_time
from martline.dashboard.charts.units import Units

__all__ = [
    "LIGHT",
    "Units",
    "average_check_by_status",
    "over_time",
    "ratings",
    "retention",
    "revenue_by_category",
    "style",
    "users_by_segment",
]
