"""The replicator as others get it: a wheel, installed without extras, used as its README says."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGE = CHECKOUT / "apps" / "pg-to-mysql"
UV = CHECKOUT / ".tools" / "bin" / "uv"
EXTRAS = {"cli": "command_line", "metrics": "operation.metrics", "spark": "snapshot.spark"}
"""The module that each extra is for."""
IMPORT_ALL = """
import importlib, pathlib, sys
import pg_to_mysql
folder = pathlib.Path(pg_to_mysql.__file__).parent
for file in folder.rglob("*.py"):
    name = ".".join(("pg_to_mysql", *file.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
    if not name.startswith(tuple(sys.argv[1:])):
        importlib.import_module(name)
        print(name)
"""


def uv(*arguments: object) -> str:
    """Run uv, with its usual cache of downloads."""
    ended = subprocess.run([UV, *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its dependencies, in the locked versions."""
    folder = tmp_path_factory.mktemp("package")
    uv("build", "--wheel", "--package", "pg-to-mysql", "--out-dir", folder / "dist")
    needs = folder / "needs.txt"
    uv("export", "--frozen", "--quiet", "--no-dev", "--package", "pg-to-mysql", "--no-emit-project",
       "--output-file", needs)  # fmt: skip
    uv("venv", "--python", sys.executable, folder / "environment")
    python = folder / "environment" / "bin" / "python"
    [wheel] = (folder / "dist").glob("*.whl")
    uv("pip", "install", "--python", python, "--requirement", needs)
    uv("pip", "install", "--python", python, "--no-deps", wheel)
    uv("pip", "check", "--python", python)
    return folder / "environment"


def run(environment: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the environment's Python, isolated from this one."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [environment / "bin" / "python", "-I", *arguments],
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_needs_three_libraries_and_theirs(environment: Path) -> None:
    python = environment / "bin" / "python"
    installed = {line.split("==")[0] for line in uv("pip", "freeze", "--python", python).splitlines()}
    of_these = {"cffi", "cryptography", "psycopg-binary", "pycparser", "typing-extensions"}
    assert {name.partition(" ")[0] for name in installed} - of_these == {
        "numpy",
        "pg-to-mysql",
        "psycopg",
        "pymysql",
    }


def test_all_of_it_but_what_the_extras_are_for_can_be_imported(environment: Path) -> None:
    ended = run(environment, "-c", IMPORT_ALL, *(f"pg_to_mysql.{part}" for part in EXTRAS.values()))
    assert ended.returncode == 0, ended.stderr
    assert "pg_to_mysql.changes.apply" in ended.stdout.splitlines()


def test_a_command_without_its_extra_says_which_one_it_needs(environment: Path) -> None:
    ended = subprocess.run([environment / "bin" / "replicate"], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "install pg-to-mysql[cli]" in ended.stderr


@pytest.mark.pairs
def test_the_readmes_example_replicates(
    environment: Path,
    servers: Mapping[str, str],
    source: psycopg.Connection,
    query: Any,
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    ended = run(environment, "-c", example(servers))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[:2] == [
        "2 rows were copied, 0 changes were applied",
        "2 rows are the same on both sides",
    ]
    assert query("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "b")]


def example(servers: Mapping[str, str]) -> str:
    """The README's program, with these servers instead of those that it names."""
    found = re.search(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert found
    conninfo = "postgresql://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format_map(servers)
    settings = (
        'host="{MYSQL_HOST}", port={MYSQL_TCP_PORT}, user="{MYSQL_USER}", password="{MYSQL_PWD}",'
        ' database="{MYSQL_DATABASE}"'
    ).format_map(servers)
    program, replaced = re.subn(r"postgresql://[^\"]+", conninfo, found[1])
    program, also_replaced = re.subn(r'host="mysql.example".*(?=\),)', settings, program)
    assert (replaced, also_replaced) == (1, 1)
    return program
