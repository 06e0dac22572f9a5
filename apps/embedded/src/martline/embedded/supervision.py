"""The supervisor: supervisord starts, watches and stops the servers, and outlives the command that started it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from martline.command import Failure
from martline.embedded.folder import Folder
from martline.embedded.server import Server, quoted, quoted_environment
from martline.embedded.state import write_private

MARK = "MARTLINE_PLATFORM"
"""The variable that all of a platform's processes inherit; its value is the state folder."""
START_SECONDS = 180
STOP_SECONDS = 20


class Supervisor:
    """The supervisor of one state folder."""

    def __init__(self, state: Folder) -> None:
        self._state = state
        self._socket = state.runtime / "supervisor.sock"

    def launch(self, servers: Sequence[Server], environment: Mapping[str, str]) -> None:
        """Start supervisord, which knows all servers but starts none by itself."""
        self._state.make_runtime()
        configuration = self._state.run / "supervisord.conf"
        write_private(configuration, self._configuration(servers))
        log = self._state.logs / "supervisor.log"
        command = [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "--nodaemon",
            "--configuration",
            str(configuration.relative_to(self._state.folder)),
        ]
        log.touch(mode=0o600)
        with log.open("a") as output:
            process = subprocess.Popen(
                command,
                env={**environment, MARK: str(self._state.folder)},
                cwd=self._state.folder,
                umask=0o077,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Those who stop it wait for its end, and would see a zombie if it was not reaped here.
        threading.Thread(target=process.wait, daemon=True).start()
        write_private(self._session_file(), str(process.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"The supervisor does not start: see {log}")
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except OSError:
            return False
        return True

    def start(self, server: Server) -> None:
        """Start one server and wait until it is ready."""
        self._call("startProcess", server.name, False)
        deadline = time.monotonic() + START_SECONDS
        while not server.is_ready():
            self.require(server.name)
            if time.monotonic() > deadline:
                raise Failure(f"{server.name} is not ready after {START_SECONDS} s: see {self.log(server.name)}")
            time.sleep(0.1)

    def require(self, *names: str) -> None:
        """Raise :class:`Failure` if a server (one of the named ones, or any) has stopped."""
        for process in self.processes():
            name, state = process["name"], process["statename"]
            if (name in names or not names) and state not in ("STARTING", "RUNNING"):
                raise Failure(f"{name} has stopped ({process['description']}): see {self.log(name)}")

    def processes(self) -> list[dict[str, Any]]:
        """What supervisord reports about each server."""
        try:
            return list(self._call("getAllProcessInfo"))
        except OSError as error:
            raise Failure(
                f"The platform in {self._state.folder} does not run: start it with `martline up`"
            ) from error

    def log(self, name: str) -> Path:
        """A server's log file."""
        return self._state.logs / f"{name}.log"

    def stop(self) -> None:
        """Stop the servers in reverse order, then supervisord, then any processes that are left."""
        try:
            supervisor = self._call("getPID")
            self._call("shutdown")
            psutil.Process(supervisor).wait(timeout=10 * STOP_SECONDS)
        except (OSError, Fault, psutil.Error):
            pass  # it was not running, or has ended meanwhile; its remaining processes are ended now
        self.end_leftovers()

    def end_leftovers(self) -> int:
        """End processes of this platform that no supervisor watches; return how many there were."""
        leftovers = self._leftovers()
        for process in leftovers:
            _signal(process, "terminate")
        _, alive = psutil.wait_procs(leftovers, timeout=5)
        for process in alive:
            _signal(process, "kill")
        psutil.wait_procs(alive, timeout=5)
        self._session_file().unlink(missing_ok=True)
        return len(leftovers)

    def _leftovers(self) -> list[psutil.Process]:
        """Processes that carry the mark, those in supervisord's session, and their descendants.

        Some servers overwrite their environment with a title, so the mark alone does not find them;
        tasks have sessions of their own, so the session alone does not either.
        """
        known = self._session()
        own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK) == str(self._state.folder)
                if marked or (os.getsid(process.pid) == known and self._works_here(process)):
                    for member in (process, *process.children(recursive=True)):
                        found[member.pid] = member
            except (psutil.Error, OSError):
                continue  # it has ended, or belongs to another user
        return [process for pid, process in found.items() if pid not in own]

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        return getattr(ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(*arguments)

    def _works_here(self, process: psutil.Process) -> bool:
        """Whether a process is in the state folder; another session may have got our session's number since."""
        return Path(process.cwd()).is_relative_to(self._state.folder)

    def _session(self) -> int | None:
        """The session of the last supervisor; None if there was none or the file is damaged."""
        try:
            return int(self._session_file().read_bytes())
        except (OSError, ValueError):
            return None

    def _session_file(self) -> Path:
        return self._state.run / "session"

    def _configuration(self, servers: Sequence[Server]) -> str:
        """The settings of supervisord; see its reference. Paths are relative to the state folder."""
        sections: dict[str, dict[str, object]] = {
            "supervisord": {
                "pidfile": self._state.runtime / "supervisor.pid",
                "logfile": "/dev/null",
                "logfile_maxbytes": 0,
                "childlogdir": "logs",
            },
            "unix_http_server": {"file": self._socket, "chmod": "0700"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        for priority, server in enumerate(servers):
            sections[f"program:{server.name}"] = {
                "command": quoted(server.command),
                "environment": quoted_environment(server.environment),
                "autostart": "false",
                # A server that dies is reported, not silently restarted.
                "autorestart": "false",
                "startretries": 0,
                "priority": priority,
                "stopsignal": server.stop_signal,
                "stopwaitsecs": STOP_SECONDS,
                "stopasgroup": "true",
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": f"logs/{server.name}.log",
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": 1,
            }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in options.items())
            for name, options in sections.items()
        )


def _signal(process: psutil.Process, action: str) -> None:
    with suppress(psutil.NoSuchProcess):
        getattr(process, action)()
