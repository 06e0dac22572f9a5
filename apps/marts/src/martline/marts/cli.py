"""The commands ``build-marts`` and ``check-marts``."""

import click

from martline.command import Failure, Result, WrongSettings, console_command
from martline.marts import checks, publish, runs
from martline.marts.build import build
from martline.marts.catalogue import MARTS, chosen
from martline.marts.plan import plan
from martline.marts.rollback import roll_back
from pg_to_mysql.command_line.environment import mysql_from_environment
from pg_to_mysql.passing import in_sentences


@console_command
@click.argument("marts", nargs=-1, type=click.Choice(list(MARTS)), metavar="[MART ...]")
@click.option("--plan", "only_plan", is_flag=True, help="Build nothing: show what would be built, of what.")
@click.option("--rollback", is_flag=True, help="Build nothing: bring back the marts from before the last run.")
@click.option("--full", is_flag=True, help="Read all rows, also where those that have changed would do.")
@click.option("--fewer-rows", is_flag=True, help="Let a mart have less than half the rows of its last version.")
@in_sentences
def build_marts(marts: tuple[str, ...], only_plan: bool, rollback: bool, full: bool, fewer_rows: bool) -> Result:
    """Build the marts from the replicated tables, and show them to readers all at once.

    All marts are built when no MART is named. If MARTS_STATE names a folder, a run keeps there what it has read,
    and the next run reads only what has changed since. Readers see the old marts until the new ones have passed
    their checks, and nothing in between. The table mart_runs lists every run, and mart_checks its checks.
    """
    if only_plan + rollback + (full or fewer_rows) > 1 or (rollback and marts):
        raise WrongSettings("--plan, --rollback and the others exclude each other; --rollback takes no MART")
    settings = mysql_from_environment()
    if only_plan:
        return plan(chosen(marts), settings)
    if rollback:
        with settings.connect(autocommit=True) as connection:
            publish.keep_others_out(connection)
            run, names = roll_back(connection)
            runs.record_rollback(connection, run)
        return {"rolled_back": names, "run": run}
    built = build(chosen(marts), settings, fewer_rows=fewer_rows, anew=full)
    return {
        "run": built.run_id,
        "lsn": built.lsn,
        "marts": built.rows,
        "rows_written": built.written,
        "checks": built.checks,
        "incremental": built.incremental,
        "seconds_of": built.seconds,
    }


@console_command
@in_sentences
def check_marts() -> Result:
    """Run the quality checks on the marts as readers see them."""
    with mysql_from_environment().connect(autocommit=True) as connection:
        outcomes = checks.run_on_published(connection)
    if failed := [str(outcome) for outcome in outcomes if outcome.failed]:
        raise Failure(f"{'; '.join(failed)}; find the cause in the sources, then run build-marts")
    skipped = sum(outcome.skipped for outcome in outcomes)
    return {"checks": len(outcomes) - skipped, "skipped": skipped, "failed": len(failed)}
