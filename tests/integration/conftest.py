"""Fixtures that the tests of the dashboard share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.connections import to_mysql
from tests.dashboard import dashboard_role
from tests.servers import MySQL, Server


@pytest.fixture
def role(
    server: Callable[[str], Server], mysql: dict[str, str], pair: tuple[str, str]
) -> Iterator[dict[str, str]]:
    """The settings of the dashboard's own role on the test's MySQL database."""
    database_server = server(pair[1])
    assert isinstance(database_server, MySQL)
    host = "127.0.0.1" if pair[1].startswith("mariadb") else "%"
    with dashboard_role(database_server, mysql, host) as settings:
        yield settings


@pytest.fixture
def owner(mysql: dict[str, str]) -> Iterator[Any]:
    """A connection that may write the marts."""
    with to_mysql(mysql) as connection:
        yield connection
