"""The page *The pipeline*: how far each stage is, and what needs a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from martline.dashboard.pages.formats import ABSENT, Formats
from martline.dashboard.pages.texts import Texts
from martline.dashboard.pages.view import View
from martline.dashboard.reading.pipeline import Listing, Pipeline, ReplicatedTable
from martline.dashboard.reading.shop import Shop
from martline.dashboard.tables import MARTS

BAD_OUTCOMES = ("failed", "rejected", "killed")
RECORDS = {"mart_runs": "build-marts", "mart_checks": "build-marts"}
"""What may be missing although the marts are there, and the command that makes it."""


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: a number that says how far it is, and details."""

    title: str
    value: str
    caption: str
    details: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Alarm:
    """What somebody has to do something about."""

    what: str
    reason: str
    advice: str
    command: str


@dataclass(frozen=True)
class Absent:
    """What this page does not know, and the command that tells it or makes it."""

    what: str
    command: str


class PipelinePage:
    """What the page shows."""

    def __init__(self, pipeline: Pipeline, shop: Shop, view: View, now: datetime) -> None:
        self.pipeline = pipeline
        self.shop = shop
        self.now = now
        self.texts = Texts(view.language)
        self.formats = Formats(view.language)

    def alarms(self) -> list[Alarm]:
        """Stopped tables, failed checks and failed runs, with the reason and what to do."""
        t = self.texts
        alarms = [
            Alarm(
                t("alarm.table", table=table.name),
                table.stopped or "",
                t("alarm.table.advice"),
                f"replicate --recopy {table.name}",
            )
            for table in self.pipeline.stopped
        ]
        for row in _dictionaries(self.pipeline.checks):
            if row.get("outcome") == "failed":
                what = t("alarm.check", mart=row.get("mart"), check=row.get("check"))
                reason = t("alarm.check.reason", offences=row.get("offences"), sample=row.get("sample") or ABSENT)
                alarms.append(Alarm(what, reason, t("alarm.check.advice"), "build-marts"))
        last = next(iter(_dictionaries(self.pipeline.runs)), {})
        if is_bad(last.get("outcome")):
            what = t("alarm.run", run=last.get("run_id"))
            alarms.append(Alarm(what, str(last.get("reason") or ABSENT), t("alarm.run.advice"), "build-marts"))
        return alarms

    def stages(self) -> list[Stage]:
        """The replica's and the marts' freshness."""
        return [*self._replicas(), self._marts()]

    def tables(self) -> list[tuple[ReplicatedTable, str, str]]:
        """The replicated tables, with their rows and times as they are written."""
        return [
            (table, self.formats.count(table.rows_copied), self.formats.moment(table.copied_at))
            for table in self.pipeline.tables
        ]

    def marts(self) -> list[tuple[str, str, str, str]]:
        """Each mart: its name, rows, the time of its build and its age."""
        return [
            (
                mart,
                self.formats.count(self.shop.rows.get(mart)),
                self.formats.moment(self.shop.built_at.get(mart)),
                self.formats.age(self._since(self.shop.built_at.get(mart))),
            )
            for mart in MARTS
        ]

    def listings(self) -> list[tuple[str, Sequence[str], list[tuple[bool, list[str]]]]]:
        """The last runs and checks: title, columns, and rows of which the bad ones are marked."""
        listings: list[tuple[str, Sequence[str], list[tuple[bool, list[str]]]]] = []
        for listing in (self.pipeline.runs, self.pipeline.checks):
            if listing is not None:
                marked = [
                    (is_bad(row.get("outcome")), [self._written(value) for value in row.values()])
                    for row in _dictionaries(listing)
                ]
                listings.append((self.texts(f"listing.{listing.table}"), listing.columns, marked))
        return listings

    def absent(self) -> list[Absent]:
        """What is not in MySQL, and which command makes it or tells it."""
        t = self.texts
        absent = [Absent(t("absent.table", table=mart), "build-marts") for mart in self.shop.missing]
        if not self.pipeline.replicas:
            absent.append(Absent(t("absent.replication"), "replicate"))
        absent += [
            Absent(t(f"absent.{table}"), command)
            for table, command in RECORDS.items()
            if table in self.pipeline.missing
        ]
        return [
            *absent,
            Absent(t("absent.lag_bytes"), "replication-status"),
            Absent(t("absent.dead_letters"), "shop-dead-letters list"),
            Absent(t("absent.dags"), "airflow dags list-runs build_marts"),
        ]

    def _replicas(self) -> list[Stage]:
        t, f = self.texts, self.formats
        stages = []
        for replica in self.pipeline.replicas:
            lag = self._since(replica.equal_at)
            tables = [table for table in self.pipeline.tables if table.slot == replica.slot]
            details = [
                (t("detail.equal_at"), f.moment(replica.equal_at)),
                (t("detail.lag_seconds"), f.seconds(lag)),
                (t("detail.committed_at"), f.moment(replica.committed_at)),
                (t("detail.applied_lsn"), replica.applied_lsn),
                (t("detail.rows_copied"), f.count(sum(table.rows_copied or 0 for table in tables))),
                (t("detail.tables"), f.count(len(tables))),
            ]
            title = t("stage.replica", slot=replica.slot)
            stages.append(Stage(title, f.age(lag), t("stage.replica.caption"), details))
        return stages

    def _marts(self) -> Stage:
        t, f = self.texts, self.formats
        oldest = min(self.shop.built_at.values(), default=None)
        details = [
            (t("detail.built_at"), f.moment(oldest)),
            (t("detail.marts"), f.count(len(self.shop.built_at))),
            (t("detail.rows"), f.count(sum(self.shop.rows.values()))),
        ]
        return Stage(t("stage.marts"), f.age(self._since(oldest)), t("stage.marts.caption"), details)

    def _since(self, moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (self.now - moment).total_seconds())

    def _written(self, value: Any) -> str:
        if value is None:
            return ABSENT
        if isinstance(value, datetime):
            return self.formats.moment(value.replace(tzinfo=UTC))
        if isinstance(value, int):
            return self.formats.count(value)
        return self.formats.money(value) if isinstance(value, Decimal) else str(value)


def is_bad(outcome: object) -> bool:
    """Whether this outcome of a run or a check is one to look at."""
    return str(outcome).startswith(BAD_OUTCOMES)


def _dictionaries(listing: Listing | None) -> list[dict[str, Any]]:
    return [dict(zip(listing.columns, row, strict=True)) for row in listing.rows] if listing else []
