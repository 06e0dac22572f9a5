"""The comparison of equal tables, compared with full scans by the two servers that compute a checksum."""

import time
from collections.abc import Callable, Iterator

from benchmarks.measure import Measure
from benchmarks.replication.commands import run
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import orders

ROWS = 3_000_000
TIMES_SCAN = 1.4
DATABASE = "orders"
COLUMNS = "order_id, user_id, order_date, total_amount, status, delivery_date"
# Checksums of all values. MySQL's is that of pt-table-checksum, the usual tool to compare two MySQL servers.
POSTGRES_SCAN = "SELECT sum(hashtextextended(orders::text, 0)) FROM orders"
MYSQL_SCAN = (
    f"SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS('#', {COLUMNS}, CONCAT(ISNULL(delivery_date))))) FROM orders"
)
# A checksum of the rows as they are stored, which can be compared only with one from the same server.
MYSQL_STORED = "CHECKSUM TABLE orders"


def measure_comparison(servers: Servers, repeat: int) -> Iterator[Measure]:
    """Measure the best of several runs in turns."""
    environment = servers.environment(DATABASE)
    servers.fresh_source(DATABASE)
    with servers.source(DATABASE) as source:
        orders(ROWS).make(source)
    servers.fresh_target(DATABASE)
    run(["replicate"], environment)
    compared: list[float] = []
    scans: dict[str, list[float]] = {POSTGRES_SCAN: [], MYSQL_SCAN: [], MYSQL_STORED: []}
    for _ in range(repeat):
        ended = run(["replication-compare"], environment)
        assert ended.result["rows_compared"] == ROWS
        compared.append(ended.seconds)
        with servers.source(DATABASE) as source:
            scans[POSTGRES_SCAN].append(_seconds(source.execute, POSTGRES_SCAN))
        with servers.target(DATABASE) as target, target.cursor() as cursor:
            for scan in (MYSQL_SCAN, MYSQL_STORED):
                scans[scan].append(_seconds(cursor.execute, scan))
    longer = max((POSTGRES_SCAN, MYSQL_SCAN), key=lambda scan: min(scans[scan]))
    yield Measure(
        f"comparison of {ROWS:,} equal orders",
        min(compared),
        "s",
        goal=TIMES_SCAN,
        beside=longer,
        beside_value=min(scans[longer]),
        of_ratio=True,
    )
    for scan, seconds in scans.items():
        yield Measure(f"full scan: {scan}", min(seconds), "s")


def _seconds(ask: Callable[[str], object], scan: str) -> float:
    started = time.monotonic()
    ask(scan)
    return time.monotonic() - started
