"""The alarms on the page *The pipeline*: what is wrong, the reason, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from martline.dashboard.pages.formats import ABSENT, Formats
from martline.dashboard.pages.texts import Texts
from martline.dashboard.reading.airflow import DagRuns
from martline.dashboard.reading.elsewhere import Elsewhere
from martline.dashboard.reading.kafka import waiting
from martline.dashboard.reading.pipeline import Listing, Pipeline

BAD_OUTCOMES = ("failed", "rejected", "killed")


@dataclass(frozen=True)
class Alarm:
    """A state that somebody must do something about."""

    what: str
    reason: str
    advice: str
    command: str


def is_bad(outcome: object) -> bool:
    """Whether somebody should look at this outcome of a run or a check."""
    return str(outcome).startswith(BAD_OUTCOMES)


def dictionaries(listing: Listing | None) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [dict(zip(listing.columns, row, strict=True)) for row in listing.rows] if listing else []


class Alarms:
    """Finds the alarms and describes them in one language."""

    def __init__(self, texts: Texts, formats: Formats, now: datetime) -> None:
        self._texts = texts
        self._formats = formats
        self._now = now

    def of(self, pipeline: Pipeline, elsewhere: Elsewhere) -> list[Alarm]:
        """All alarms, in the order of the stages."""
        return [
            *self._events(elsewhere),
            *self._replicas(pipeline, elsewhere),
            *self._marts(pipeline),
            *self._dags(elsewhere),
        ]

    def _events(self, elsewhere: Elsewhere) -> Iterator[Alarm]:
        t, f = self._texts, self._formats
        postgres = elsewhere.postgres.value if elsewhere.postgres else None
        topics = elsewhere.kafka.value if elsewhere.kafka else None
        for found in waiting(topics or {}, postgres.stored if postgres else {}):
            if found.is_made_anew:
                yield Alarm(
                    t("alarm.topic", topic=found.topic),
                    t("alarm.topic.reason"),
                    t("alarm.topic.advice"),
                    f"shop-consume --start-over {found.topic}",
                )
        for letters in postgres.dead_letters if postgres else ():
            if letters.letters:
                age = f.age((self._now - letters.oldest).total_seconds())
                yield Alarm(
                    t("alarm.letters", number=f.count(letters.letters)),
                    t("alarm.letters.reason", topic=letters.topic, age=age),
                    t("alarm.letters.advice"),
                    "shop-dead-letters list",
                )

    def _replicas(self, pipeline: Pipeline, elsewhere: Elsewhere) -> Iterator[Alarm]:
        t = self._texts
        postgres = elsewhere.postgres.value if elsewhere.postgres else None
        for replica in pipeline.replicas:
            slot = postgres.slots.get(replica.slot) if postgres else None
            if slot and slot.is_lost:
                yield Alarm(
                    t("alarm.slot", slot=replica.slot),
                    t("alarm.slot.reason"),
                    t("alarm.slot.advice"),
                    "replicate",
                )
        for table in pipeline.stopped:
            yield Alarm(
                t("alarm.table", table=table.name),
                table.stopped or "",
                t("alarm.table.advice"),
                f"replicate --recopy {table.name}",
            )

    def _marts(self, pipeline: Pipeline) -> Iterator[Alarm]:
        t = self._texts
        for row in dictionaries(pipeline.checks):
            if row.get("outcome") == "failed":
                what = t("alarm.check", mart=row.get("mart"), check=row.get("check"))
                reason = t("alarm.check.reason", offences=row.get("offences"), sample=row.get("sample") or ABSENT)
                yield Alarm(what, reason, t("alarm.check.advice"), "build-marts")
        last = next(iter(dictionaries(pipeline.runs)), {})
        if is_bad(last.get("outcome")):
            what = t("alarm.run", run=last.get("run_id"))
            yield Alarm(what, str(last.get("reason") or ABSENT), t("alarm.run.advice"), "build-marts")

    def _dags(self, elsewhere: Elsewhere) -> Iterator[Alarm]:
        dags: list[DagRuns] = (elsewhere.airflow.value if elsewhere.airflow else None) or []
        for of_dag in dags:
            last = next(iter(of_dag.runs), None)
            if last and is_bad(last.state):
                yield Alarm(
                    self._texts("alarm.dag", dag=of_dag.dag.title),
                    self._texts("alarm.dag.reason", run=last.run),
                    self._texts("alarm.dag.advice"),
                    f"airflow dags trigger {of_dag.dag.name}",
                )
