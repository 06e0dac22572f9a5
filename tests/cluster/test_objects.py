"""A real API server validates the charts' objects, with all values of the tests."""

import pytest
import yaml
from tests.charts.cases import CASES, case
from tests.charts.rendering import NAMESPACE
from tests.cluster.conftest import Platform

from martline.cluster import programs

# The first test starts the cluster.
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="session")
def namespace(platform: Platform) -> str:
    """A namespace without a release, so that no object belongs to another release."""
    declaration = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    programs.apply(platform.cluster.kubectl("apply", "--filename", "-"), declaration)
    return NAMESPACE


@pytest.mark.parametrize("name", CASES)
def test_the_api_server_accepts_every_object(platform: Platform, namespace: str, name: str) -> None:
    objects = [{**item, "metadata": {"namespace": namespace, **item["metadata"]}} for item in case(name)]
    command = *platform.cluster.kubectl("create", "--dry-run=server", "--filename", "-"), "--namespace", namespace
    programs.read(*command, given=yaml.safe_dump_all(objects))
