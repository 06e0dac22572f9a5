"""The file that a run of build-marts keeps for the next one."""

from dataclasses import replace

import pyarrow as pa

from martline.marts.catalogue import MARTS
from martline.marts.incremental.kept import fingerprint

COLUMNS = {
    "orders": pa.schema(
        {"user_id": pa.int64(), "total_amount": pa.decimal128(12, 2), "status": pa.string()},
    ),
    "users": pa.schema({"user_id": pa.int64(), "loyalty_status": pa.string()}),
}


def test_the_fingerprint_of_marts_changes_with_their_checks() -> None:
    mart = MARTS["mart_average_check"]
    fewer = replace(mart, checks=mart.checks[1:])
    assert fingerprint([mart], COLUMNS) == fingerprint([replace(mart)], COLUMNS)
    assert fingerprint([mart], COLUMNS) != fingerprint([fewer], COLUMNS)
