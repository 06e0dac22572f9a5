"""Runs of ``build-marts`` share a folder for their temporary files, and are in nobody's way there."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from martline.marts.engines.scratch import scratch

PROCESSES = 4
RUNS = 300
BEGIN_AND_END = f"""
from martline.marts.engines.scratch import scratch
for _ in range({RUNS}):
    with scratch() as folder:
        (folder / "rows").write_text("1")
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_runs_that_begin_and_end_at_the_same_time_do_not_disturb_each_other(temporary: Path) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", BEGIN_AND_END], stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    assert [run.communicate()[1] for run in runs] == [""] * PROCESSES
    assert [run.returncode for run in runs] == [0] * PROCESSES
    [base] = temporary.iterdir()
    assert list(base.iterdir()) == []


def test_a_run_removes_what_killed_runs_left_and_nothing_of_one_that_goes_on(temporary: Path) -> None:
    with scratch() as going_on:
        (going_on.parent / "killed").mkdir()
        (going_on.parent / "killed" / "rows").write_text("1")
        with scratch() as folder:
            assert set(going_on.parent.iterdir()) == {going_on, folder}
    assert list(going_on.parent.iterdir()) == []
