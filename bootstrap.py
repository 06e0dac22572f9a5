"""Installs the locked Python packages into .venv. It needs only Python itself; `make` calls it.

Its arguments name further groups of packages to install.
"""

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

UV = "uv==0.13.9"
READY = Path(".venv/.ready")
"""Contains the path of the folder that the packages were installed in."""
OLDEST, TOO_NEW = (3, 11), (3, 14)


def main():
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        stop(
            "Python {}.{} is not supported: use one from 3.11 to 3.13, as in make PYTHON=python3.12".format(
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
    if ":" in str(Path.cwd()):
        stop(f"{Path.cwd()} has a colon in its name, which Python environments can't have: move the checkout")
    uv = find_uv()
    remove_foreign_environment()
    command = [
        uv,
        "sync",
        "--frozen",
        "--python",
        sys.executable,
        "--no-python-downloads",
        # Compile once, instead of at each start if Python may not write compiled files.
        "--compile-bytecode",
        *(f"--group={group}" for group in sys.argv[1:]),
    ]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(caches),
        "UV_PROJECT_ENVIRONMENT": str(Path(".venv").absolute()),
    }
    if subprocess.call(command, env=environment) != 0:
        stop("The Python packages can't be installed: the lines above say why; the first time needs the network")
    compileall.compile_dir("apps", quiet=2)
    READY.write_text(str(Path.cwd()), encoding="utf-8")


def remove_foreign_environment():
    """Remove .venv if it was made in another folder: its programs would run that folder's code, or nothing."""
    environment = READY.parent
    program = environment / "bin" / "martline"
    if not program.exists():
        return  # nothing is installed yet
    made_in = READY.read_text(encoding="utf-8") if READY.exists() else ""
    made_here = str(environment.absolute()) in program.read_text(encoding="utf-8")
    if made_in == str(Path.cwd()) or (not made_in and made_here):
        return
    print("The checkout was copied or moved: the Python packages are installed again", file=sys.stderr)
    if environment.is_symlink():
        environment.unlink()
    elif (environment / "pyvenv.cfg").exists():
        shutil.rmtree(environment)
    else:
        stop(f"{environment.absolute()} is not an environment of Python's: move it away")


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
