"""The programs that do the work: docker, kind, helm and kubectl."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from command import Failure

HOMES = {
    "docker": "https://docs.docker.com/get-docker",
    "kind": "https://kind.sigs.k8s.io",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}
NEEDED_MEMORY = 7 << 30
SECONDS_TO_TIDY_UP = 30


def require_programs() -> None:
    """Raise :class:`Failure` that names what is missing: a program, a running Docker, memory."""
    missing = [name for name in HOMES if shutil.which(name) is None]
    if missing:
        where = ", ".join(HOMES[name] for name in missing)
        raise Failure(f"{' and '.join(missing)} can't be found: install what is missing ({where})")
    try:
        docker = read_json("docker", "info", "--format", "{{json .}}")
    except Failure as failure:
        raise Failure(f"Docker does not run: start it ({failure})") from failure
    if errors := docker.get("ServerErrors"):
        raise Failure(f"Docker does not run: start it ({errors[0]})")
    if docker["MemTotal"] < NEEDED_MEMORY:
        raise Failure(
            f"Docker has {docker['MemTotal'] / 2**30:.1f} GiB of memory, the platform needs "
            f"{NEEDED_MEMORY >> 30} GiB: give it more in Docker's settings"
        )


def read(*command: str, given: str | None = None) -> str:
    """Run a program to its end and return what it printed; ``given`` is its standard input."""
    return _run(command, given, stdout=subprocess.PIPE)


def read_json(*command: str) -> Any:
    """Run a program to its end and return the JSON that it printed."""
    return json.loads(read(*command))


def apply(command: tuple[str, ...], given: Any) -> None:
    """Run a program that reads this JSON from its standard input."""
    read(*command, given=json.dumps(given))


def show(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program whose output is for the person who watches; that of a failure ends in the error."""
    _run(command, None, stdout=None, env=environment)


def _run(command: tuple[str, ...], given: str | None, **options: Any) -> str:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE if given else None, stderr=subprocess.PIPE, text=True, **options
    )
    try:
        output, errors = process.communicate(given)
    except KeyboardInterrupt:
        # The program has had the same Ctrl-C: let it leave things in order.
        try:
            process.wait(SECONDS_TO_TIDY_UP)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
        raise
    if process.returncode != 0:
        raise Failure(f"`{' '.join(command[:3])} …` failed: {_cause(errors)}")
    return output or ""


def _cause(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return (told or lines or ["it does not say why"])[-1]
