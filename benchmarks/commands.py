"""Runs commands of the platform as a user does, and measures their time and memory."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

PROGRAMS = Path(sys.executable).parent
SEED, UNTIL = "1", "2026-01-31"
SAMPLE_SECONDS = 0.2


class Memory:
    """The peak memory of a process and its descendants, as the sum of their proportional set sizes (PSS)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.peak = 0
        self._process = process
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def join(self) -> None:
        """Wait until the process has ended."""
        self._thread.join()

    def _sample(self) -> None:
        while self._process.poll() is None:
            try:
                first = psutil.Process(self._process.pid)
                tree = [first, *first.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_full_info().pss for process in tree))
            except (psutil.Error, OSError):
                pass  # one of them has ended
            time.sleep(SAMPLE_SECONDS)


def sizes(orders: int) -> list[str]:
    """The options for a shop with this number of orders."""
    counts = {
        "users": orders // 10,
        "products": orders // 100,
        "orders": orders,
        "reviews": orders // 2,
        "loyalty": orders,
    }
    options = [word for name, count in counts.items() for word in (f"--{name}", str(count))]
    return [*options, "--seed", SEED, "--until", UNTIL]


def run(command: Sequence[str | Path], environment: dict[str, str]) -> tuple[float, dict[str, Any], int]:
    """The seconds from the start to the exit, the result, and the peak memory in bytes."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    memory = Memory(process)
    output, _ = process.communicate()
    seconds = time.monotonic() - started
    memory.join()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command[:1]))} has failed")
    last = output.splitlines()[-1] if output else ""
    return seconds, json.loads(last) if last.startswith("{") else {}, memory.peak
