"""The commands."""

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from pg_to_mysql.command_line.console import Result, console_command
from pg_to_mysql.command_line.environment import (
    journal_mib_from_environment,
    mysql_from_environment,
    source_from_environment,
    spark_master_from_environment,
)
from pg_to_mysql.command_line.progress import bar
from pg_to_mysql.errors import OtherSource, WrongSettings
from pg_to_mysql.extras import extra
from pg_to_mysql.operation import roles
from pg_to_mysql.operation.observer import Observer
from pg_to_mysql.operation.plan import Plan
from pg_to_mysql.operation.run import Run
from pg_to_mysql.operation.status import UNITS, guard_disk_of
from pg_to_mysql.postgres import slots
from pg_to_mysql.replica import Replica
from pg_to_mysql.tables.unfit import UnfitRules

log = logging.getLogger(__name__)


class Size(click.ParamType[int]):
    """A number of bytes, such as 512M or 10G."""

    name = "SIZE"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """The bytes that the user means."""
        match = re.fullmatch(r"(\d+) ?([KMGT]?)(?:i?B)?", str(value), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is not a size: use a number such as 512M or 10G", parameter, context)
        return int(match[1]) * UNITS[match[2].upper()]


slot_option = click.option(
    "--slot", help="Name of the slot and the publication in PostgreSQL.  [default: from the database's name]"
)
schema_option = click.option("--schema", default="public", help="The schema in PostgreSQL.")
exclude_option = click.option(
    "--exclude", multiple=True, metavar="TABLE", help="Leave this table out. May be given several times."
)
tables_argument = click.argument("tables", nargs=-1, metavar="[TABLE ...]")
warn_option = click.option(
    "--warn-over",
    type=Size(),
    default="5G",
    help="Warn if PostgreSQL keeps more than this of its log for the slot.",
)


@console_command
@tables_argument
@exclude_option
@click.option("--follow", is_flag=True, help="Then apply each change as it comes, until SIGTERM or Ctrl-C.")
@click.option(
    "--recopy", multiple=True, metavar="TABLE", help="Copy this table again. May be given several times."
)
@click.option(
    "--start-over",
    is_flag=True,
    help="Copy every table again from the current source, even if it is a different one than before. The old"
    " copies stay readable until the new ones replace them.",
)
@click.option(
    "--drop-gone",
    type=click.IntRange(min=0),
    envvar="REPLICATION_DROP_GONE",
    metavar="N",
    help="How many copies a run may drop from MySQL because PostgreSQL no longer has their tables. If there are"
    " more, none is dropped, and the run fails after the other tables are done.  [default: 3, but never all of"
    " several]",
)
@click.option(
    "--unfit",
    multiple=True,
    metavar="[TABLE.COLUMN=]RULE",
    envvar="REPLICATION_UNFIT",
    help="What to do with a value that MySQL's type can't hold (NaN, the year 20000): stop the table (the"
    " default), store null, or make the column a text column. Applies to all columns of the tables that the run"
    " copies, or to one column. May be given several times. A table keeps its rules until --recopy.",
)
@click.option(
    "--transactional/--no-transactional",
    default=True,
    help="Whether each PostgreSQL transaction becomes one MySQL transaction, or a large one becomes visible piece"
    " by piece.",
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="With --follow, serve Prometheus metrics.")
@click.option("--metrics-address", default="127.0.0.1", help="The address to serve the metrics on.")
@warn_option
@slot_option
@schema_option
def replicate(
    tables: Sequence[str],
    exclude: Sequence[str],
    follow: bool,
    recopy: Sequence[str],
    start_over: bool,
    drop_gone: int | None,
    unfit: Sequence[str],
    transactional: bool,
    metrics_port: int | None,
    metrics_address: str,
    warn_over: int,
    slot: str | None,
    schema: str,
) -> Result:
    """Make MySQL's tables equal to PostgreSQL's.

    New tables are copied as of one moment. Then the changes that were committed since the last run are applied in
    whole transactions. If TABLEs are given, only these may join the replica; tables that are already in it
    continue in any case.

    The servers are set by PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and MYSQL_HOST, MYSQL_TCP_PORT,
    MYSQL_USER, MYSQL_PWD, MYSQL_DATABASE. TLS is set by libpq's variables and MYSQL_SSL_MODE, MYSQL_SSL_CA,
    MYSQL_SSL_CERT, MYSQL_SSL_KEY. With REPLICATION_JOURNAL_MIB, a table in MySQL of at most this size names the
    rows that have changed.
    """
    if metrics_port and not follow:
        raise WrongSettings("--metrics-port needs --follow: add it, or leave --metrics-port out")
    replica = _replica(slot, schema, unfit=UnfitRules.parse(unfit), drop_gone=drop_gone)
    plan = Plan(tables, exclude, recopy, start_over, transactional, warn_over)
    run = _follow(replica, plan, metrics_address, metrics_port) if follow else replica.replicate(plan)
    return {
        "copied": run.copied.rows,
        "copy_seconds": round(run.copied.seconds, 2),
        "changes": run.applied.changes,
        "rows_written": run.applied.rows_written,
    }


def _follow(replica: Replica, plan: Plan, address: str, port: int | None) -> Run:
    stopped = threading.Event()
    observer = Observer()
    if port:
        # Imported here, because only metrics need this library.
        with extra("metrics"):
            from pg_to_mysql.operation.metrics import Metrics

        observer = Metrics()
        observer.serve(address, port)
    return replica.follow(plan, stopped=stopped, begins=lambda: _set_by_signals(stopped), observer=observer)


def _replica(
    slot: str | None, schema: str, *, unfit: UnfitRules | None = None, drop_gone: int | None = None
) -> Replica:
    return Replica(
        source_from_environment(),
        mysql_from_environment(),
        schema=schema,
        slot=slot,
        unfit=unfit,
        drop_gone=drop_gone,
        journal_mib=journal_mib_from_environment(),
        spark_master=spark_master_from_environment(),
        progress=bar,
    )


def _set_by_signals(stopped: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C set the event; a second signal ends the program at once."""

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


@console_command
@tables_argument
@exclude_option
@click.option("--repair", is_flag=True, help="Copy the rows that differ again, and compare again.")
@slot_option
@schema_option
def replication_compare(
    tables: Sequence[str], exclude: Sequence[str], repair: bool, slot: str | None, schema: str
) -> Result:
    """Prove that both sides hold the same rows, or name the rows that differ.

    MySQL is first brought to the moment of a snapshot of PostgreSQL, so the source may keep changing. The exit
    status is 1 if a row differs. The servers are set as for `replicate`.
    """
    replica = _replica(slot, schema)
    compared = (replica.repair if repair else replica.compare)(tables, exclude=exclude)
    return {
        "equal": True,
        "rows_compared": sum(compared.rows.values()),
        "rows_repaired": compared.rows_repaired,
        "tables": {name: {"rows": rows} for name, rows in compared.rows.items()},
    }


@console_command
@warn_option
@click.option(
    "--drop-slot-over",
    type=Size(),
    help="Drop the slot if PostgreSQL keeps more of its log for it. The next run then copies all tables again.",
)
@slot_option
@schema_option
def replication_status(warn_over: int, drop_slot_over: int | None, slot: str | None, schema: str) -> Result:
    """Show how far MySQL lags behind, and the state of each table.

    The slot is checked first, and with --drop-slot-over dropped, even if MySQL can't be reached. The servers are
    set as for `replicate`.
    """
    guard_disk_of(source_from_environment(), slot, warn_over=warn_over, drop_over=drop_slot_over)
    status = _replica(slot, schema).status()
    if status.other_source:
        log.warning("%s", status.other_source, extra={"settings": OtherSource(status.other_source).settings})
    if sys.stderr.isatty():
        # Imported here, because it takes as long as the rest of the command.
        from rich.console import Console

        from pg_to_mysql.command_line.status_table import show_status

        show_status(status, Console(stderr=True))
    return asdict(status)


@console_command
@click.argument("server", type=click.Choice(["postgresql", "mysql"]))
@click.option("--role", default="replicator", help="The name of the role or of MySQL's user.")
@click.option("--host", default="%", help="The hosts that MySQL's user may connect from.")
@slot_option
@schema_option
def replication_roles(server: str, role: str, host: str, slot: str | None, schema: str) -> None:
    """Print SQL that creates a role with the least privileges. It contains no password and can be run again.

    \b
        replication-roles postgresql | psql
        replication-roles mysql | mysql

    The database is that of PGDATABASE or MYSQL_DATABASE. Run the SQL as a superuser, or as a user who owns the
    tables and may create roles. Then give the role its password: in psql with `\\password replicator`, in mysql
    with `ALTER USER replicator IDENTIFIED BY '...' ACCOUNT UNLOCK`.
    """  # noqa: D301 - what click leaves as it is begins with a backspace
    if server == "mysql":
        click.echo(roles.mysql(role, host, _setting("MYSQL_DATABASE")))
    else:
        name = slots.choose_slot_name(_setting("PGDATABASE"), slot)
        click.echo(roles.postgresql(role, schema, name, _setting("PGDATABASE")))


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise WrongSettings(f"{name} is not set: set it to the name of the replicated database")
    return value


pg_to_mysql = click.Group(
    "pg-to-mysql",
    {
        "replicate": replicate,
        "compare": replication_compare,
        "status": replication_status,
        "roles": replication_roles,
    },
    help="Keep tables of MySQL equal to those of a PostgreSQL database.",
)
