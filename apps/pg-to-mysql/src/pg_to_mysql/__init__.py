"""PostgreSQL to MySQL: any tables with a key, copied, followed and compared.

:class:`Replica` is all that a program needs, with :class:`Source` and :class:`MySQLSettings` that say where the
servers are. Nothing in this package reads the environment, prints or exits but its command line, which is in
:mod:`pg_to_mysql.command_line`. (libpq itself reads its own variables for what a :class:`Source` leaves open.)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pg_to_mysql.api import *  # noqa: F403


def __getattr__(name: str) -> object:
    # Imported when it is asked for: a worker of Spark's needs a part of it, and need not wait for NumPy.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("pg_to_mysql.api"), name)
