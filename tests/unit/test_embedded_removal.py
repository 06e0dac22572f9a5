"""`martline clean`: what it removes, and what it never touches."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from martline.embedded.cli import clean as clean_command
from martline.embedded.cli import down as down_command
from martline.embedded.settings import Settings
from martline.embedded.state import make_folder, open_state

MARTLINE = str(Path(sys.executable).with_name("martline"))
SERVERS = ("postgres", "mariadb", "zookeeper", "kafka")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder as a stopped platform leaves it."""
    folder = make_folder(tmp_path / "a state")
    open_state(folder, Settings(), about_to_start=True)
    (folder / "lock").touch()
    for server in SERVERS:
        (folder / "data" / server).mkdir()
        (folder / "data" / server / "rows").write_bytes(b"x" * 1_000_000)
    (folder / "logs" / "kafka.log.1").touch()
    return folder


def clean(folder: Path, **environment: str) -> Result:
    return CliRunner().invoke(clean_command, env={"MARTLINE_HOME": str(folder), "YES": None, **environment})


def sentence(caplog: pytest.LogCaptureFixture) -> str:
    return caplog.messages[-1]


def test_it_tells_what_it_removes_and_removes_nothing_without_a_yes(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for environment in ({}, {"YES": "0"}, {"YES": ""}):
        refused = clean(state, **environment)
        assert refused.exit_code == 2
        assert f"This removes {state} (4 MB)" in refused.output
        assert "set YES=1" in sentence(caplog)
        assert sorted(entry.name for entry in (state / "data").iterdir()) == sorted(SERVERS)


def test_with_a_yes_it_removes_the_state_folder(state: Path) -> None:
    ended = clean(state, YES="1")
    assert ended.exit_code == 0, ended.output
    assert not state.exists()
    assert clean(state).exit_code == 0


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("", False)])
def test_a_person_is_asked(state: Path, answer: str, goes: bool) -> None:
    person, terminal = pty.openpty()
    os.write(person, f"{answer}\n".encode())
    environment = {**os.environ, "MARTLINE_HOME": str(state)}
    environment.pop("YES", None)
    ended = subprocess.run(
        [MARTLINE, "clean"], cwd=state.parent, env=environment, stdin=terminal, stderr=terminal
    )
    shown = os.read(person, 100_000).decode()
    os.close(terminal)
    os.close(person)
    assert "Remove it? [y/N]" in shown
    assert state.exists() is not goes
    assert (ended.returncode == 0) is goes


@pytest.mark.parametrize("name", ["thesis.doc", "data/photos", "run/notes", "logs/mine.txt", "data/postgres.old"])
def test_a_folder_with_something_foreign_is_not_touched(
    state: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (state / name).mkdir()
    refused = clean(state, YES="1")
    assert refused.exit_code == 1
    assert f"{state / name} in it is not the platform's" in sentence(caplog)
    assert (state / "data" / "kafka" / "rows").exists()


def test_a_link_to_data_elsewhere_is_not_followed(state: Path, tmp_path: Path) -> None:
    (state / "data" / "kafka").rename(tmp_path / "elsewhere")
    (state / "data" / "kafka").symlink_to(tmp_path / "elsewhere")
    assert clean(state, YES="1").exit_code == 1
    assert (tmp_path / "elsewhere" / "rows").exists()


@pytest.mark.parametrize("names", [["data", "logs", "run"], ["a file"]])
def test_a_folder_that_is_not_a_platforms_is_not_touched(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).mkdir()
    assert clean(folder, YES="1").exit_code == 1
    assert sorted(entry.name for entry in folder.iterdir()) == names


def test_neither_the_home_nor_the_current_folder_is_removed(
    state: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = clean(state, YES="1", HOME=str(state))
    assert refused.exit_code == 1
    assert "set MARTLINE_HOME to a state folder" in sentence(caplog)
    assert clean(Path("/"), YES="1").exit_code == 1
    monkeypatch.chdir(state / "logs")
    assert clean(state, YES="1").exit_code == 1
    assert state.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b'{"pgport": "x"}'])
@pytest.mark.parametrize("name", ["ports.json", "secrets.json", "run/session"])
def test_damaged_files_keep_nobody_from_removing_it(state: Path, name: str, content: bytes) -> None:
    (state / name).write_bytes(content)
    assert CliRunner().invoke(down_command, env={"MARTLINE_HOME": str(state)}).exit_code == 0
    assert clean(state, YES="1").exit_code == 0
    assert not state.exists()


def test_a_cluster_that_is_half_made_is_still_known_to_be(state: Path) -> None:
    mark = state / "cluster-martline-unfinished"
    mark.touch()
    assert clean(state, YES="1").exit_code == 0
    assert list(state.iterdir()) == [mark]
