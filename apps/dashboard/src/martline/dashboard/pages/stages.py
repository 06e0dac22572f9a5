"""The stages on the page *The pipeline*, with their progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from martline.dashboard.pages.formats import Formats
from martline.dashboard.pages.texts import Texts
from martline.dashboard.reading.elsewhere import Elsewhere
from martline.dashboard.reading.kafka import waiting
from martline.dashboard.reading.pipeline import Pipeline, Replica
from martline.dashboard.reading.shop import Shop
from pg_to_mysql.postgres.wal import format_lsn


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: a number that shows its progress, and details."""

    title: str
    value: str
    caption: str
    details: Sequence[tuple[str, str]]


class Stages:
    """Describes the stages in one language."""

    def __init__(self, texts: Texts, formats: Formats, now: datetime) -> None:
        self._texts = texts
        self._formats = formats
        self._now = now

    def of(self, pipeline: Pipeline, shop: Shop, elsewhere: Elsewhere) -> list[Stage]:
        """All stages, from the events to the marts."""
        events = [self._events(elsewhere)] if elsewhere.kafka or elsewhere.postgres else []
        replicas = [self._replica(replica, pipeline, elsewhere) for replica in pipeline.replicas]
        return [*events, *replicas, self._marts(shop)]

    def since(self, moment: datetime | None) -> float | None:
        """The seconds since a moment."""
        return None if moment is None else max(0.0, (self._now - moment).total_seconds())

    def _events(self, elsewhere: Elsewhere) -> Stage:
        t, f = self._texts, self._formats
        postgres = elsewhere.postgres.value if elsewhere.postgres else None
        topics = elsewhere.kafka.value if elsewhere.kafka else None
        total: int | None = None
        details = []
        if topics is not None and postgres is not None:
            of_topics = waiting(topics, postgres.stored)
            total = sum(found.events for found in of_topics)
            details = [(t("detail.waiting", topic=found.topic), f.count(found.events)) for found in of_topics]
        letters = postgres.dead_letters if postgres else ()
        oldest = min((of_topic.oldest for of_topic in letters), default=None)
        return Stage(
            t("stage.events"),
            f.count(total),
            t("stage.events.caption"),
            [
                *details,
                (t("detail.letters"), f.count(sum(one.letters for one in letters) if postgres else None)),
                (t("detail.letters_waiting"), f.count(sum(one.waiting for one in letters) if postgres else None)),
                (t("detail.oldest_letter"), f.age(self.since(oldest))),
            ],
        )

    def _replica(self, replica: Replica, pipeline: Pipeline, elsewhere: Elsewhere) -> Stage:
        t, f = self._texts, self._formats
        postgres = elsewhere.postgres.value if elsewhere.postgres else None
        slot = postgres.slots.get(replica.slot) if postgres else None
        lag = self.since(replica.equal_at)
        tables = [table for table in pipeline.tables if table.slot == replica.slot]
        log = (
            [
                # A replica of another database has no slot in this PostgreSQL, and its positions are of another
                # log.
                (
                    t("detail.lag_bytes"),
                    f.count(max(0, postgres.position - replica.applied_lsn) if slot else None),
                ),
                (t("detail.kept_bytes"), f.count(slot.kept_bytes if slot else None)),
            ]
            if postgres
            else []
        )
        details = [
            (t("detail.lag_seconds"), f.seconds(lag)),
            *log,
            (t("detail.equal_at"), f.moment(replica.equal_at)),
            (t("detail.committed_at"), f.moment(replica.committed_at)),
            (t("detail.applied_lsn"), format_lsn(replica.applied_lsn)),
            (t("detail.rows_copied"), f.count(sum(table.rows_copied or 0 for table in tables))),
            (t("detail.tables"), f.count(len(tables))),
        ]
        return Stage(t("stage.replica", slot=replica.slot), f.age(lag), t("stage.replica.caption"), details)

    def _marts(self, shop: Shop) -> Stage:
        t, f = self._texts, self._formats
        oldest = min((version.built_at for version in shop.versions.values()), default=None)
        details = [
            (t("detail.built_at"), f.moment(oldest)),
            (t("detail.marts"), f.count(len(shop.versions))),
            (t("detail.rows"), f.count(sum(version.rows for version in shop.versions.values()))),
        ]
        return Stage(t("stage.marts"), f.age(self.since(oldest)), t("stage.marts.caption"), details)
