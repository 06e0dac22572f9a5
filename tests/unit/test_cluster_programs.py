"""What the cluster's command says when a program is missing or fails; the programs here are small scripts."""

from pathlib import Path

import pytest

from martline.cluster import programs
from martline.command import Failure


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_every_program_that_is_missing_is_named(path: Path) -> None:
    install(path, "docker", "exit 0")
    install(path, "kubectl", "exit 0")
    with pytest.raises(Failure, match=r"^kind and helm can't be found: install .*kind.sigs.k8s.io.*helm.sh"):
        programs.require_programs()


@pytest.mark.parametrize(
    ("docker", "sentence"),
    [
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Docker does not run: .*Cannot connect"),
        ("""echo '{"ServerErrors": ["Cannot connect"]}'""", "Docker does not run: .*Cannot connect"),
        ("""echo '{"MemTotal": 4294967296}'""", "Docker has 4.0 GiB of memory, the platform needs"),
    ],
)
def test_a_docker_that_does_not_do_is_explained(path: Path, docker: str, sentence: str) -> None:
    for name in ("kind", "kubectl", "helm"):
        install(path, name, "exit 0")
    install(path, "docker", docker)
    with pytest.raises(Failure, match=sentence):
        programs.require_programs()


def test_a_failure_names_the_program_and_its_own_words_from_the_error_on(path: Path) -> None:
    install(path, "helm", "printf 'a warning\\nError: values are wrong:\\n- at /a: unknown\\n' >&2; exit 1")
    with pytest.raises(Failure, match=r"^`helm upgrade` failed: Error: values are wrong: - at /a: unknown$"):
        programs.read("helm", "--kube-context", "kind-a", "--namespace", "b", "upgrade", "--install", "c")


def test_what_is_given_reaches_standard_input_and_no_command_line(path: Path) -> None:
    install(path, "kubectl", 'read -r line; echo "$line"')
    assert programs.read("kubectl", "apply", given='{"a": 1}\n') == '{"a": 1}\n'


def test_a_program_in_a_pod_is_cited_not_that_it_has_ended(path: Path) -> None:
    install(path, "kubectl", "echo 'no such mart' >&2; echo 'command terminated with exit code 1' >&2; exit 1")
    with pytest.raises(Failure, match=r"^`kubectl exec` failed: no such mart$"):
        programs.read("kubectl", "exec", "deployment/jupyter")
