"""A server that the platform runs as a local process."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """One process that the supervisor starts, watches and stops."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    """Says whether the server answers now; it neither waits nor raises."""
    stop_signal: str = "TERM"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables that replace the platform's own."""


def quoted(command: Sequence[str]) -> str:
    """A command in the form of supervisord's settings, in which no `#` or `;` may follow a blank."""
    return " ".join(re.sub(r"([^\w@%+=:,./-])", r"\\\1", word) or "''" for word in command).replace("%", "%%")


def quoted_environment(variables: Mapping[str, str]) -> str:
    """Variables in the form of supervisord's settings."""
    pairs = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%"))
        for name, value in variables.items()
    )
    return ",".join(f'{name}="{value}"' for name, value in pairs)


def as_ordinary_user(command: Sequence[str], data: Path) -> list[str]:
    """The command for a server that refuses to run as root, and gives it its data folder.

    In a user namespace root is called `nobody` and stays the owner of its files; where such
    namespaces are blocked, the process becomes `nobody` and the data folder goes over to it.
    """
    if os.geteuid() != 0:
        return list(command)
    in_namespace = ["unshare", "--user", "--map-user=65534"]
    if shutil.which("unshare") and subprocess.run([*in_namespace, "true"], capture_output=True).returncode == 0:
        return [*in_namespace, *command]
    for parent in list(data.parents)[:2]:
        parent.chmod(0o711)
    for path in (data, *data.rglob("*")):
        os.chown(path, 65534, 65534)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
