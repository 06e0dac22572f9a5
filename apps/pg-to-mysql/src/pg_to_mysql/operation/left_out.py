"""Tables that can't be replicated, or are stopped. They are reported when the other tables are done."""

from collections.abc import Collection, Mapping

from pg_to_mysql.errors import Refused, Setting, TablesLeftOut

Refusals = Mapping[str, Refused]
"""Refusals by table name."""


def as_refusals(reasons: Mapping[str, str]) -> dict[str, Refused]:
    """Refusals that have only a reason."""
    return {name: Refused(reason, name) for name, reason in reasons.items()}


def without(reasons: Mapping[str, str], exclude: Collection[str]) -> dict[str, str]:
    """The reasons, without those of excluded tables."""
    return {name: reason for name, reason in reasons.items() if name not in exclude}


def require(refused: Refusals, stopped: Refusals) -> None:
    """Fail if there are tables that can't be replicated, or that are stopped."""
    if stopped:
        raise TablesLeftOut(
            f"Stopped: {_told(stopped)}; recopy a table to replicate it again; the other tables are done",
            stopped.values(),
            settings={Setting.RECOPY: next(iter(stopped)) if len(stopped) == 1 else None},
        )
    if refused:
        raise TablesLeftOut(
            f"Not replicated: {_told(refused)}, or exclude the table; the other tables are done",
            refused.values(),
            settings={Setting.EXCLUDE: None},
        )


def _told(refusals: Refusals) -> str:
    return "; ".join(f"{name}: {refused}" for name, refused in refusals.items())
