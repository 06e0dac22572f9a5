"""Each app runs with only the dependencies that it names, as the images install it."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
UV = CHECKOUT / ".tools" / "bin" / "uv"
APPS = {
    (app := tomllib.loads(file.read_text()))["project"]["name"]: app
    for file in sorted((CHECKOUT / "apps").glob("*/pyproject.toml"))
}


@pytest.mark.parametrize("app", APPS)
def test_an_app_needs_what_it_names_and_nothing_else(app: str, tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("UV_")
    }
    kept["UV_PROJECT_ENVIRONMENT"] = str(tmp_path)
    extras = ["--extra", "all"] if "all" in APPS[app]["project"].get("optional-dependencies", {}) else []
    sync: list[str | Path] = [UV, "sync", "--frozen", "--no-dev", "--package", app, *extras]
    synced = subprocess.run(sync, cwd=CHECKOUT, env=kept, capture_output=True, text=True)
    assert synced.returncode == 0, synced.stderr
    module = app.replace("martline-", "martline.").replace("-", "_")
    programs = [tmp_path / "bin" / name for name in APPS[app]["project"].get("scripts", {})]
    for command in (
        [tmp_path / "bin" / "python", "-I", "-c", f"import {module}"],
        *([name, "--help"] for name in programs),
    ):
        ended = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
