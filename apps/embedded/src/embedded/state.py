"""The state folder: everything that a platform keeps between two starts."""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from command import Failure, WrongSettings, port_is_free
from embedded.settings import Settings

PORTS = ("pgport", "mysql_tcp_port", "zookeeper_port", "kafka_port", "airflow_port")
# Below the range from which the kernel takes ports for outgoing connections, so that none is lost to one.
FIRST_PORT, LAST_PORT, PORTS_OF_A_PLATFORM = 12000, 32000, 10
NEEDED_DISK = 1 << 30


@dataclass(frozen=True)
class State:
    """One platform's folder and what it has decided to keep: its ports, passwords and keys."""

    folder: Path
    settings: Settings
    ports: dict[str, int]
    secrets: dict[str, str]

    @property
    def logs(self) -> Path:
        """One log file for each server."""
        return self.folder / "logs"

    @property
    def runtime(self) -> Path:
        """A folder with a short path, for Unix sockets (whose paths may have 107 bytes at most)."""
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"martline-{os.getuid()}-{digest}"

    def data(self, server: str) -> Path:
        """The folder that holds a server's data."""
        return self.folder / "data" / server


def state_folder(checkout: Path) -> Path:
    """``MARTLINE_HOME``, or ``.martline`` in the checkout."""
    return Path(os.environ.get("MARTLINE_HOME") or checkout / ".martline").resolve()


def make_folder(folder: Path) -> Path:
    """Make the state folder if it is not there, for its owner alone."""
    try:
        for name in ("logs", "data", "run"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise Failure(f"The state folder {folder} can't be made: {error.strerror}; set MARTLINE_HOME") from error
    return folder


def require_disk(folder: Path) -> None:
    """Raise :class:`Failure` if the servers would soon fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK:
        raise Failure(
            f"The disk of {folder} has {free >> 20} MB free, the platform needs {NEEDED_DISK >> 20} MB:"
            " free some, or set MARTLINE_HOME to a folder elsewhere"
        )


def open_state(folder: Path, settings: Settings, *, about_to_start: bool) -> State:
    """Settle passwords and ports, and keep them. A platform that is about to start has its ports checked."""
    kept = _read(folder / "secrets.json")
    passwords = {
        "pgpassword": _settled(settings.pgpassword, kept.get("pgpassword")),
        "mysql_pwd": _settled(settings.mysql_pwd, kept.get("mysql_pwd")),
        "airflow_password": _settled(settings.airflow_password, kept.get("airflow_password")),
    }
    generated = {
        name: kept.get(name) or secrets.token_hex(16)
        for name in ("postgres_admin", "mysql_admin", "airflow_database", "jwt_secret", "api_secret")
    }
    keys = {"fernet_key": kept.get("fernet_key") or Fernet.generate_key().decode()}
    settled = {**passwords, **generated, **keys}
    write_private(folder / "secrets.json", json.dumps(settled, indent=1))
    ports = _ports(folder, settings, about_to_start)
    (folder / "ports.json").write_text(json.dumps(ports, indent=1))
    return State(folder, settings, ports, settled)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def _settled(chosen: str, kept: str | None) -> str:
    return chosen or kept or secrets.token_urlsafe(12)


def _ports(folder: Path, settings: Settings, about_to_start: bool) -> dict[str, int]:
    kept: dict[str, int] = _read(folder / "ports.json")
    if kept and not about_to_start:
        return kept
    chosen = {name: getattr(settings, name) for name in PORTS}
    for name, port in chosen.items():
        if port is not None and not port_is_free(port):
            raise WrongSettings(
                f"{name.upper()}={port} in .env: the port is taken; choose another or leave it blank"
            )
    wanted = {name: chosen[name] or kept.get(name) for name in PORTS}
    if all(port and port_is_free(port) for port in wanted.values()):
        return {name: port for name, port in wanted.items() if port}
    block = _free_block(folder)
    return {name: chosen[name] or block + offset for offset, name in enumerate(PORTS)}


def _free_block(folder: Path) -> int:
    """The first port of a block whose ports are free; where to look first depends on the folder."""
    blocks = (LAST_PORT - FIRST_PORT) // PORTS_OF_A_PLATFORM
    first = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:4]) % blocks
    for block in range(first, first + blocks):
        start = FIRST_PORT + block % blocks * PORTS_OF_A_PLATFORM
        if all(port_is_free(start + offset) for offset in range(len(PORTS))):
            return start
    raise Failure(f"No free ports are left between {FIRST_PORT} and {LAST_PORT}: stop some servers")
