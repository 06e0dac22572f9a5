"""Tables that can't be replicated, or are not any more: they are told of once the others are done."""

from collections.abc import Collection, Mapping

from pg_to_mysql.errors import Refused, Setting, TablesLeftOut

Refusals = Mapping[str, Refused]
"""By the names of the tables."""


def as_refusals(reasons: Mapping[str, str]) -> dict[str, Refused]:
    """Refusals of which no more is known than a reason."""
    return {name: Refused(reason, name) for name, reason in reasons.items()}


def without(reasons: Mapping[str, str], exclude: Collection[str]) -> dict[str, str]:
    """The reasons of the tables that are not to exclude."""
    return {name: reason for name, reason in reasons.items() if name not in exclude}


def require(refused: Refusals, stopped: Refusals) -> None:
    """Fail if there are tables that can't be replicated, or are not followed any more."""
    if stopped:
        raise TablesLeftOut(
            f"Not followed any more: {_told(stopped)}. To copy a table again, recopy it. The others are done",
            stopped.values(),
            settings={Setting.RECOPY: next(iter(stopped)) if len(stopped) == 1 else None},
        )
    if refused:
        raise TablesLeftOut(
            f"Not replicated: {_told(refused)}, or exclude it. The other tables are done",
            refused.values(),
            settings={Setting.EXCLUDE: None},
        )


def _told(refusals: Refusals) -> str:
    return "; ".join(f"{name}: {refused}" for name, refused in refusals.items())
