"""The platform's apps depend on each other in one direction, as CONTRIBUTING.md says."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

APPS = Path(__file__).parent.parent.parent / "apps"
MAY_USE = {
    "command": {"pg-to-mysql"},
    "airflow-client": {"command"},
    "demo": {"command", "airflow-client"},
    "shop": {"command", "pg-to-mysql"},
    "marts": {"command", "pg-to-mysql"},
    "dashboard": {"command", "airflow-client", "pg-to-mysql"},
    "notebooks": {"command", "dashboard", "marts", "pg-to-mysql"},
    "embedded": {"command", "airflow-client", "dashboard", "demo"},
    "cluster": {"command", "airflow-client", "demo", "pg-to-mysql"},
    "pg-to-mysql": set[str](),
}
"""The other apps that each may import from."""


def imported_apps(file: Path) -> Iterator[str]:
    """The apps that a file imports from, including its own."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for top, _, rest in (name.partition(".") for name in names):
            if top == "pg_to_mysql":
                yield "pg-to-mysql"
            elif top == "martline":
                yield rest.partition(".")[0].replace("_", "-")


def used_by(app: str) -> set[str]:
    """The other apps that an app imports from."""
    return {used for file in (APPS / app).rglob("*.py") for used in imported_apps(file)} - {app}


def test_each_app_has_its_place() -> None:
    assert {folder.parent.name for folder in APPS.glob("*/pyproject.toml")} == MAY_USE.keys()


@pytest.mark.parametrize("app", MAY_USE)
def test_an_app_imports_only_from_those_below_it(app: str) -> None:
    assert used_by(app) <= MAY_USE[app]


@pytest.mark.parametrize("app", MAY_USE)
def test_an_app_names_the_apps_it_needs_and_no_others(app: str) -> None:
    requirements = tomllib.loads((APPS / app / "pyproject.toml").read_text())["project"]["dependencies"]
    named = {requirement.partition("[")[0].removeprefix("martline-") for requirement in requirements}
    assert named & MAY_USE.keys() == used_by(app)


@pytest.mark.parametrize("app", ["cluster", "embedded"])
def test_only_a_command_line_runs_the_demo(app: str) -> None:
    files = [file for file in (APPS / app).rglob("*.py") if "demo" in imported_apps(file)]
    assert [file.name for file in files] == ["cli.py"]
