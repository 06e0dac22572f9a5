"""The commands ``build-marts`` and ``check-marts``."""

import click

from martline.command import Failure, Result, console_command
from martline.marts import checks
from martline.marts.build import build
from martline.marts.catalogue import MARTS, chosen
from pg_to_mysql.command_line.environment import mysql_from_environment


@console_command
@click.argument("marts", nargs=-1, type=click.Choice(list(MARTS)), metavar="[MART ...]")
def build_marts(marts: tuple[str, ...]) -> Result:
    """Build the marts from the replicated tables with Spark and swap them in, all of them at once.

    MART is mart_user_activity, mart_product_rating or mart_average_check; all are built when none is named.
    Readers see the old marts until the new ones have passed their quality checks, and nothing in between.
    """
    rows = build(chosen(marts), mysql_from_environment())
    return {"marts": rows, "rows_written": sum(rows.values())}


@console_command
def check_marts() -> Result:
    """Run the quality checks on the marts as readers see them."""
    with mysql_from_environment().connect(autocommit=True) as connection:
        ran, failed = checks.run_on_published(connection)
    if failed:
        raise Failure(f"{'; '.join(failed)}; find the cause in the sources, then run build-marts")
    return {"checks": ran, "failed": len(failed)}
