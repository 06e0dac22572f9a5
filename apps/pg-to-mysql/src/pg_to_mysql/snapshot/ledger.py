"""The ledger of a snapshot: a table in MySQL that says which ranges are done.

The row of a range is written in the same transaction as the rows of the range, wherever that runs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pymysql
from pymysql.constants import ER

from pg_to_mysql.errors import Refused
from pg_to_mysql.mysql.quoting import quote
from pg_to_mysql.mysql.target import Target
from pg_to_mysql.snapshot.ranges import Range


@dataclass(frozen=True)
class Progressed:
    """The progress of a staging table."""

    staging: str
    ranges: int
    """The number of ranges that are done."""
    rows: int
    refused: Refused | None
    """Why MySQL can't have the table; None if it can."""


@dataclass(frozen=True)
class Ledger:
    """A ledger, by its name in MySQL. Each call is given a connection."""

    name: str

    def create(self, target: Target) -> None:
        """Create the ledger's table."""
        target.execute(
            f"CREATE TABLE {quote(self.name)} (staging VARCHAR(64), number INT UNSIGNED,"
            " rows_copied BIGINT UNSIGNED NOT NULL DEFAULT 0, error LONGTEXT, PRIMARY KEY (staging, number))"
            " ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )

    def claim(self, target: Target, part: Range) -> bool:
        """Write the range's row, which waits for a concurrent attempt; return False if nothing is left to do."""
        failed = f"SELECT 1 FROM {quote(self.name)} WHERE staging = %s AND error IS NOT NULL LIMIT 1"
        if target.execute(failed, [part.staging]):
            return False
        line = f"INSERT INTO {quote(self.name)} (staging, number) VALUES (%s, %s)"
        try:
            target.execute(line, [part.staging, part.number])
        except pymysql.IntegrityError as error:
            if error.args[0] == ER.DUP_ENTRY:
                return False
            raise
        return True

    def store_rows(self, target: Target, part: Range, rows: int) -> None:
        """Record that the range is done."""
        target.execute(
            f"UPDATE {quote(self.name)} SET rows_copied = %s WHERE staging = %s AND number = %s",
            [rows, part.staging, part.number],
        )

    def store_refusal(self, target: Target, staging: str, number: int, refused: Refused) -> None:
        """Record that MySQL can't have a range, so that the table's other ranges are left out."""
        target.execute(
            f"INSERT INTO {quote(self.name)} (staging, number, error) VALUES (%s, %s, %s)"
            " ON DUPLICATE KEY UPDATE error = VALUES(error)",
            [staging, number, _to_json(refused)],
        )

    def read(self, target: Target) -> Iterator[Progressed]:
        """The progress of each staging table that has a row in the ledger."""
        with target.transaction():
            lines = target.execute(
                f"SELECT staging, COUNT(*), SUM(rows_copied), MIN(error) FROM {quote(self.name)} GROUP BY staging"
            )
        for staging, ranges, rows, error in lines:
            yield Progressed(staging, ranges, int(rows), None if error is None else _from_json(error))


def _to_json(refused: Refused) -> str:
    stored = {"sentence": str(refused), "table": refused.table, "column": refused.column, "key": refused.key}
    return json.dumps(stored, ensure_ascii=False)


def _from_json(text: str) -> Refused:
    return Refused(**json.loads(text))
