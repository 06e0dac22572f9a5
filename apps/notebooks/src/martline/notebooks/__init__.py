"""Functions for notebooks. The settings come from the environment, as for every command of the platform.

- :func:`source` queries PostgreSQL, and :func:`replica` queries MySQL; both only read;
- :func:`marts` lists the marts, and :func:`mart` reads one of them;
- :func:`spark` returns a Spark session, and :func:`tables` the replica's tables in it;
- :func:`try_mart` builds a mart without publishing it.

Importing this module makes Altair show charts as pictures that need no network, in the colours of the dashboard.
"""

from martline.notebooks.databases import replica, source
from martline.notebooks.pictures import show_as_pictures
from martline.notebooks.published import mart, marts
from martline.notebooks.session import spark, tables
from martline.notebooks.trial import Trial, try_mart

__all__ = ["Trial", "mart", "marts", "replica", "source", "spark", "tables", "try_mart"]

show_as_pictures()
