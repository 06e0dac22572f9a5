"""Measures and their goals, which all benchmarks publish as a table and as a file."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measure:
    """A value with its unit, and what it is compared with.

    The goal is the largest allowed value, or with ``at_least`` the smallest. With ``of_ratio`` it applies to
    value / beside_value instead.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    beside: str | None = None
    beside_value: float | None = None
    at_least: bool = False
    of_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        """The value divided by the one with which it is compared."""
        return self.value / self.beside_value if self.beside_value else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        judged = self.ratio if self.of_ratio else self.value
        if self.goal is None or judged is None:
            return None
        return judged >= self.goal if self.at_least else judged <= self.goal

    @property
    def goal_text(self) -> str:
        """The goal as a text for people."""
        if self.goal is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.goal:g}{' times' if self.of_ratio else ''}"

    def as_result(self) -> dict[str, Any]:
        """The measure as the results file contains it."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "measured_beside": self.beside,
            "beside_value": None if self.beside_value is None else round(self.beside_value, 3),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "goal": self.goal,
            "goal_is": None if self.goal is None else "least" if self.at_least else "most",
            "goal_of": None if self.goal is None else "ratio" if self.of_ratio else "value",
            "reached": self.reached,
        }


def publish(
    name: str, measures: Sequence[Measure], details: Mapping[str, Any] | None = None, *, keep: bool = True
) -> None:
    """Print the measures, write ``results/NAME.json``, and exit with status 1 if a goal is not reached.

    ``details`` describe what was used for the measurement. Without ``keep``, nothing is written.
    """
    table = Table(
        "measure", "value", "unit", "beside", "ratio", "goal", "reached", title=name, title_justify="left"
    )
    for measure in measures:
        reached = {None: "", True: "yes", False: "no"}[measure.reached]
        beside = "" if measure.beside_value is None else f"{measure.beside_value:.4g} ({measure.beside})"
        ratio = "" if measure.ratio is None else f"{measure.ratio:.2f}"
        value = f"{measure.value:,.0f}" if measure.value >= 1000 else f"{measure.value:.4g}"
        table.add_row(measure.name, value, measure.unit, beside, ratio, measure.goal_text, reached)
    Console().print(table)
    if keep:
        _keep(name, measures, details or {})
    if any(measure.reached is False for measure in measures):
        sys.exit(1)


def _keep(name: str, measures: Sequence[Measure], details: Mapping[str, Any]) -> None:
    machine = {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
    }
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        **details,
        "measures": [measure.as_result() for measure in measures],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
