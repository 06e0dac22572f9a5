"""PostgreSQL to MySQL: any tables with a key, copied, followed and compared.

A program needs only :class:`Replica`, with :class:`Source` and :class:`MySQLSettings` to say where the servers
are. Only the command line, in :mod:`pg_to_mysql.command_line`, reads the environment, prints or exits. (libpq
also reads its own variables, for what a :class:`Source` leaves open.)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pg_to_mysql.api import *  # noqa: F403


def __getattr__(name: str) -> object:
    # Imported on first use: a Spark worker needs only a part of the package, and should not wait for NumPy.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("pg_to_mysql.api"), name)
