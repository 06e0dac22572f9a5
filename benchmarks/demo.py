"""`make demo` on a machine that has nothing, again, and from an empty platform; and what memory it takes.

Runs in a clone of its own, with empty caches, so it downloads everything once (1 GB) and needs 5 GB of disk.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from benchmarks.measure import Measure, publish

CHECKOUT = Path(__file__).parent.parent
SAMPLE_SECONDS = 0.5
KINDS = {
    "postgres": "PostgreSQL",
    "airflow": "Airflow",
    "kafka.Kafka": "Kafka",
    "QuorumPeer": "ZooKeeper",
    "SparkSubmit": "Spark",
    "mariadbd": "MariaDB",
    "supervisor": "supervisor",
}


class MemoryWatch:
    """Samples the memory of all processes that work in a folder; shared memory is shared out (PSS)."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.peak: Counter[str] = Counter()

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            now: Counter[str] = Counter()
            for process in psutil.process_iter():
                try:
                    command = " ".join(process.cmdline())
                    if process.pid != os.getpid() and (self._folder in command or self._works_here(process)):
                        now[_kind(command)] += process.memory_full_info().pss
                except (psutil.Error, OSError):
                    continue  # it has ended
            if now.total() > self.peak.total():
                self.peak = now

    def _works_here(self, process: psutil.Process) -> bool:
        return process.cwd().startswith(self._folder)


def _kind(command: str) -> str:
    return next((kind for mark, kind in KINDS.items() if mark in command), "commands")


def demo(checkout: Path, environment: dict[str, str]) -> float:
    """Run the demo; return the seconds it took."""
    started = time.monotonic()
    subprocess.run(["make", "demo"], cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        folder = Path(name)
        checkout = folder / "martline"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(checkout)], check=True)
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "YES": "1"}
        for variable in ("VIRTUAL_ENV", "MARTLINE_CACHE", "MARTLINE_HOME", "UV_CACHE_DIR"):
            environment.pop(variable, None)

        def make(target: str, *, check: bool = True) -> None:
            subprocess.run(["make", target], cwd=checkout, env=environment, check=check)

        try:
            with MemoryWatch(folder) as memory:
                nothing = demo(checkout, environment)
            running = demo(checkout, environment)
            make("down")
            stopped = demo(checkout, environment)
            make("clean")
            empty = demo(checkout, environment)
        finally:
            make("down", check=False)
    split = [Measure(f"memory: {kind}", size / 2**30, "GiB") for kind, size in memory.peak.most_common()]
    publish(
        "demo",
        [
            Measure("on a machine that has nothing", nothing, "s", goal=300),
            Measure("again, while it is up", running, "s", goal=90),
            Measure("again, after `make down`", stopped, "s", goal=90),
            Measure("again, after `make clean`", empty, "s", goal=90),
            Measure("memory at its highest, all processes", memory.peak.total() / 2**30, "GiB", goal=6),
            *split,
        ],
    )


if __name__ == "__main__":
    main()
