"""What the notebooks start from. The settings come from the environment, as for every command of the platform.

- :func:`source` asks PostgreSQL, :func:`replica` asks MySQL; both only read;
- :func:`marts` lists the marts, and :func:`mart` is one of them;
- :func:`spark` is a session, and :func:`tables` are the replica's tables in it;
- :func:`try_mart` makes a mart that is not published.

Altair's charts are pictures that need no network, in the colours of the dashboard, once this is imported.
"""

from martline.notebooks.databases import replica, source
from martline.notebooks.pictures import show_as_pictures
from martline.notebooks.published import mart, marts
from martline.notebooks.session import spark, tables
from martline.notebooks.trial import Trial, try_mart

__all__ = ["Trial", "mart", "marts", "replica", "source", "spark", "tables", "try_mart"]

show_as_pictures()
