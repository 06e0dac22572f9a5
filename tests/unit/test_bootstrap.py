"""A checkout that was copied or moved does not keep using the packages of the other folder."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, in a checkout whose environment says that it was made there."""
    spec = importlib.util.spec_from_file_location("bootstrap", CHECKOUT / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / "a checkout"
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "martline").write_text(f"#!{programs}/python\n")
    (checkout / ".venv" / "pyvenv.cfg").touch()
    (checkout / ".venv" / ".ready").write_text(str(checkout))
    for name in ("Makefile", "bootstrap.py", "uv.lock", "pyproject.toml", "apps", "dags"):
        (checkout / name).symlink_to(CHECKOUT / name)
    monkeypatch.chdir(checkout)
    return module


def would_install() -> bool:
    Path(".venv/.ready").touch()
    planned = subprocess.run(["make", "--dry-run", "status"], capture_output=True, text=True, check=True).stdout
    return "bootstrap.py" in planned


@pytest.mark.parametrize("marked", [True, False])
def test_an_environment_of_this_folder_is_kept(bootstrap: Any, marked: bool) -> None:
    assert not would_install()
    if not marked:
        Path(".venv/.ready").write_text("")
    bootstrap.remove_foreign_environment()
    assert Path(".venv/bin/martline").exists()


@pytest.mark.parametrize("marked", [True, False])
def test_an_environment_of_another_folder_is_made_again(
    bootstrap: Any, marked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not marked:
        Path(".venv/.ready").write_text("")
    shutil.copytree(tmp_path / "a checkout", tmp_path / "a copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "a copy")
    assert would_install()
    bootstrap.remove_foreign_environment()
    assert not Path(".venv").exists()
    assert (tmp_path / "a checkout" / ".venv" / "bin" / "martline").exists()


def test_what_is_no_environment_is_not_removed(bootstrap: Any) -> None:
    Path(".venv/.ready").write_text("/elsewhere")
    Path(".venv/pyvenv.cfg").unlink()
    with pytest.raises(SystemExit, match="move it away"):
        bootstrap.remove_foreign_environment()
    assert Path(".venv/bin/martline").exists()
