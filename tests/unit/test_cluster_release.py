"""What is shown of the charts' own tests. Here helm and kubectl are scripts; tests/cluster uses the real ones."""

import json
from pathlib import Path

import pytest

from martline.cluster.kind import Cluster
from martline.cluster.release import Release
from martline.command import Failure

HOOKS = [
    {"name": "mysql-test-row", "events": ["test"]},
    {"name": "airflow-migration", "events": ["pre-install"]},
    {"name": "kafka-test-message", "events": ["test"]},
    {"name": "spark-test-job", "events": ["test"]},
]
HELM = f"""
case "$*" in
  *status*) echo '{json.dumps({"hooks": HOOKS})}' ;;
  *name=kafka-test-message*) echo 'Error: pod failed' >&2; exit 1 ;;
  *name=spark-test-job*) echo 'Error: timed out' >&2; exit 1 ;;
  *name=mysql-test-row*) echo 'NAME: martline' ;;
  *) exit 9 ;;
esac
"""
PENDING = {
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}],
    }
}
KUBECTL = f"""
case "$*" in
  *logs*kafka-test-message*) echo 'the topic is gone' ;;
  *get*spark-test-job*) echo '{json.dumps(PENDING)}' ;;
  *) echo 'Error: waiting to start' >&2; exit 1 ;;
esac
"""


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    for name, script in (("helm", HELM), ("kubectl", KUBECTL)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return Release(Cluster(tmp_path, "none"))


def test_each_test_is_one_line_and_the_log_of_what_failed_follows_it(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Failure, match=r"^2 of 3 tests failed: kafka-test-message, spark-test-job"):
        release.test()
    shown = capsys.readouterr()
    lines = [line.split()[:2] for line in shown.out.splitlines()]
    assert lines == [["✓", "mysql-test-row"], ["✗", "kafka-test-message"], ["✗", "spark-test-job"]]
    assert "the topic is gone" in shown.err
    assert "no room" in shown.err
    assert "NAME" not in shown.out + shown.err
