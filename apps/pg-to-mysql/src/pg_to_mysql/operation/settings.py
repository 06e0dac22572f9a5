"""The settings of a replica."""

from dataclasses import dataclass, field

from pg_to_mysql.mysql.settings import MySQLSettings
from pg_to_mysql.postgres.connection import Source
from pg_to_mysql.snapshot.copy import Means
from pg_to_mysql.tables.unfit import UnfitRules


@dataclass(frozen=True)
class Settings:
    """The servers of a replica, and how it is kept."""

    source: Source
    target: MySQLSettings
    schema: str = "public"
    slot: str | None = None
    """The name of slot and publication; if None, it is made from the database's name."""
    unfit: UnfitRules = field(default_factory=UnfitRules)
    """The rules for values that MySQL can't hold."""
    drop_gone: int | None = None
    """How many copies of tables that are gone from PostgreSQL may be dropped; None for a few."""
    journal_mib: int = 0
    """The bound of the journal of changed rows in MySQL, in MiB; 0 if none is kept."""
    means: Means = field(default_factory=Means)
