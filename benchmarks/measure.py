"""What the benchmarks have in common: measures against goals, as a table and as a file."""

import json
import os
import platform
import sys
from collections.abc import Sequence
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
    """A value with its unit; a goal is the most that it may be."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    beside: str | None = None
    beside_value: float | None = None

    def as_result(self) -> dict[str, Any]:
        """The form of the results file."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "measured_beside": self.beside,
            "ratio": round(self.value / self.beside_value, 3) if self.beside_value else None,
            "goal": self.goal,
            "reached": None if self.goal is None else self.value <= self.goal,
        }


def publish(name: str, measures: Sequence[Measure]) -> None:
    """Print the measures, write ``results/NAME.json``, and exit with status 1 if a goal is not reached."""
    results = [measure.as_result() for measure in measures]
    table = Table("measure", "value", "unit", "goal", "reached", title=name, title_justify="left")
    for result in results:
        reached = {None: "", True: "yes", False: "no"}[result["reached"]]
        goal = "" if result["goal"] is None else f"{result['goal']:g}"
        table.add_row(result["name"], f"{result['value']:g}", result["unit"], goal, reached)
    Console().print(table)
    machine = {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
    }
    report = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, "measures": results}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    if any(result["reached"] is False for result in results):
        sys.exit(1)
