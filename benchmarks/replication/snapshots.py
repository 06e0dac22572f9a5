"""The snapshot: the whole command compared with the best pipe and Spark's JDBC."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.measure import Measure
from benchmarks.replication.commands import Memory, run
from benchmarks.replication.rivals import create_target, jdbc, pipes
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import SHAPES, Shape, orders, small_tables

FEW_ROWS = 10_000
ROWS = 3_000_000
SIZES = (FEW_ROWS, 300_000, ROWS)
MORE_ROWS = 30_000_000
MOST_PIPES = 4
RUNS_TO_CHOOSE = 3
"""The number of runs of each number of pipes before the best one is measured."""
FEW_ROWS_SECONDS = 1.2
TIMES_PIPE = {ROWS: 1.15, MORE_ROWS: 1.05}
"""The largest allowed ratio to the seconds of the best pipe, by number of rows."""
TIMES_JDBC = 0.2
MEMORY_MIB = 300
IDLE_RUNS = 5
IDLE_SECONDS = 0.4
SMALL_TABLES = 200
SMALL_TABLES_SECONDS = 10


@dataclass(frozen=True)
class Times:
    """The seconds of the product and of the best number of pipes.

    Each is the best of the same number of runs, in turns.
    """

    product: float
    pipe: float
    best_pipes: int
    memory: Memory


def measure_sizes(servers: Servers, spark: dict[str, str], more: bool, repeat: int) -> Iterator[Measure]:
    """Measure several numbers of orders."""
    best_pipes = MOST_PIPES
    for rows in (*SIZES, *([MORE_ROWS] if more else [])):
        shape = orders(rows)
        name = f"snapshot of {rows:,} orders"
        _make(servers, shape)
        # The largest size takes minutes, so it runs once, with the best number of pipes of the size before.
        counts = range(1, MOST_PIPES + 1) if rows <= ROWS else [best_pipes]
        times = _in_turns(servers, shape, counts, repeat if rows <= ROWS else 1)
        best_pipes = times.best_pipes
        if rows == FEW_ROWS:
            yield Measure(name, times.product, "s", goal=FEW_ROWS_SECONDS)
        else:
            yield _beside_pipe(name, times, TIMES_PIPE.get(rows))
        if rows == ROWS:
            yield _beside_jdbc(servers, spark, name, shape, times, repeat)
        yield _memory(name, times)
        servers.fresh_source(shape.name)


def measure_tls(servers: Servers, repeat: int) -> Iterator[Measure]:
    """Measure orders over connections to both servers that the product and the pipes encrypt."""
    if servers.certify is None:
        print("Connections over TLS are measured only with Docker", file=sys.stderr)
        return
    shape = orders(ROWS)
    _make(servers, shape)
    with servers.over_tls():
        times = _in_turns(servers, shape, range(1, MOST_PIPES + 1), repeat)
    name = f"snapshot of {ROWS:,} orders over TLS"
    yield _beside_pipe(name, times, TIMES_PIPE[ROWS])
    yield _memory(name, times)
    servers.fresh_source(shape.name)


def measure_shapes(servers: Servers, repeat: int) -> Iterator[Measure]:
    """Measure narrow and wide rows, and long texts."""
    for shape in SHAPES:
        _make(servers, shape)
        times = _in_turns(servers, shape, range(1, MOST_PIPES + 1), repeat)
        yield _beside_pipe(f"snapshot of {shape.rows:,} rows, {shape.name}", times)
        yield _memory(f"snapshot, {shape.name}", times)
        servers.fresh_source(shape.name)


def measure_small_tables(servers: Servers) -> Iterator[Measure]:
    """Measure many small tables at once."""
    database = "small"
    servers.fresh_source(database)
    with servers.source(database) as source:
        small_tables(source, SMALL_TABLES, 100)
    servers.fresh_target(database)
    ended = run(["replicate"], servers.environment(database))
    assert sum(ended.result["copied"].values()) == SMALL_TABLES * 100
    yield Measure(f"snapshot of {SMALL_TABLES} tables of 100 rows", ended.seconds, "s", goal=SMALL_TABLES_SECONDS)
    servers.fresh_source(database)


def measure_idle(servers: Servers, repeat: int) -> Iterator[Measure]:
    """Measure a run with nothing to do."""
    shape = orders(FEW_ROWS)
    _make(servers, shape)
    servers.fresh_target(shape.name)
    environment = servers.environment(shape.name)
    run(["replicate"], environment)
    idle = min(run(["replicate"], environment).seconds for _ in range(IDLE_RUNS * repeat))
    yield Measure("replicate with nothing to do", idle, "s", goal=IDLE_SECONDS)
    servers.fresh_source(shape.name)


def _make(servers: Servers, shape: Shape) -> None:
    servers.fresh_source(shape.name)
    with servers.source(shape.name) as source:
        shape.make(source)


def _in_turns(servers: Servers, shape: Shape, counts: Sequence[int], repeat: int) -> Times:
    """Run the product and the best number of pipes in turns, so that other load of the machine affects both."""
    product, beside = [], []
    best = None
    for _ in range(repeat):
        servers.fresh_target(shape.name)
        ended = run(["replicate"], servers.environment(shape.name))
        assert ended.result["copied"] == {shape.name: shape.rows}
        product.append(ended.seconds)
        definition = _definition(servers, shape)
        best = best or _best_number(servers, shape, definition, counts)
        beside.append(_piped(servers, shape, definition, best))
    assert best
    return Times(min(product), min(beside), best, ended.memory)


def _best_number(servers: Servers, shape: Shape, definition: str, counts: Sequence[int]) -> int:
    """The number of pipes that is the fastest.

    These runs do not count, because the fastest of many is also the luckiest.
    """
    if len(counts) == 1:
        return counts[0]
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(RUNS_TO_CHOOSE):
        for count in counts:
            seconds[count].append(_piped(servers, shape, definition, count))
    return min(seconds, key=lambda count: min(seconds[count]))


def _piped(servers: Servers, shape: Shape, definition: str, count: int) -> float:
    create_target(servers, shape.name, definition)
    return pipes(servers, shape.name, shape, count)


def _definition(servers: Servers, shape: Shape) -> str:
    with servers.target(shape.name) as target, target.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {shape.name}")
        [(_, definition)] = cursor.fetchall()
        return str(definition)


def _beside_pipe(name: str, times: Times, goal: float | None = None) -> Measure:
    return Measure(
        name,
        times.product,
        "s",
        goal=goal,
        beside=f"the best of 1 to {MOST_PIPES} pipes, {times.best_pipes} at once: psql COPY | mysql LOAD DATA",
        beside_value=times.pipe,
        of_ratio=True,
    )


def _beside_jdbc(
    servers: Servers, spark: dict[str, str], name: str, shape: Shape, times: Times, repeat: int
) -> Measure:
    definition = _definition(servers, shape)
    rivals = []
    for _ in range(repeat):
        create_target(servers, shape.name, definition)
        rivals.append(jdbc(servers, shape.name, shape, spark))
    return Measure(
        f"{name}, beside Spark's JDBC",
        times.product,
        "s",
        goal=TIMES_JDBC,
        beside="Spark's JDBC: 6 partitions, fetchsize and batchsize 10,000, rewriteBatchedStatements",
        beside_value=min(rivals),
        of_ratio=True,
    )


def _memory(name: str, times: Times) -> Measure:
    return Measure(f"{name}: memory", times.memory.peak, "MiB", goal=MEMORY_MIB)
