"""Lasting port-forwards. kubectl's own port-forwards end with the pod behind them."""

import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from martline.command import Failure


@contextmanager
def forward(kubectl: Sequence[str], title: str, port: str, local_port: int = 0) -> Iterator[int]:
    """Forward ``local_port`` (0: a free one) to a service's port; yield the local port.

    ``kubectl`` is the command `kubectl port-forward … service/NAME`, ``title`` the service's name in errors.
    """
    kept = _Forward([*kubectl, "--address=127.0.0.1"], title, port, local_port)
    try:
        yield kept.local_port
    finally:
        kept.stop()


class _Forward:
    """A `kubectl port-forward` that is started again when it ends."""

    def __init__(self, command: Sequence[str], title: str, port: str, local_port: int) -> None:
        self._command = command
        self._title = title
        self._port = port
        self._stopped = threading.Event()
        self.local_port = local_port
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        self._stopped.set()
        self._process.kill()
        self._keeper.join()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self._command, f"{self.local_port or ''}:{self._port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C must reach only this program, which then ends the forward
        )
        first_line = next(iter(process.stdout or ()), "")
        answer = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", first_line)
        if not answer:
            process.kill()
            process.wait()
            raise Failure(f"{self._title} can't be reached: {first_line.strip()}: see `make logs`")
        self.local_port = int(answer[1])
        return process

    def _keep(self) -> None:
        while not self._stopped.is_set():
            for _line in self._process.stdout or ():
                pass  # unread lines would block kubectl
            self._process.wait()
            self._restart()

    def _restart(self) -> None:
        while not self._stopped.wait(1):
            try:
                self._process = self._start()
                break
            except Failure:
                continue  # the pod that replaces the last one is not ready yet
