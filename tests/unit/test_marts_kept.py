"""The file that a run of build-marts keeps for the next one."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from martline.marts.catalogue import MARTS
from martline.marts.engines.duck import DuckDB
from martline.marts.incremental.kept import Kept, Origin, fingerprint, keep
from martline.marts.reading.moment import Moment
from martline.marts.runs import Run

COLUMNS = {
    "orders": pa.schema(
        {"user_id": pa.int64(), "total_amount": pa.decimal128(12, 2), "status": pa.string()},
    ),
    "users": pa.schema({"user_id": pa.int64(), "loyalty_status": pa.string()}),
}


def test_the_fingerprint_of_marts_changes_with_their_checks() -> None:
    mart = MARTS["mart_average_check"]
    fewer = replace(mart, checks=mart.checks[1:])
    assert fingerprint([mart], COLUMNS, "utf8mb4_0900_bin") == fingerprint(
        [replace(mart)], COLUMNS, "utf8mb4_0900_bin"
    )
    assert fingerprint([mart], COLUMNS, "utf8mb4_0900_bin") != fingerprint([fewer], COLUMNS, "utf8mb4_0900_bin")


def test_only_its_owner_may_read_it_at_any_time(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "marts.duckdb"
    run = Run(1, datetime(2026, 1, 1))
    with DuckDB.opened() as engine:
        engine.add("users", COLUMNS["users"].empty_table())
        keep(engine, file, run, Moment((("slot", 1, 0),), 1), "definitions")
    with Kept.changing(file) as kept:
        kept.remember(Origin(2, run.started_at, 2, "definitions"))
        written = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    assert written == {"marts.duckdb": 0, "marts.duckdb.wal": 0}
