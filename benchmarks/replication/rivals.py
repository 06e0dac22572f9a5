"""What replication is compared with: plain pipes of the servers' own clients, and Spark's JDBC, tuned."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import Shape

from martline.embedded.artifacts import Artifact, cache_folder, download

JDBC = Path(__file__).parent / "jdbc.py"
POSTGRES_DRIVER = Artifact(
    "org/postgresql/postgresql/42.7.8/postgresql-42.7.8.jar",
    "2a32a9dcbc42d67a50ad3a0de5efd102c8d2be46720045f2cbd6689f160ab7c7",
    1116727,
)
MYSQL_DRIVER = Artifact(
    "com/mysql/mysql-connector-j/9.7.0/mysql-connector-j-9.7.0.jar",
    "0353648eaa1c91e0f4020c959abf756bc866ffd583df22ae6b6f6e0cbd43eb44",
    2607237,
)


def create_target(servers: Servers, database: str, definition: str) -> None:
    """Create the empty table as the product creates it."""
    servers.fresh_target(database)
    with servers.target(database) as target, target.cursor() as cursor:
        cursor.execute(definition)


def pipes(servers: Servers, database: str, shape: Shape, count: int) -> float:
    """Copy with ``count`` pipes ``psql COPY | mysql LOAD DATA`` at once, and return the seconds.

    Each pipe reads its share of the table's pages. The session settings are those of the product. Like the
    product, MySQL's client encrypts its connection if the server can.
    """
    environment = {**os.environ, **servers.environment(database)}
    with servers.source(database) as source:
        columns = ", ".join(shape.columns(source))
        query = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
        [(pages,)] = source.execute(query, [shape.name]).fetchall()
    load = f"LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {shape.name} CHARACTER SET utf8mb4 ({columns})"
    mysql = _mysql(servers, database, load)
    started = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    for i in range(count):
        low, high = pages * i // count, pages * (i + 1) // count
        where = "" if count == 1 else f" WHERE ctid >= '({low},0)' AND ctid < '({high},0)'"
        copy = f"COPY (SELECT {columns} FROM {shape.name}{where}) TO STDOUT"
        processes += _pipe(servers, copy, mysql, environment)
    _require_success(processes)
    seconds = time.monotonic() - started
    require_rows(servers, database, shape)
    return seconds


def pipe(servers: Servers, source: str, query: str, target: str, statements: str) -> float:
    """Give the rows of a query to statements of MySQL's client, and return the seconds.

    :param source: PostgreSQL's database, in which the query runs.
    :param target: MySQL's database, in which the statements run. They read the rows from ``/dev/stdin``.
    """
    mysql = _mysql(servers, target, statements)
    environment = {**os.environ, **servers.environment(source)}
    started = time.monotonic()
    _require_success(_pipe(servers, f"COPY ({query}) TO STDOUT", mysql, environment))
    return time.monotonic() - started


def _mysql(servers: Servers, database: str, statements: str) -> list[str]:
    """The command line that runs the statements with the session settings of the product."""
    settings = "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'; SET time_zone = '+00:00'"
    return [
        *servers.mysql_client,
        "--no-defaults",
        f"--host={servers.mysql['MYSQL_HOST']}",
        f"--port={servers.mysql['MYSQL_TCP_PORT']}",
        f"--user={servers.mysql['MYSQL_USER']}",
        "--local-infile=1",
        "--default-character-set=utf8mb4",
        database,
        f"--execute={settings}; {statements}",
    ]


def _pipe(
    servers: Servers, copy: str, mysql: Sequence[str], environment: Mapping[str, str]
) -> list["subprocess.Popen[bytes]"]:
    """Start the two ends of a pipe from PostgreSQL to MySQL."""
    psql = [*servers.psql, "--no-psqlrc", "--quiet", "--command", copy]
    reading = subprocess.Popen(psql, stdout=subprocess.PIPE, env=environment)
    writing = subprocess.Popen(mysql, stdin=reading.stdout, env=environment)
    assert reading.stdout
    reading.stdout.close()
    return [reading, writing]


def _require_success(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait for the processes, and fail if one of them has failed."""
    failed = [process.args for process in processes if process.wait() != 0]
    if failed:
        raise RuntimeError(f"a pipe has failed: {failed[0]!r}")


def jdbc(servers: Servers, database: str, shape: Shape, spark: dict[str, str]) -> float:
    """Copy with Spark's JDBC source and sink, tuned, and return the seconds of the whole program."""
    download([POSTGRES_DRIVER, MYSQL_DRIVER], cache_folder())
    drivers = [cache_folder() / driver.path for driver in (POSTGRES_DRIVER, MYSQL_DRIVER)]
    started = time.monotonic()
    subprocess.run(
        [sys.executable, JDBC, shape.name, shape.key, str(shape.rows), ":".join(map(str, drivers))],
        env={**os.environ, **servers.environment(database), **spark},
        check=True,
    )
    seconds = time.monotonic() - started
    require_rows(servers, database, shape)
    return seconds


def require_rows(servers: Servers, database: str, shape: Shape) -> None:
    """Fail unless all rows have arrived."""
    with servers.target(database) as target, target.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {shape.name}")
        assert cursor.fetchall() == ((shape.rows,),)
