"""What a platform keeps between two starts: its ports, passwords and keys."""

import hashlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from cryptography.fernet import Fernet

from martline.command import Failure, WrongSettings, port_is_free
from martline.embedded.folder import Folder
from martline.embedded.settings import Settings

PORTS = ("pgport", "mysql_tcp_port", "zookeeper_port", "kafka_port", "airflow_port", "dashboard_port")
# Below the kernel's range for outgoing connections, so that no connection can take one of these ports.
FIRST_PORT, LAST_PORT, PORTS_OF_A_PLATFORM = 12000, 32000, 10
NEEDED_DISK = 1 << 30
GENERATED = ("postgres_admin", "mysql_admin", "airflow_database", "jwt_secret", "api_secret")
GIVEN_AT_EACH_START = ("zookeeper", "mysql_dashboard", "postgres_dashboard", "airflow_dashboard", "jupyter")
NEEDED_BY_DATA = ("pgpassword", "mysql_pwd", "airflow_password", *GENERATED, "fernet_key")
"""Secrets without which existing data can no longer be used."""


@dataclass(frozen=True)
class State(Folder):
    """One platform's folder, and the ports and secrets that it keeps."""

    settings: Settings
    ports: dict[str, int]
    secrets: dict[str, str]


def make_folder(folder: Path) -> Path:
    """Create the state folder if necessary, accessible only to its owner."""
    Folder(folder).make()
    return folder


def require_disk(folder: Path) -> None:
    """Raise :class:`Failure` if the servers would soon fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK:
        raise Failure(
            f"The disk of {folder} has {free >> 20} MB free, but the platform needs {NEEDED_DISK >> 20} MB:"
            " free some, or set MARTLINE_HOME to a folder elsewhere"
        )


def open_state(folder: Path, settings: Settings, *, about_to_start: bool) -> State:
    """Choose passwords and ports, and keep them. If the platform is about to start, check its ports."""
    kept = _read_secrets(folder)
    settled = {
        "pgpassword": _settled(settings.pgpassword, kept.get("pgpassword")),
        "mysql_pwd": _settled(settings.mysql_pwd, kept.get("mysql_pwd")),
        "airflow_password": _settled(settings.airflow_password, kept.get("airflow_password")),
        **{name: kept.get(name) or secrets.token_hex(16) for name in (*GENERATED, *GIVEN_AT_EACH_START)},
        "fernet_key": kept.get("fernet_key") or Fernet.generate_key().decode(),
    }
    if settled != kept:
        write_private(folder / "secrets.json", json.dumps(settled, indent=1))
    ports = _ports(folder, settings, about_to_start)
    if about_to_start:
        write_private(folder / "ports.json", json.dumps(ports, indent=1))
    return State(folder, settings, ports, settled)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all, even if the machine stops meanwhile."""
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.chmod(0o600)  # whatever the umask is
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def read_ports(folder: Path) -> dict[str, int]:
    """The ports of the last start; none if there was no start or the file is damaged."""
    kept = _read(folder / "ports.json")
    whole = (
        isinstance(kept, dict) and set(kept) == set(PORTS) and all(type(port) is int for port in kept.values())
    )
    if not whole or not all(0 < port < 1 << 16 for port in kept.values()) or len(set(kept.values())) < len(PORTS):
        return {}
    return dict(kept)


def _read(file: Path) -> Any:
    """The content of a JSON file; None if it does not exist or is damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return None
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}; check who owns it") from error


def _read_secrets(folder: Path) -> dict[str, str]:
    file = folder / "secrets.json"
    kept = _read(file)
    there = kept if isinstance(kept, dict) and all(isinstance(value, str) for value in kept.values()) else {}
    has_data = any((folder / "data" / server).exists() for server in ("postgres", "mariadb"))
    if has_data and not all(there.get(name) for name in NEEDED_BY_DATA):
        raise Failure(
            f"{file} is {'damaged' if file.exists() else 'gone'}, and the data in {folder} can't be opened "
            "without its passwords: restore it from a copy, or remove all of the data with `make clean`"
        )
    return there


def _settled(chosen: str, kept: str | None) -> str:
    return chosen or kept or secrets.token_urlsafe(12)


def _ports(folder: Path, settings: Settings, about_to_start: bool) -> dict[str, int]:
    kept = read_ports(folder)
    if kept and not about_to_start:
        return kept
    chosen: dict[str, int] = {name: port for name in PORTS if (port := getattr(settings, name))}
    _require_different(chosen)
    if about_to_start:
        for name, port in chosen.items():
            _require_free(name, port)
    usable = {
        name: port
        for name, port in kept.items()
        if name not in chosen and port not in chosen.values() and port_is_free(port)
    }
    settled = {**usable, **chosen}
    if len(settled) < len(PORTS):
        block = _free_block(folder, settled.values())
        settled = {name: settled.get(name, block + offset) for offset, name in enumerate(PORTS)}
    return {name: settled[name] for name in PORTS}


def _require_different(chosen: dict[str, int]) -> None:
    names: dict[int, str] = {}
    for name, port in chosen.items():
        if port in names:
            raise WrongSettings(
                f"{names[port].upper()} and {name.upper()} in .env are both {port}: choose two different ports"
            )
        names[port] = name


def _require_free(name: str, port: int) -> None:
    setting = f"{name.upper()}={port} in .env"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise WrongSettings(f"{setting}: only root may use this port; choose a port from 1024 up") from error
        except OSError as error:
            raise WrongSettings(
                f"{setting}: the port is taken{_holder(port)}; choose another or leave it blank"
            ) from error


def _holder(port: int) -> str:
    """The program that listens on a port, if we may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _free_block(folder: Path, avoided: Collection[int]) -> int:
    """The first port of a free block of ports; where the search starts depends on the folder."""
    blocks = (LAST_PORT - FIRST_PORT) // PORTS_OF_A_PLATFORM
    first = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:4]) % blocks
    for block in range(first, first + blocks):
        start = FIRST_PORT + block % blocks * PORTS_OF_A_PLATFORM
        wanted = range(start, start + len(PORTS))
        if not set(avoided) & set(wanted) and all(map(port_is_free, wanted)):
            return start
    raise Failure(f"No free ports are left between {FIRST_PORT} and {LAST_PORT}: stop some servers")
