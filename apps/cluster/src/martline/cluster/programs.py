"""The programs that do the work: docker, kind, helm and kubectl."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from martline.command import Failure

HOMES = {
    "docker": "https://docs.docker.com/get-docker",
    "kind": "https://kind.sigs.k8s.io",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}
NEEDED_MEMORY = 7 << 30
SECONDS_TO_TIDY_UP = 30
LINES_OF_A_FAILURE = 30
ERRORS = ("error", "fatal")
EXEC_ENDED = "command terminated with exit code"
"""kubectl says it last, whatever the program in the pod has said."""
OPTIONS_WITH_A_VALUE = ("--context", "--kube-context", "--namespace", "--name")


def require_programs() -> None:
    """Raise :class:`Failure` if a program, a running Docker, or memory is missing."""
    require_installed(*HOMES)
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


def require_installed(*names: str) -> None:
    """Raise :class:`Failure` if programs are missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        where = ", ".join(HOMES[name] for name in missing)
        raise Failure(f"{' and '.join(missing)} can't be found: install what is missing ({where})")


def read(*command: str, given: str | None = None) -> str:
    """Run a program to its end and return what it printed; ``given`` is its standard input."""
    status, output, errors = _run(command, given, stdout=subprocess.PIPE)
    if status != 0:
        raise Failure(f"`{_name(command)}` failed: {_cause(errors)}")
    return output


def read_json(*command: str) -> Any:
    """Run a program to its end and return the JSON that it printed."""
    return json.loads(read(*command))


def apply(command: tuple[str, ...], given: Any) -> None:
    """Run a program that reads this JSON from its standard input."""
    read(*command, given=json.dumps(given))


def show(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program whose output is shown to the user; its log is shown if it fails."""
    status, _, errors = _run(command, None, stdout=None, env=environment)
    if status != 0:
        sys.stderr.write("\n".join(errors.splitlines()[-LINES_OF_A_FAILURE:]) + "\n")
        raise Failure(f"`{_name(command)}` failed: the lines above say why")


def _run(command: tuple[str, ...], given: str | None, **options: Any) -> tuple[int, str, str]:
    """Exit status, output and log of a program."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE if given else None, stderr=subprocess.PIPE, text=True, **options
    )
    try:
        output, errors = process.communicate(given)
    except KeyboardInterrupt:
        # The program got the same Ctrl-C; let it clean up.
        try:
            process.wait(SECONDS_TO_TIDY_UP)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
        raise
    return process.returncode, output or "", errors


def _name(command: tuple[str, ...]) -> str:
    """The program with its subcommand, without options, as in `helm upgrade`."""
    words = [word for word in command[1:] if not word.startswith("-") and "/" not in word]
    skipped = {value for option, value in pairwise(command) if option in OPTIONS_WITH_A_VALUE}
    return " ".join([command[0], *(word for word in words if word not in skipped)][:2])


def _cause(errors: str) -> str:
    """The log from the first line with an error, joined to one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if len(lines) > 1 and lines[-1].startswith(EXEC_ENDED):
        lines.pop()
    first = next((index for index, line in enumerate(lines) if line.lower().startswith(ERRORS)), -1)
    return " ".join(lines[first:]) or "it does not say why"
