"""The notebooks as they are stored."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LINK = re.compile(r"\]\(([^)]+)\)")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
LONGEST_CELL = 25

pytestmark = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def texts(file: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in read(file)["cells"] if cell["cell_type"] == kind]


def test_it_is_stored_without_output_and_as_jupyter_writes_it(file: Path) -> None:
    notebook = read(file)
    assert file.read_text() == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    assert notebook["metadata"] == METADATA
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert (cell.get("outputs", []), cell.get("execution_count")) == ([], None)


def test_its_cells_are_short_and_none_is_empty(file: Path) -> None:
    for cell in read(file)["cells"]:
        assert 0 < len(cell["source"]) <= LONGEST_CELL, cell["id"]


def test_its_text_states_no_number(file: Path) -> None:
    for text in texts(file, "markdown"):
        prose = LINK.sub("", CODE.sub("", text))
        assert not re.search(r"\d", prose), prose


def test_its_links_lead_somewhere(file: Path) -> None:
    for text in texts(file, "markdown"):
        for link in LINK.findall(text):
            assert (FOLDER / link).exists(), link


def test_it_takes_what_it_needs_by_plain_imports(file: Path) -> None:
    code = "\n".join(texts(file, "code"))
    assert "from martline.notebooks import" in code
    assert not re.search(r"^[%!]|os\.environ|sys\.path|jdbc:", code, re.MULTILINE)
