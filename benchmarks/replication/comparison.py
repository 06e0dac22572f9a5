"""The comparison of equal tables, beside the two servers' own full scans with a checksum."""

import time
from collections.abc import Iterator

from benchmarks.measure import Measure
from benchmarks.replication.commands import run
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import orders

ROWS = 3_000_000
TIMES_SCAN = 2
DATABASE = "orders"


def measure_comparison(servers: Servers, spark: dict[str, str], repeat: int) -> Iterator[Measure]:
    """The best of several runs in turns."""
    environment = {**servers.environment(DATABASE), **spark}
    servers.fresh_source(DATABASE)
    with servers.source(DATABASE) as source:
        orders(ROWS).make(source)
    servers.fresh_target(DATABASE)
    run(["replicate"], environment)
    compared, scanned_source, scanned_target = [], [], []
    for _ in range(repeat):
        ended = run(["replication-compare"], environment)
        assert ended.result["rows_compared"] == ROWS
        compared.append(ended.result["seconds"])
        with servers.source(DATABASE) as source:
            started = time.monotonic()
            source.execute("SELECT sum(hashtextextended(orders::text, 0)) FROM orders")
            scanned_source.append(time.monotonic() - started)
        with servers.target(DATABASE) as target, target.cursor() as cursor:
            started = time.monotonic()
            cursor.execute("CHECKSUM TABLE orders")
            cursor.fetchall()
            scanned_target.append(time.monotonic() - started)
    scans = {
        "PostgreSQL's sum(hashtextextended(row))": min(scanned_source),
        "MySQL's CHECKSUM TABLE": min(scanned_target),
    }
    longer = max(scans, key=lambda name: scans[name])
    yield Measure(
        f"comparison of {ROWS:,} equal orders",
        min(compared),
        "s",
        goal=TIMES_SCAN,
        beside=longer,
        beside_value=scans[longer],
        of_ratio=True,
    )
    for name, seconds in scans.items():
        yield Measure(f"full scan: {name}", seconds, "s")
