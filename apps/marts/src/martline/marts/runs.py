"""The record of all runs: the moment of the replica that each has read, its marts, and its checks."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymysql.connections import Connection

from martline.marts.lineage import Lineage
from martline.marts.rules import Outcome

RUNS = "mart_runs"
CHECKS = "mart_checks"
_CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS `{RUNS}` (
        run_id BIGINT NOT NULL AUTO_INCREMENT COMMENT 'In the order of their starts',
        started_at DATETIME(6) NOT NULL COMMENT 'UTC',
        seconds DECIMAL(12,2) COMMENT 'From the start to the end',
        marts LONGTEXT NOT NULL COMMENT 'The marts that were to be built',
        lsn VARCHAR(32) COMMENT 'Position in the log of PostgreSQL of which the replica was',
        `rows` BIGINT COMMENT 'Rows of all its marts',
        outcome VARCHAR(16) NOT NULL COMMENT 'running, published, rejected, failed, killed or rolled back',
        reason LONGTEXT COMMENT 'Why it was not published',
        PRIMARY KEY (run_id)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='Every run of build-marts'
    """,
    f"""
    CREATE TABLE IF NOT EXISTS `{CHECKS}` (
        run_id BIGINT NOT NULL COMMENT 'The run',
        mart VARCHAR(64) NOT NULL COMMENT 'The mart',
        `check` VARCHAR(128) NOT NULL COMMENT 'The check',
        outcome VARCHAR(16) NOT NULL COMMENT 'passed, failed, or skipped',
        offences BIGINT COMMENT 'Rows that offend',
        sample LONGTEXT COMMENT 'What identifies one of them, or why the check was skipped',
        PRIMARY KEY (run_id, mart, `check`)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='The checks of every run of build-marts'
    """,
)

log = logging.getLogger(__name__)


@dataclass
class Run:
    """A run, whose record is written while it goes on."""

    run_id: int
    started_at: datetime
    lsn: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    """The number of rows of each mart."""
    written: int = 0
    """The number of rows that were written."""
    lineages: dict[str, Lineage] = field(default_factory=dict)
    """The lineage of each mart."""
    seconds: dict[str, float] = field(default_factory=dict)
    """The seconds of its parts: the reading, each mart, the checks."""
    checks: int = 0
    """The number of checks that were made, without those that were skipped."""
    incremental: bool = False
    """Whether only the changed rows were read."""
    outcome: str = "failed"

    def begin_anew(self) -> None:
        """Forget the work so far, which is not published."""
        self.rows.clear()
        self.seconds.clear()
        self.written = 0

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Take the time of a part of the run, and log it."""
        started = time.monotonic()
        yield
        self.seconds[part] = round(time.monotonic() - started, 2)
        rows = f"{self.rows[part]} rows in " if part in self.rows else ""
        log.info("%s: %s%.1f s", part, rows, self.seconds[part])


@contextmanager
def recorded(connection: "Connection[Any]", marts: Sequence[str], published: int) -> Iterator[Run]:
    """Record a run, even if it fails. If an earlier run was killed, record that too.

    :param published: the newest run whose marts readers see. Its number is not used again, even if somebody has
        emptied the record.
    """
    started, started_at = time.monotonic(), datetime.now(UTC).replace(tzinfo=None)
    with connection.cursor() as cursor:
        for statement in _CREATE:
            cursor.execute(statement)
        cursor.execute(f"UPDATE `{RUNS}` SET outcome = 'killed' WHERE outcome = 'running'")  # noqa: S608
        cursor.execute(f"SELECT MAX(run_id) FROM `{RUNS}` UNION SELECT MAX(run_id) FROM `{CHECKS}`")  # noqa: S608
        last = max(published, *(run_id or 0 for (run_id,) in cursor.fetchall()))
        run = Run(last + 1, started_at)
        cursor.execute(
            f"INSERT INTO `{RUNS}` (run_id, started_at, marts, outcome) VALUES (%s, %s, %s, 'running')",  # noqa: S608
            (run.run_id, started_at, ", ".join(marts)),
        )
    reason: str | None = None
    try:
        yield run
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise
    finally:
        # Otherwise the next run would record that this one was killed.
        if connection.open:
            _record_end(connection, run, time.monotonic() - started, reason)


def _record_end(connection: "Connection[Any]", run: Run, seconds: float, reason: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE `{RUNS}` SET seconds = %s, lsn = %s, `rows` = %s, outcome = %s, reason = %s"  # noqa: S608
            " WHERE run_id = %s",
            (
                round(seconds, 2),
                run.lsn,
                sum(run.rows.values()) if run.rows else None,
                run.outcome,
                reason,
                run.run_id,
            ),
        )


def record_checks(connection: "Connection[Any]", run: Run, outcomes: Iterable[Outcome]) -> None:
    """Record the outcomes, and log the checks that failed or were skipped."""
    rows = []
    for outcome in outcomes:
        if outcome.failed:
            log.error("%s", outcome)
        elif outcome.skipped:
            log.warning("%s: %s is skipped: %s", outcome.mart, outcome.check, outcome.sample)
        rows.append((run.run_id, outcome.mart, outcome.check, outcome.state, outcome.offences, outcome.sample))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO `{CHECKS}` VALUES (%s, %s, %s, %s, %s, %s)", rows)  # noqa: S608


def record_rollback(connection: "Connection[Any]", run_id: int) -> None:
    """Record that the marts of a run were rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE `{RUNS}` SET outcome = 'rolled back' WHERE run_id = %s", (run_id,))  # noqa: S608
