"""Installs the locked Python packages into .venv. Needs nothing but Python itself; `make` calls it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

UV = "uv==0.13.9"
OLDEST, TOO_NEW = (3, 11), (3, 14)


def main():
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        stop(
            "Python {}.{} is not supported: name one from 3.11 to 3.13, as in make PYTHON=python3.12".format(
                *sys.version_info
            )
        )
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "~").expanduser() / ".cache")
    try:
        caches.mkdir(parents=True, exist_ok=True)
        (caches / ".martline-writable").touch()
        (caches / ".martline-writable").unlink()
    except (OSError, RuntimeError) as error:
        stop(f"The cache folder {caches} can't be written ({error}): set HOME or XDG_CACHE_HOME to another")
    command = [
        find_uv(),
        "sync",
        "--frozen",
        "--python",
        sys.executable,
        "--no-python-downloads",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(caches)}
    if subprocess.call(command, env=environment) != 0:
        stop("The Python packages can't be installed: the lines above say why; the first time needs the network")
    Path(".venv/.ready").touch()


def find_uv():
    """The path of uv: the pinned one, installed beside .venv once."""
    tools = Path(".tools")
    uv = tools / "bin" / "uv"
    marker = tools / UV
    if not marker.exists():
        shutil.rmtree(tools, ignore_errors=True)
        if subprocess.call([sys.executable, "-m", "venv", str(tools)]) != 0:
            stop("Python's module venv does not work: install it (Debian's package python3-venv)")
        if (
            subprocess.call([str(tools / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", UV])
            != 0
        ):
            stop("uv can't be installed: the lines above say why; the first time needs the network")
        marker.touch()
    return str(uv.absolute())


def stop(sentence):
    sys.exit("Error: " + sentence)


if __name__ == "__main__":
    main()
