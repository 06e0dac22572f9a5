"""The commands."""

import logging
import signal
import threading
from collections.abc import Sequence

import click

from command import Result, console_command
from replication.catalogue import UnfitRules
from replication.changes import Applied
from replication.repair import compare_tables
from replication.replica import Replica, open_replica, require
from replication.status import read_status

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2

slot_option = click.option(
    "--slot", help="Name of slot and publication in PostgreSQL.  [default: made of the database's name]"
)
schema_option = click.option("--schema", default="public", help="PostgreSQL's schema.")
exclude_option = click.option("--exclude", multiple=True, metavar="TABLE", help="Leave a table out; repeatable.")
tables_argument = click.argument("tables", nargs=-1, metavar="[TABLE ...]")


@console_command
@tables_argument
@exclude_option
@click.option("--follow", is_flag=True, help="Go on with each change as it comes, until interrupted.")
@click.option("--recopy", multiple=True, metavar="TABLE", help="Copy a table once more; repeatable.")
@click.option(
    "--unfit",
    multiple=True,
    metavar="[TABLE.COLUMN=]RULE",
    envvar="REPLICATION_UNFIT",
    help="What becomes of a value that MySQL's type can't hold (NaN, the year 20000): stop (the default), null,"
    " or text (the column is a text column). For all columns of the tables that are copied, or for one; "
    "repeatable. A table keeps its rules until it is copied again.",
)
@slot_option
@schema_option
def replicate(
    tables: Sequence[str],
    exclude: Sequence[str],
    follow: bool,
    recopy: Sequence[str],
    unfit: Sequence[str],
    slot: str | None,
    schema: str,
) -> Result:
    """Make MySQL's tables equal to PostgreSQL's.

    Tables that are new are copied as they are at one moment; the changes that were committed since the last
    run are applied in whole transactions. Without a TABLE, all tables are meant; tables once copied go on
    in any case. The settings are PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and MYSQL_HOST,
    MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD, MYSQL_DATABASE.
    """
    with open_replica(slot, schema, UnfitRules.parse(unfit)) as replica:
        wanted, refused = replica.choose_tables(tables, exclude)
        with replica.locked():
            replica.copy_again(recopy)
            copied = replica.copy_new(wanted)
            applied = replica.apply()
        require({**refused, **copied.failed}, replica.stopped())
        if follow:
            applied += _follow(replica)
        log.info("equal to PostgreSQL: %s changes since the last run", f"{applied.changes:,}")
        return {
            "copied": copied.rows,
            "copy_seconds": round(copied.seconds, 2),
            "changes": applied.changes,
            "rows_written": applied.rows_written,
        }


def _follow(replica: Replica) -> Applied:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    log.info("following: SIGTERM or Ctrl-C ends it")
    applied = Applied()
    while not stopped.wait(POLL_SECONDS):
        with replica.locked():
            applied += replica.apply()
    return applied


@console_command
@tables_argument
@exclude_option
@click.option("--repair", is_flag=True, help="Bring the rows that differ again, and compare again.")
@slot_option
@schema_option
def replication_compare(
    tables: Sequence[str], exclude: Sequence[str], repair: bool, slot: str | None, schema: str
) -> Result:
    """Prove that MySQL has the rows that PostgreSQL has, or name those that differ.

    Both sides are brought to the same moment first, so the source may go on changing. Ends with status 1 if
    a row differs. The settings are those of `replicate`.
    """
    with open_replica(slot, schema) as replica:
        names, refused = replica.choose_tables(tables, exclude)
        with replica.locked():
            result = compare_tables(replica, names, repair=repair)
        require(refused, replica.stopped())
        return result


@console_command
@slot_option
@schema_option
def replication_status(slot: str | None, schema: str) -> Result:
    """Show how far MySQL is behind, and when each table was copied.

    The settings are those of `replicate`.
    """
    with open_replica(slot, schema) as replica:
        return read_status(replica)
