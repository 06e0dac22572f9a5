"""Checkouts for tests of the whole platform."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.platform.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path / "checkout")
    yield checkout
    checkout.remove()
