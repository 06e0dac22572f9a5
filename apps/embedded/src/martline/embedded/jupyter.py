"""JupyterLab on the platform; it runs until the user ends it."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from martline.command import Failure, port_is_free
from martline.embedded.state import State, write_private

PROGRAM = Path(sys.executable).with_name("jupyter")
USUAL_PORT = 8888
OWN_NOTEBOOKS = "my-notebooks"
"""The folder in the checkout that JupyterLab opens and saves to."""
NEWS = "@jupyterlab/apputils-extension:announcements"
"""The extension of JupyterLab that looks for news on the network."""


def require_installed() -> None:
    """Raise :class:`Failure` if JupyterLab is not installed."""
    if not PROGRAM.with_name("jupyter-lab").exists():
        raise Failure("JupyterLab is not installed yet: run `make notebooks`, which installs it")


def copy_notebooks(checkout: Path) -> Path:
    """Copy missing notebooks into the user's folder; return the folder."""
    folder = checkout / OWN_NOTEBOOKS
    folder.mkdir(exist_ok=True)
    for notebook in sorted((checkout / "notebooks").glob("*.ipynb")):
        if not (folder / notebook.name).exists():
            shutil.copy(notebook, folder)
    return folder


def free_port() -> int:
    """JupyterLab's usual port, or the next free one."""
    return next(port for port in _ports() if port_is_free(port))


def command(folder: Path, port: int) -> list[str]:
    """The server, which listens only on the loopback interface; Ctrl-C ends it without a question."""
    return [
        str(PROGRAM),
        "lab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--ServerApp.allow_root=True",
        "--ServerApp.answer_yes=True",
        "--ServerApp.log_level=ERROR",
        "--LabApp.log_level=ERROR",
        # Kernels use sockets in a folder of the user, not ports of the machine.
        "--KernelManager.transport=ipc",
        f"--ServerApp.root_dir={folder}",
    ]


def environment(state: State) -> dict[str, str]:
    """Its token, and its own folders, because settings in the user's home could open it to others."""
    home = state.run / "jupyter"
    settings = home / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(settings, json.dumps({"disabledExtensions": {NEWS: True}}))
    return {
        "JUPYTER_TOKEN": state.secrets["jupyter"],
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(state.runtime / "jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def _ports() -> Iterator[int]:
    yield from range(USUAL_PORT, USUAL_PORT + 100)
    raise Failure(f"No port from {USUAL_PORT} to {USUAL_PORT + 99} is free for JupyterLab: stop some programs")
