"""The notebooks are executed on real servers, and show what a reader should see."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import CHECKOUT, PROGRAMS
from tests.connections import to_mysql
from tests.servers import Server

from martline.embedded.platform import Platform

HOW = "the notebooks' packages are installed by `make .venv/.notebooks`"
nbformat = pytest.importorskip("nbformat", reason=HOW)
nbclient = pytest.importorskip("nbclient", reason=HOW)

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SIZES = ("--users", "300", "--products", "100", "--orders", "2000", "--reviews", "600", "--loyalty", "800")
SECONDS_A_CELL = 240


@pytest.fixture(scope="module")
def shop(
    platform: Platform, server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment of a notebook, with a shop that has rows, a replica and marts."""
    with server("postgresql-18").database() as source, server("mariadb-11.4").database() as replica:
        home = tmp_path_factory.mktemp("home")
        environment = {**platform.environment(), **source, **replica, "IPYTHONDIR": str(home)}
        environment.pop("PGPASSFILE")
        for command in (
            ["shop-init"],
            ["shop-generate", *SIZES, "--seed", "3"],
            ["replicate"],
            ["build-marts"],
        ):
            done = subprocess.run(
                [PROGRAMS / command[0], *command[1:]], env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        yield environment


def tables(shop: dict[str, str]) -> dict[str, Any]:
    """Every table in MySQL and its checksum."""
    with closing(to_mysql(shop)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        names = sorted(name for (name,) in cursor.fetchall())
        cursor.execute(f"CHECKSUM TABLE {', '.join(f'`{name}`' for name in names)}")
        return dict(cursor.fetchall())


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_without_a_warning_and_changes_nothing(file: Path, shop: dict[str, str]) -> None:
    require_runs_without_a_warning(file, shop)


def test_a_mart_is_tried_on_a_cluster_without_sparks_log_in_the_notebook(
    shop: dict[str, str], spark_cluster: dict[str, str]
) -> None:
    require_runs_without_a_warning(CHECKOUT / "notebooks" / "4-add-a-mart.ipynb", {**shop, **spark_cluster})


def require_runs_without_a_warning(file: Path, shop: dict[str, str]) -> None:
    """Execute the notebook, and check that it shows a chart and changes no table."""
    before = tables(shop)
    notebook = nbformat.read(file, 4)
    client = nbclient.NotebookClient(notebook, timeout=SECONDS_A_CELL)
    # The first error ends the notebook and fails the test.
    client.execute(env=shop)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert "arning" not in str([output.get("text", output.get("data")) for output in outputs])
    assert tables(shop) == before
