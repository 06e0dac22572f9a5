"""The page *The pipeline*: the progress of each stage, and the alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from martline.dashboard.pages.alarms import Alarm, Alarms, dictionaries, is_bad
from martline.dashboard.pages.formats import ABSENT, Formats
from martline.dashboard.pages.stages import Stage, Stages
from martline.dashboard.pages.texts import Texts
from martline.dashboard.pages.view import View
from martline.dashboard.reading.airflow import DagRuns
from martline.dashboard.reading.elsewhere import Elsewhere
from martline.dashboard.reading.pipeline import MartColumn, Pipeline, ReplicatedTable
from martline.dashboard.reading.shop import Shop
from martline.dashboard.tables import ALL_MARTS, LINEAGE, VERSIONS

RECORDS = dict.fromkeys((VERSIONS, "mart_runs", "mart_checks", LINEAGE), "build-marts")
"""The tables that may be missing even if there are marts, each with the command that creates it."""


@dataclass(frozen=True)
class Absent:
    """Something that the page can't show, and the command that shows or creates it."""

    what: str
    command: str


@dataclass(frozen=True)
class Away:
    """A server that does not answer: the page's sentence about it, and the reason."""

    what: str
    reason: str


@dataclass(frozen=True)
class DagLine:
    """The page's line for a DAG: its last run, and the runs before it."""

    title: str
    state: str
    is_bad: bool
    started: str
    seconds: str
    before: Sequence[tuple[bool, str]]
    """For each run, the last one first: whether somebody should look at it, and its duration or outcome."""


class PipelinePage:
    """The content of the page."""

    def __init__(self, pipeline: Pipeline, shop: Shop, elsewhere: Elsewhere, view: View, now: datetime) -> None:
        self.pipeline = pipeline
        self.shop = shop
        self.elsewhere = elsewhere
        self.texts = Texts(view.language)
        self.formats = Formats(view.language)
        self._stages = Stages(self.texts, self.formats, now)
        self._alarms = Alarms(self.texts, self.formats, now)

    def alarms(self) -> list[Alarm]:
        """The alarms, each with the reason and what to do."""
        return self._alarms.of(self.pipeline, self.elsewhere)

    def stages(self) -> list[Stage]:
        """The progress of each stage."""
        return self._stages.of(self.pipeline, self.shop, self.elsewhere)

    def away(self) -> list[Away]:
        """The servers besides MySQL that do not answer."""
        return [
            Away(
                self.texts("source.away", server=name, age=self.formats.age(self._stages.since(told.at)))
                if told.at
                else self.texts("source.never", server=name),
                told.failure,
            )
            for name, told in self.elsewhere.all().items()
            if told.failure
        ]

    def dags(self) -> list[DagLine]:
        """The DAGs that Airflow has reported."""
        told = self.elsewhere.airflow
        return [self._dag(of_dag) for of_dag in (told.value if told else None) or ()]

    def tables(self) -> list[tuple[ReplicatedTable, str, str]]:
        """The replicated tables, with their formatted numbers of rows and times."""
        return [
            (table, self.formats.count(table.rows_copied), self.formats.moment(table.copied_at))
            for table in self.pipeline.tables
        ]

    def marts(self) -> list[tuple[str, str, str, str, str]]:
        """Each mart: its name, rows, the run and the time of its build, and its age."""
        lines = []
        for mart in ALL_MARTS:
            version = self.shop.versions.get(mart)
            built_at = version.built_at if version else None
            lines.append(
                (
                    mart,
                    self.formats.count(version.rows if version else None),
                    self.formats.count(version.run_id if version else None),
                    self.formats.moment(built_at),
                    self.formats.age(self._stages.since(built_at)),
                )
            )
        return lines

    def lineage(self) -> list[tuple[str, Sequence[MartColumn]]]:
        """Each mart with its columns, if their lineage is known."""
        return [] if LINEAGE in self.pipeline.missing else sorted(self.pipeline.lineage.items())

    def listings(self) -> list[tuple[str, Sequence[str], list[tuple[bool, list[str]]]]]:
        """The last runs and checks: a title, the columns, and the rows, with a mark at the bad ones."""
        listings: list[tuple[str, Sequence[str], list[tuple[bool, list[str]]]]] = []
        for listing in (self.pipeline.runs, self.pipeline.checks):
            if listing is not None:
                marked = [
                    (is_bad(row.get("outcome")), [self._cell(listing.table, *column) for column in row.items()])
                    for row in dictionaries(listing)
                ]
                listings.append((self.texts(f"listing.{listing.table}"), listing.columns, marked))
        return listings

    def absent(self) -> list[Absent]:
        """Everything that the page can't show, each with the command that shows or creates it."""
        t = self.texts
        absent = [Absent(t("absent.table", table=mart), "build-marts") for mart in self.shop.missing]
        if not self.pipeline.replicas:
            absent.append(Absent(t("absent.replication"), "replicate"))
        absent += [
            Absent(t("absent.record", table=table), command)
            for table, command in RECORDS.items()
            if table in self.pipeline.missing
        ]
        if self.elsewhere.postgres is None:
            absent.append(Absent(t("absent.lag_bytes"), "replication-status"))
            absent.append(Absent(t("absent.dead_letters"), "shop-dead-letters list"))
        if self.elsewhere.kafka is None or self.elsewhere.postgres is None:
            absent.append(Absent(t("absent.events"), "shop-consume --until-caught-up"))
        if self.elsewhere.airflow is None:
            absent.append(Absent(t("absent.dags"), "airflow dags list-runs build_marts"))
        return absent

    def _dag(self, of_dag: DagRuns) -> DagLine:
        t, f = self.texts, self.formats
        title = t("dag.paused", dag=of_dag.dag.title) if of_dag.dag.is_paused else of_dag.dag.title
        if not of_dag.runs:
            return DagLine(title, t("dag.no_runs"), False, ABSENT, ABSENT, ())
        last, *before = of_dag.runs
        return DagLine(
            title,
            t.name_of("run_state", last.state),
            is_bad(last.state),
            f.moment(last.started_at),
            f.seconds(last.seconds),
            [
                (is_bad(run.state), f.seconds(run.seconds) if run.state == "success" else state)
                for run in before
                for state in (t.name_of("run_state", run.state),)
            ],
        )

    def _cell(self, table: str, column: str, value: Any) -> str:
        return self.texts.name_of(table, str(value)) if column == "outcome" else self._written(value)

    def _written(self, value: Any) -> str:
        if value is None:
            return ABSENT
        if isinstance(value, datetime):
            return self.formats.moment(value.replace(tzinfo=UTC))
        if isinstance(value, int):
            return self.formats.count(value)
        return self.formats.money(value) if isinstance(value, Decimal) else str(value)
