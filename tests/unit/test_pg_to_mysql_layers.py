"""The replicator's folders depend on each other in one direction; only its command line uses the process."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "apps" / "pg-to-mysql" / "src" / "pg_to_mysql"
LAYERS = (
    {"errors", "progress", "rows"},
    {"extras", "passing", "tables"},
    {"mysql", "postgres"},
    {"following", "identity"},
    {"changes"},
    {"snapshot"},
    {"operation"},
    {"comparison"},
    {"replica"},
    {"api"},
    {"__init__"},
    {"command_line"},
)
"""Each part may import from those before its set, and from no other part of its set."""
OPTION_OR_VARIABLE = re.compile(r"--[a-z]|\bPG[A-Z]{3,}|\b(MYSQL|REPLICATION)_[A-Z]*|\bPG settings")
FILES = sorted(PACKAGE.rglob("*.py"), key=str)


def part(file: Path) -> str:
    """The folder of the package that the file is in, or the file's own name."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            yield from [name.name for name in node.names]


def used_by(file: Path) -> set[str]:
    """The other parts of the package that a file imports."""
    names = (name.split(".") for name in imported(file))
    return {name[1] for name in names if name[0] == "pg_to_mysql"} - {part(file)}


def test_each_part_has_a_layer() -> None:
    assert {part(file) for file in FILES} == set().union(*LAYERS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_knows_only_what_is_below_it(file: Path) -> None:
    number = next(i for i, layer in enumerate(LAYERS) if part(file) in layer)
    assert used_by(file) <= set().union(*LAYERS[:number])


def test_the_package_knows_nothing_of_the_platform() -> None:
    assert [name for file in FILES for name in imported(file) if name.startswith("martline")] == []


@pytest.mark.parametrize("word", ["os.environ", "os.getenv", "print(", "sys.exit", "sys.argv", "import click"])
def test_nothing_below_the_command_line_uses_the_environment_or_the_terminal(word: str) -> None:
    assert [file.name for file in FILES if part(file) != "command_line" and word in file.read_text()] == []


def texts(file: Path) -> Iterator[str]:
    """The file's strings that are not docstrings."""
    tree = ast.parse(file.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_command_line_names_options_and_variables(file: Path) -> None:
    if part(file) != "command_line":
        assert [text for text in texts(file) if OPTION_OR_VARIABLE.search(text)] == []
