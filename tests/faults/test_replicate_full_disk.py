"""The disk of a server is full: a sentence says so, no data is wrong, and both sides end equal."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.connections import to_mysql, to_postgres
from tests.servers import IMAGES, MySQLContainer, PostgreSQLContainer, open_server

pytestmark = pytest.mark.timeout(0)
ROWS = 400_000
FOLDERS = {"postgres": "/var/lib/postgresql/data", "mysql": "/var/lib/mysql"}
FREE_MEGABYTES = {"postgres": 0, "mysql": 8}
"""The room that is left, with which MySQL can still tell the run that its disk is full."""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Both servers, each with its data on a separate small file system."""
    open_server("postgresql-17", tmp_path / "asked")  # skips the test if the image is missing
    open_server("mysql-9.7", tmp_path / "asked too")
    for name in ("postgres", "mysql"):
        (tmp_path / name).mkdir()
    sizes = {"postgres": "400m", "mysql": "700m"}
    options = {name: ("--tmpfs", f"{FOLDERS[name]}:size={sizes[name]}") for name in FOLDERS}
    made: dict[str, PostgreSQLContainer | MySQLContainer] = {
        "postgres": PostgreSQLContainer(IMAGES["postgresql-17"], tmp_path / "postgres", *options["postgres"]),
        "mysql": MySQLContainer(IMAGES["mysql-9.7"], tmp_path / "mysql", *options["mysql"]),
    }
    with ExitStack() as stack:
        for server in made.values():
            stack.callback(server.remove)
            server.start()
        yield made


@pytest.mark.parametrize("full", ["postgres", "mysql"])
def test_on_a_full_disk_it_ends_with_a_sentence_and_is_equal_once_there_is_room(
    full: str, servers: dict[str, Any], run: Callable[..., Any]
) -> None:
    with servers["postgres"].database() as source_settings, servers["mysql"].database() as target_settings:
        settings = {**source_settings, **target_settings}
        with to_postgres(settings) as source:
            source.execute("CREATE TABLE first (id int PRIMARY KEY, v text); INSERT INTO first VALUES (1, 'a')")
            run("replicate", env=settings)
            source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            source.execute(f"INSERT INTO t SELECT n, repeat('v', 50) FROM generate_series(1, {ROWS}) n")
            source.execute("UPDATE first SET v = 'b'")
            filler = f"{FOLDERS[full]}/filler"
            servers[full].shell(
                f"free=$(df -m --output=avail {FOLDERS[full]} | tail -1);"
                f" head -c $((free - {FREE_MEGABYTES[full]}))M /dev/zero > {filler} || true"
            )
            if full == "postgres":
                servers[full].shell(f"cat /dev/zero > {filler}.more || true")
            failed = run("replicate", env=settings, check=False)
            assert failed.status == 1
            assert "--debug shows the traceback" not in failed.log
            assert "space left" in failed.log.lower() or "full" in failed.log
            servers[full].shell(f"rm -f {filler} {filler}.more")
            run("replicate", env=settings)
            expected = source.execute("SELECT count(*), sum(id), sum(length(v)) FROM t").fetchall()
        with to_mysql(settings) as target, target.cursor() as cursor:
            cursor.execute("SELECT COUNT(*), SUM(id), SUM(LENGTH(v)) FROM t")
            assert list(cursor.fetchall()) == expected
            cursor.execute("SELECT v FROM first")
            assert cursor.fetchall() == (("b",),)
        run("replication-compare", env=settings)
