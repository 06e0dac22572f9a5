"""A separate checkout for each test, whose whole platform is started as a user starts it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from martline.embedded.supervision import MARK

CHECKOUT = Path(__file__).parent.parent.parent
MARTLINE = Path(sys.executable).with_name("martline")


class Checkout:
    """A folder with the parts of a checkout that `martline` needs. Commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        shutil.copy(CHECKOUT / ".env", folder)
        shutil.copytree(CHECKOUT / "dags", folder / "dags")
        self.program = [str(MARTLINE)]
        self.environment = {name: value for name, value in os.environ.items() if name != "MARTLINE_HOME"}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `martline` in a separate process group."""
        return subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def martline(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `martline` to its end."""
        process = self.start(*arguments)
        output, log = process.communicate(timeout=400)
        if check:
            assert process.returncode == 0, log
        return subprocess.CompletedProcess(arguments, process.returncode, output, log)

    def processes(self) -> list[psutil.Process]:
        """The platform's processes: those with its mark, or with a session whose first process had the mark."""
        mark = str(self.folder / ".martline")
        session = self.folder / ".martline" / "run" / "session"
        known = int(session.read_text()) if session.exists() else None
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == mark or os.getsid(process.pid) == known:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def remove(self) -> None:
        """Stop the platform and remove its state as a user does, and then remove the folder."""
        self.environment["YES"] = "1"
        self.martline("clean")
        assert self.processes() == []
        assert not (self.folder / ".martline").exists()
        shutil.rmtree(self.folder)


def interrupt(process: "subprocess.Popen[str]") -> None:
    """Send the signal to the whole process group, as Ctrl-C does."""
    os.killpg(process.pid, signal.SIGINT)
