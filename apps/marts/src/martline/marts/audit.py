"""The end of a run's checks: their outcomes are recorded, and a failed check ends the run."""

from collections.abc import Iterable
from typing import Any

from pymysql.connections import Connection

from martline.command import Failure
from martline.marts import runs
from martline.marts.publish import staging
from martline.marts.rules import Outcome
from martline.marts.runs import Run


def settle(connection: "Connection[Any]", run: Run, outcomes: Iterable[Outcome]) -> None:
    """Record the outcomes of the run's checks.

    :raises Failure: a check does not hold.
    """
    outcomes = list(outcomes)
    runs.record_checks(connection, run, outcomes)
    run.checks = sum(not outcome.skipped for outcome in outcomes)
    if failed := [str(outcome) for outcome in outcomes if outcome.failed]:
        run.outcome = "rejected"
        raise Failure(f"{'; '.join(failed)}; the old marts stay, the rejected ones are in {staging('*')}")
