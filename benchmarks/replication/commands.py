"""Runs the commands that are measured, and samples their memory."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PROGRAMS = Path(sys.executable).parent
SAMPLE_SECONDS = 0.5
"""The seconds between two samples of the memory."""


@dataclass
class Memory:
    """The peak memory of a process in MiB: its resident set, including pages shared with other processes."""

    peak: float = 0

    def sample(self, process: psutil.Process) -> None:
        """Sample the memory of the process."""
        self.peak = max(self.peak, process.memory_info().rss / 2**20)


@dataclass
class Ended:
    """The output of a command that has ended, its time and its memory."""

    result: dict[str, Any]
    seconds: float
    memory: Memory


@contextmanager
def started(
    command: list[str], environment: Mapping[str, str], programs: Path = PROGRAMS
) -> Iterator[tuple[subprocess.Popen[str], Memory]]:
    """A running command from the folder ``programs``, and its memory so far. It is stopped at the end."""
    process = subprocess.Popen(
        [str(programs / command[0]), *command[1:]],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    memory = Memory()
    watched = psutil.Process(process.pid)

    def sample() -> None:
        while process.poll() is None:
            with suppress(psutil.Error):  # it has just ended
                memory.sample(watched)
            time.sleep(SAMPLE_SECONDS)

    watching = threading.Thread(target=sample)
    watching.start()
    try:
        yield process, memory
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        watching.join()


def run(command: list[str], environment: Mapping[str, str], programs: Path = PROGRAMS) -> Ended:
    """Run a command to its end. It must succeed."""
    began = time.monotonic()
    with started(command, environment, programs) as (process, memory):
        output, log = process.communicate()
        seconds = time.monotonic() - began
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} has failed:\n{log}")
    return Ended(json.loads(output.splitlines()[-1]), seconds, memory)
