"""This program compared with another installation of it, in turns on the same servers: has it become slower?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Measure
from benchmarks.replication.changes import CHANGES, SMALL_TRANSACTIONS, change
from benchmarks.replication.commands import PROGRAMS, run
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import orders, small_tables

ROWS = 3_000_000
SMALL_TABLES = 200
SMALL_ROWS = 100
IDLE_RUNS = 5
"""How many runs with nothing to do replace each other run, because one takes less than a second."""
TIMES_EARLIER = 1.05
"""The largest allowed ratio to the seconds of the earlier program."""
ORDERS = "orders"
SMALL = "small"


@dataclass(frozen=True)
class Installation:
    """A folder of commands, which replicate into a separate database with a separate slot."""

    programs: Path
    name: str
    servers: Servers
    spark: dict[str, str]

    def fresh_target(self) -> None:
        """Remove what this installation has replicated."""
        self.servers.fresh_target(self.name)

    def seconds(self, command: str, source: str) -> float:
        """The seconds of the command from its start to its exit, for PostgreSQL's database ``source``."""
        environment = {**self.servers.environment(source), "MYSQL_DATABASE": self.name, **self.spark}
        return run([command, "--slot", self.name], environment, self.programs).seconds


def measure_earlier(servers: Servers, spark: dict[str, str], repeat: int, earlier: Path) -> Iterator[Measure]:
    """Measure whole commands of both programs. ``earlier`` is the other program's folder of commands."""
    both = [
        Installation(folder, name, servers, spark) for folder, name in ((PROGRAMS, "now"), (earlier, "earlier"))
    ]
    servers.fresh_source(SMALL)
    with servers.source(SMALL) as source:
        small_tables(source, SMALL_TABLES, SMALL_ROWS)
    yield _snapshots(both, SMALL, f"snapshot of {SMALL_TABLES} tables of {SMALL_ROWS} rows", repeat)
    servers.fresh_source(ORDERS)
    with servers.source(ORDERS) as source:
        orders(ROWS).make(source)
    yield _snapshots(both, ORDERS, f"snapshot of {ROWS:,} orders", repeat)
    yield from _changes(both, repeat)
    name = f"comparison of {ROWS:,} equal orders"
    yield _in_turns(both, name, repeat, lambda one: one.seconds("replication-compare", ORDERS))
    name = "replicate with nothing to do"
    yield _in_turns(both, name, repeat * IDLE_RUNS, lambda one: one.seconds("replicate", ORDERS))
    servers.fresh_source(ORDERS)


def _snapshots(both: list[Installation], source: str, name: str, repeat: int) -> Measure:
    def copy(one: Installation) -> float:
        one.servers.drop_slot(one.name)
        one.fresh_target()
        return one.seconds("replicate", source)

    return _in_turns(both, name, repeat, copy)


def _changes(both: list[Installation], repeat: int) -> Iterator[Measure]:
    number = 0
    for transactions in (SMALL_TRANSACTIONS, 1):
        took: dict[str, list[float]] = {one.name: [] for one in both}
        for _ in range(repeat):
            change(both[0].servers, number, transactions)
            number += 1
            for one in both:
                one.servers.settle()
                took[one.name].append(one.seconds("replicate", ORDERS))
            both.reverse()
        plural = "s" if transactions > 1 else ""
        yield _measure(f"{CHANGES:,} changes in {transactions:,} transaction{plural}", took)


def _in_turns(both: list[Installation], name: str, repeat: int, work: Callable[[Installation], float]) -> Measure:
    took: dict[str, list[float]] = {one.name: [] for one in both}
    for _ in range(repeat):
        for one in both:
            took[one.name].append(work(one))
        both.reverse()
    return _measure(name, took)


def _measure(name: str, took: dict[str, list[float]]) -> Measure:
    return Measure(
        f"{name}, the whole command",
        min(took["now"]),
        "s",
        goal=TIMES_EARLIER,
        beside="the earlier program",
        beside_value=min(took["earlier"]),
        of_ratio=True,
    )
