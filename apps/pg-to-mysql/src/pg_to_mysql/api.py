"""The public API; programs import it from :mod:`pg_to_mysql`."""

from pg_to_mysql.changes.apply import Applied
from pg_to_mysql.comparison.repair import Compared
from pg_to_mysql.errors import (
    Failure,
    Kind,
    OtherSource,
    PassingFailure,
    Refused,
    RowDifference,
    RowsDiffer,
    Setting,
    TablesGone,
    TablesLeftOut,
    WrongSettings,
)
from pg_to_mysql.mysql.settings import MySQLSettings, SSLMode
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.plan import Plan
from pg_to_mysql.operation.run import Run
from pg_to_mysql.operation.status import Status, TableStatus
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.replica import Replica
from pg_to_mysql.snapshot.copy import Snapshot
from pg_to_mysql.tables.types import Unfit
from pg_to_mysql.tables.unfit import UnfitRules

__all__ = [
    "Applied",
    "Compared",
    "Failure",
    "Kind",
    "MySQLSettings",
    "Observer",
    "OtherSource",
    "PassingFailure",
    "Plan",
    "Refused",
    "Replica",
    "RowDifference",
    "RowsDiffer",
    "Run",
    "SSLMode",
    "Setting",
    "Snapshot",
    "Source",
    "Status",
    "TableStatus",
    "TablesGone",
    "TablesLeftOut",
    "Unfit",
    "UnfitRules",
    "WrongSettings",
]
