"""Times of `make demo` on a machine that has nothing, again, and from an empty platform; and its memory.

The demo is compared with one that has neither the dashboard nor the packages that only the dashboard needs. Each
of the two has a separate clone and separate caches, which are empty at first. So 1 GB is downloaded for each,
and 10 GB of disk space are needed.
"""

import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from benchmarks.measure import Measure, publish

CHECKOUT = Path(__file__).parent.parent
SAMPLE_SECONDS = 0.5
PAIRS = 3
"""Number of pairs of runs, with and without the dashboard, on an empty platform. The median counts."""
NEEDED = re.compile(r"^dependencies = .*$", re.MULTILINE)
KINDS = {
    "postgres": "PostgreSQL",
    "airflow": "Airflow",
    "kafka.Kafka": "Kafka",
    "QuorumPeer": "ZooKeeper",
    "SparkSubmit": "Spark",
    "mariadbd": "MariaDB",
    "bin/dashboard": "dashboard",
    "supervisor": "supervisor",
}


class MemoryWatch:
    """Samples the memory of all processes that work in a folder, as their proportional set sizes (PSS)."""

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


class Demo:
    """A clone of this checkout with separate caches, in which the demo runs."""

    def __init__(self, folder: Path, *, with_dashboard: bool) -> None:
        self._checkout = folder / "martline"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(self._checkout)], check=True)
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "YES": "1"}
        for variable in ("VIRTUAL_ENV", "MARTLINE_CACHE", "MARTLINE_HOME", "UV_CACHE_DIR"):
            self._environment.pop(variable, None)
        self._commands = [["make", "demo"]]
        if not with_dashboard:
            self._commands = [["make", "install"], [".venv/bin/martline", "demo", "--no-dashboard"]]
            self._leave_out_packages()

    def run(self) -> float:
        """Run the demo, and return the seconds that it took."""
        started = time.monotonic()
        for command in self._commands:
            self._call(command)
        return time.monotonic() - started

    def make(self, target: str, *, check: bool = True) -> None:
        """Run another target of the clone's Makefile."""
        self._call(["make", target], check=check)

    def _leave_out_packages(self) -> None:
        """Lock only those of the dashboard's packages that the embedded platform needs to create its role."""
        project = self._checkout / "apps" / "dashboard" / "pyproject.toml"
        text, count = NEEDED.subn('dependencies = ["pg-to-mysql"]', project.read_text())
        assert count == 1, project
        project.write_text(text)
        # With this checkout's uv and caches, because the measurement begins later.
        subprocess.run(
            [str(CHECKOUT / ".tools" / "bin" / "uv"), "lock", "--quiet"], cwd=self._checkout, check=True
        )

    def _call(self, command: list[str], *, check: bool = True) -> None:
        subprocess.run(command, cwd=self._checkout, env=self._environment, check=check, stdout=subprocess.DEVNULL)


@contextmanager
def new_demo(*, with_dashboard: bool) -> Iterator[tuple[Path, Demo]]:
    """A demo on a machine that has nothing, and the folder with everything it makes; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        demo = Demo(Path(name), with_dashboard=with_dashboard)
        try:
            yield Path(name), demo
        finally:
            demo.make("down", check=False)


def empty_platform(demo: Demo) -> float:
    """The seconds that the demo takes if everything is installed and the platform has no data."""
    demo.make("clean")
    return demo.run()


def main() -> None:
    with new_demo(with_dashboard=True) as (folder, demo), new_demo(with_dashboard=False) as (_, without):
        with MemoryWatch(folder) as memory:
            nothing = demo.run()
        running = demo.run()
        demo.make("down")
        stopped = demo.run()
        demo.make("down")
        nothing_without = without.run()
        without.make("down")
        # In turns, so that other work of the machine affects both.
        pairs = []
        for _ in range(PAIRS):
            empty = empty_platform(demo)
            demo.make("down")
            pairs.append((empty, empty_platform(without)))
            without.make("down")
    split = [Measure(f"memory: {kind}", size / 2**30, "GiB") for kind, size in memory.peak.most_common()]
    beside = "without the dashboard"
    empty, empty_without = (statistics.median(times) for times in zip(*pairs, strict=True))
    longer = statistics.median(empty - without for empty, without in pairs)
    publish(
        "demo",
        [
            Measure("on a machine that has nothing", nothing, "s", 300, beside, nothing_without),
            Measure("longer by the dashboard, on a machine that has nothing", nothing - nothing_without, "s", 20),
            Measure("again, while it is up", running, "s", goal=90),
            Measure("again, after `make down`", stopped, "s", goal=90),
            Measure("again, after `make clean`", empty, "s", 90, beside, empty_without),
            Measure("longer by the dashboard, after `make clean`", longer, "s", 20),
            Measure("memory at its highest, all processes", memory.peak.total() / 2**30, "GiB", goal=6),
            *split,
        ],
    )


if __name__ == "__main__":
    main()
