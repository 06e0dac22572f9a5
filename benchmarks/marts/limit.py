"""The minimum of work for the marts: read the columns into Arrow, compute the marts, and load the results."""

import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import connectorx
import duckdb
import pyarrow as pa
import pyarrow.csv
import pymysql

from martline.command import MySQLSettings
from martline.marts.catalogue import MARTS
from martline.marts.definition import Mart
from martline.marts.reading.plan import needed_columns
from martline.marts.reading.ranges import key_of
from martline.marts.reading.values import columns_of
from martline.marts.statement import Dialect, frame_of, statement

READERS = 2
MONEY = "12,2"
"""The precision and scale of the shop's decimal columns, because connectorx gives all of them 38 digits."""


def measure_limit(settings: MySQLSettings) -> dict[str, float]:
    """The seconds of the three parts. The results go into tables ``limit_…`` with the marts' columns and keys."""
    marts = list(MARTS.values())
    needed = needed_columns(marts)
    with settings.connect(autocommit=True) as connection:
        columns = columns_of(connection, needed)
        keys = {table: key_of(connection, table) for table in needed}
    started = time.monotonic()
    tables = {table: _read(settings, table, keys[table], names) for table, names in needed.items()}
    read = time.monotonic()
    computed = _compute(tables, marts, columns)
    done = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as folder:
        for mart in marts:
            _load(settings, mart, computed[mart.name], Path(folder))
    return {"reading": read - started, "computing": done - read, "loading": time.monotonic() - done}


def _read(settings: MySQLSettings, table: str, key: str, names: tuple[str, ...]) -> pa.Table:
    """Read a table in ranges of its key column, with one range for each reader."""
    address = f"mysql://{settings.user}:{settings.password}@{settings.host}:{settings.port}/{settings.database}"
    columns = ", ".join(dict.fromkeys((key, *names)))
    query = f"SELECT {columns} FROM {table}"
    return connectorx.read_sql(
        address, query, return_type="arrow", partition_on=key, partition_num=READERS
    ).select(names)


def _compute(
    tables: Mapping[str, pa.Table], marts: list[Mart], columns: Mapping[str, pa.Schema]
) -> dict[str, pa.Table]:
    with closing(duckdb.connect()) as connection:
        for name, rows in tables.items():
            kinds = [
                f'CAST("{field.name}" AS DECIMAL({MONEY})) AS "{field.name}"'
                if pa.types.is_decimal(field.type)
                else f'"{field.name}"'
                for field in rows.schema
            ]
            connection.register(f"read_{name}", rows)
            connection.execute(f'CREATE VIEW "{name}" AS SELECT {", ".join(kinds)} FROM "read_{name}"')
        return {
            mart.name: connection.sql(statement(frame_of(mart, columns), Dialect.DUCKDB)).to_arrow_table()
            for mart in marts
        }


def _load(settings: MySQLSettings, mart: Mart, rows: pa.Table, folder: Path) -> None:
    file = folder / mart.name
    pyarrow.csv.write_csv(
        rows.sort_by([(name, "ascending") for name in mart.key]),
        file,
        pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid"),
    )
    with closing(
        pymysql.connect(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password,
            database=settings.database,
            local_infile=True,
            autocommit=True,
        )
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(f"DROP TABLE IF EXISTS limit_{mart.name}")
        cursor.execute(f"CREATE TABLE limit_{mart.name} LIKE {mart.name}")
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE limit_{mart.name} CHARACTER SET utf8mb4"
            " FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'"
        )
