"""The charts' tests need helm, but no cluster."""

import shutil

import pytest

HELM_IS_MISSING = shutil.which("helm") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/charts/" in item.path.as_posix() and HELM_IS_MISSING:
            item.add_marker(pytest.mark.skip(reason="helm is not installed"))
