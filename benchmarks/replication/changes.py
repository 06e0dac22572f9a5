"""The speed of changes: a million at once, and 5,000 a second while following."""

import statistics
import threading
import time
from collections.abc import Iterator

from benchmarks.measure import Measure
from benchmarks.replication.commands import run, started
from benchmarks.replication.rivals import pipe
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import ORDER_ROWS, orders

ROWS = 3_000_000
INSERTS, UPDATES, DELETES = 600_000, 300_000, 100_000
CHANGES = INSERTS + UPDATES + DELETES
SMALL_TRANSACTIONS = 100_000
CHANGES_A_SECOND = 200_000
MEMORY_MIB = 512
FOLLOWED_A_SECOND = 5_000
FOLLOW_SECONDS = 30
LAG_SECONDS = 2
STEP_SECONDS = 0.05
LOOK_SECONDS = 0.01
DATABASE = "orders"
ASIDE = "orders_aside"


def measure_changes(servers: Servers, repeat: int) -> Iterator[Measure]:
    """Measure a million changes, in small transactions and in one, in turns; then the lag while following."""
    environment = servers.environment(DATABASE)
    servers.fresh_source(DATABASE)
    with servers.source(DATABASE) as source:
        orders(ROWS).make(source)
        source.execute("CREATE TABLE marks (id integer PRIMARY KEY, made double precision NOT NULL)")
        source.execute("INSERT INTO marks VALUES (1, 0)")
    servers.fresh_target(DATABASE)
    run(["replicate"], environment)
    seconds: dict[int, list[float]] = {SMALL_TRANSACTIONS: [], 1: []}
    memory: dict[int, float] = dict.fromkeys(seconds, 0)
    alone = []
    for number, transactions in enumerate([*seconds] * repeat):
        _set_aside(servers)
        change(servers, number, transactions)
        servers.settle()
        ended = run(["replicate"], environment)
        assert ended.result["changes"] == CHANGES, ended.result
        seconds[transactions].append(ended.seconds)
        servers.settle()
        alone.append(_write_alone(servers, number))
        memory[transactions] = max(memory[transactions], ended.memory.peak)
    for transactions, took in seconds.items():
        name = f"{CHANGES:,} changes in {transactions:,} transaction{'s' if transactions > 1 else ''}"
        yield Measure(
            name,
            CHANGES / min(took),
            "changes/s",
            goal=CHANGES_A_SECOND,
            beside="psql COPY | mysql LOAD DATA … REPLACE, DELETE: only the rows that result, in one transaction",
            beside_value=CHANGES / min(alone),
            at_least=True,
        )
        yield Measure(f"{name}: memory", memory[transactions], "MiB", goal=MEMORY_MIB)
    yield from _follow(servers, environment)
    run(["replication-compare"], environment)


def change(servers: Servers, number: int, transactions: int, total: int = CHANGES) -> None:
    """Insert, update and delete in the same proportions in each transaction, each time with other rows."""
    counts = [n * total // CHANGES for n in (INSERTS, UPDATES, DELETES)]
    inserts, updates, deletes = (n // transactions for n in counts)
    inserted, updated, deleted = _first_keys(number, *counts[1:])
    with servers.source(DATABASE) as source:
        source.execute("SET synchronous_commit = off")
        rows = ORDER_ROWS.format(
            name="orders", first=f"{inserted} + t * {inserts}", last=f"{inserted} + (t + 1) * {inserts} - 1"
        )
        source.execute(f"""
            CREATE OR REPLACE PROCEDURE change() LANGUAGE plpgsql AS $$
            BEGIN
                FOR t IN 0 .. {transactions - 1} LOOP
                    {rows};
                    UPDATE orders SET status = 'Shipped', total_amount = total_amount + 1
                        WHERE order_id >= {updated} + t * {updates}
                        AND order_id < {updated} + (t + 1) * {updates};
                    DELETE FROM orders WHERE order_id >= {deleted} + t * {deletes}
                        AND order_id < {deleted} + (t + 1) * {deletes};
                    COMMIT;
                END LOOP;
            END $$
        """)
        source.execute("CALL change()")


def _first_keys(number: int, updates: int = UPDATES, deletes: int = DELETES) -> tuple[int, int, int]:
    """The first key that the changes with this number insert, update and delete."""
    updated = 1 + number * (updates + deletes)
    return ROWS + 1 + number * INSERTS, updated, updated + updates


def _set_aside(servers: Servers) -> None:
    """Copy the replica's table into another database, as it is before the changes."""
    servers.fresh_database(ASIDE)
    with servers.target(ASIDE) as target, target.cursor() as cursor:
        cursor.execute(f"CREATE TABLE orders LIKE {DATABASE}.orders")
        cursor.execute(f"INSERT INTO orders SELECT * FROM {DATABASE}.orders")


def _write_alone(servers: Servers, number: int) -> float:
    """The seconds in which MySQL's own client makes the same changes to the table that was set aside.

    It writes only the rows that result, sorted by their key and in one transaction. A program that writes with
    one connection can hardly be faster.
    """
    inserted, updated, deleted = _first_keys(number)
    query = (
        f"SELECT * FROM orders WHERE order_id >= {updated} AND order_id < {updated + UPDATES}"
        f" OR order_id >= {inserted} AND order_id < {inserted + INSERTS} ORDER BY order_id"
    )
    statements = (
        "BEGIN; LOAD DATA LOCAL INFILE '/dev/stdin' REPLACE INTO TABLE orders CHARACTER SET utf8mb4;"
        f" DELETE FROM orders WHERE order_id >= {deleted} AND order_id < {deleted + DELETES}; COMMIT"
    )
    seconds = pipe(servers, DATABASE, query, ASIDE, statements)
    with servers.target() as target, target.cursor() as cursor:
        cursor.execute(f"CHECKSUM TABLE {DATABASE}.orders, {ASIDE}.orders")
        [(_, replica), (_, aside)] = cursor.fetchall()
    assert replica == aside
    return seconds


def _follow(servers: Servers, environment: dict[str, str]) -> Iterator[Measure]:
    """The lag of marks that are written among the changes, from their commit until MySQL shows them."""
    with started(["replicate", "--follow"], environment) as (process, memory):
        changing = threading.Thread(target=_change_steadily, args=(servers,))
        changing.start()
        lags = []
        seen = 0.0
        with servers.target(DATABASE) as target, target.cursor() as cursor:
            while changing.is_alive():
                cursor.execute("SELECT made FROM marks")
                [(made,)] = cursor.fetchall()
                if made > seen:
                    lags.append(time.time() - made)
                    seen = made
                time.sleep(LOOK_SECONDS)
        changing.join()
        process.terminate()
        _, log = process.communicate()
    if process.returncode != 0 or len(lags) < 2:
        raise RuntimeError(f"replicate --follow has failed:\n{log}")
    percentiles = statistics.quantiles(lags, n=100)
    name = f"following {FOLLOWED_A_SECOND:,} changes a second"
    yield Measure(f"{name}: lag, median", percentiles[49], "s")
    yield Measure(f"{name}: lag, 95th percentile", percentiles[94], "s", goal=LAG_SECONDS)
    yield Measure(f"{name}: memory", memory.peak, "MiB", goal=MEMORY_MIB)


def _change_steadily(servers: Servers) -> None:
    with servers.source(DATABASE) as source:
        [(first,)] = source.execute("SELECT max(order_id) + 1 FROM orders").fetchall()
        each = int(FOLLOWED_A_SECOND * STEP_SECONDS)
        inserts, updates = each * 6 // 10, each * 3 // 10
        deletes = each - inserts - updates - 1  # and the mark
        began = time.monotonic()
        for step in range(int(FOLLOW_SECONDS / STEP_SECONDS)):
            with source.transaction():
                low = first + step * inserts
                source.execute(ORDER_ROWS.format(name="orders", first=low, last=low + inserts - 1))
                source.execute(
                    "UPDATE orders SET status = 'Returned' WHERE order_id >= %s AND order_id < %s",
                    [2_000_000 + step * updates, 2_000_000 + (step + 1) * updates],
                )
                source.execute(
                    "DELETE FROM orders WHERE order_id >= %s AND order_id < %s",
                    [2_600_000 + step * deletes, 2_600_000 + (step + 1) * deletes],
                )
                source.execute("UPDATE marks SET made = %s", [time.time()])
            time.sleep(max(0.0, began + (step + 1) * STEP_SECONDS - time.monotonic()))
