"""The tag of an image is a hash of all files that go into it, as its Dockerfile says."""

import shutil
from pathlib import Path

import pytest

from martline.cluster.images import Image, images

CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout") / "a path with spaces"
    for name in ("apps", "dags", "images", "notebooks"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("bootstrap.py", "pyproject.toml", "uv.lock"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def tags(checkout: Path) -> dict[str, str]:
    return {image.name: image.tag for image in images(checkout)}


def changed(checkout: Path, file: str) -> set[str]:
    """The images whose tag changes with this file."""
    before = tags(checkout)
    path = checkout / file
    content = path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((content or b"") + b"# changed\n")
    try:
        after = tags(checkout)
    finally:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("apps/shop/src/martline/shop/generate.py", {"shop"}),
        ("apps/marts/src/martline/marts/build.py", {"jupyter", "spark"}),
        ("apps/dashboard/src/martline/dashboard/pages/static/dashboard.css", {"dashboard", "jupyter"}),
        ("apps/pg-to-mysql/src/pg_to_mysql/snapshot/copy.py", {"dashboard", "jupyter", "shop", "spark"}),
        ("apps/command/src/martline/command/confirm.py", {"dashboard", "jupyter", "shop", "spark"}),
        ("dags/replicate.py", {"airflow"}),
        ("images/jupyter/Dockerfile", {"jupyter"}),
        ("notebooks/1-tour.ipynb", {"jupyter"}),
        ("images/spark/entrypoint.py", {"spark"}),
        ("images/base/install", {"airflow", "dashboard", "jupyter", "shop", "spark"}),
        ("uv.lock", {"airflow", "dashboard", "jupyter", "shop", "spark"}),
        ("apps/embedded/src/martline/embedded/platform.py", set()),
        ("apps/shop/src/martline/shop/__pycache__/generate.cpython-313.pyc", set()),
    ],
)
def test_a_change_gives_those_images_a_new_tag_that_hold_the_file(
    copy: Path, file: str, expected: set[str]
) -> None:
    assert changed(copy, file) == expected


def test_a_tag_does_not_depend_on_where_the_checkout_is(copy: Path) -> None:
    assert tags(copy) == tags(CHECKOUT)


def test_a_programs_mode_is_part_of_it(copy: Path) -> None:
    before = Image(copy, "spark").tag
    program = copy / "images" / "spark" / "entrypoint.py"
    program.chmod(0o644)
    try:
        assert Image(copy, "spark").tag != before
    finally:
        program.chmod(0o755)
