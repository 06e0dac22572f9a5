"""The snapshot, beside the best pipe and Spark's JDBC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.measure import Measure
from benchmarks.replication.commands import Memory, run
from benchmarks.replication.rivals import create_target, jdbc, pipes
from benchmarks.replication.servers import Servers
from benchmarks.replication.shapes import SHAPES, Shape, orders, small_tables

ROWS = 3_000_000
FEWER_ROWS = 300_000
MORE_ROWS = 30_000_000
MOST_PIPES = 4
SHARE_OF_PIPE = 0.85
TIMES_JDBC = 5
WORKER_MIB = 300
SMALL_TABLES = 200
SMALL_TABLES_SECONDS = 10


@dataclass(frozen=True)
class Times:
    """Seconds of the product and of the best pipe, the best of several runs in turns."""

    product: float
    pipe: float
    best_pipes: int
    memory: Memory


def measure_sizes(servers: Servers, spark: dict[str, str], more: bool, repeat: int) -> Iterator[Measure]:
    """Orders at several sizes."""
    rates = {}
    best_pipes = MOST_PIPES
    for rows in (FEWER_ROWS, ROWS, *([MORE_ROWS] if more else [])):
        shape = orders(rows)
        name = f"snapshot of {rows:,} orders"
        _make(servers, shape)
        # The largest takes minutes: once, with the pipes that are the best at the size before.
        counts = range(1, MOST_PIPES + 1) if rows <= ROWS else [best_pipes]
        times = _in_turns(servers, spark, shape, counts, repeat if rows <= ROWS else 1)
        best_pipes = times.best_pipes
        rates[rows] = rows / times.product
        yield _beside_pipe(name, shape, times, goal=SHARE_OF_PIPE if rows == ROWS else None)
        if rows == ROWS:
            yield _beside_jdbc(servers, spark, name, shape, times, repeat)
        if rows > FEWER_ROWS:
            yield Measure(
                f"{name}: its speed",
                rates[rows],
                "rows/s",
                beside=f"{FEWER_ROWS:,} orders",
                beside_value=rates[FEWER_ROWS],
            )
        yield from _memory(name, times.memory)
        servers.fresh_source(shape.name)


def measure_shapes(servers: Servers, spark: dict[str, str], repeat: int) -> Iterator[Measure]:
    """Narrow and wide rows, and long texts."""
    for shape in SHAPES:
        _make(servers, shape)
        times = _in_turns(servers, spark, shape, [2], repeat)
        yield _beside_pipe(f"snapshot of {shape.rows:,} rows, {shape.name}", shape, times)
        yield from _memory(f"snapshot, {shape.name}", times.memory)
        servers.fresh_source(shape.name)


def measure_small_tables(servers: Servers, spark: dict[str, str]) -> Iterator[Measure]:
    """Many small tables at once."""
    database = "small"
    servers.fresh_source(database)
    with servers.source(database) as source:
        small_tables(source, SMALL_TABLES, 100)
    servers.fresh_target(database)
    ended = run(["replicate"], {**servers.environment(database), **spark})
    assert sum(ended.result["copied"].values()) == SMALL_TABLES * 100
    yield Measure(f"snapshot of {SMALL_TABLES} tables of 100 rows", ended.seconds, "s", goal=SMALL_TABLES_SECONDS)
    servers.fresh_source(database)


def _make(servers: Servers, shape: Shape) -> None:
    servers.fresh_source(shape.name)
    with servers.source(shape.name) as source:
        shape.make(source)


def _in_turns(servers: Servers, spark: dict[str, str], shape: Shape, counts: Sequence[int], repeat: int) -> Times:
    """Product and pipes one after the other, so that what else the machine does hits both."""
    product = []
    pipe: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(repeat):
        servers.fresh_target(shape.name)
        ended = run(["replicate"], {**servers.environment(shape.name), **spark})
        assert ended.result["copied"] == {shape.name: shape.rows}
        product.append(ended.result["copy_seconds"])
        definition = _definition(servers, shape)
        for count in counts:
            create_target(servers, shape.name, definition)
            pipe[count].append(pipes(servers, shape.name, shape, count))
    best = min(pipe, key=lambda count: min(pipe[count]))
    return Times(min(product), min(pipe[best]), best, ended.memory)


def _definition(servers: Servers, shape: Shape) -> str:
    with servers.target(shape.name) as target, target.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {shape.name}")
        [(_, definition)] = cursor.fetchall()
        return str(definition)


def _beside_pipe(name: str, shape: Shape, times: Times, goal: float | None = None) -> Measure:
    return Measure(
        name,
        shape.rows / times.product,
        "rows/s",
        goal=goal,
        beside=f"the best pipe, {times.best_pipes} at once: psql COPY | mysql LOAD DATA",
        beside_value=shape.rows / times.pipe,
        of_ratio=True,
        at_least=True,
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
        shape.rows / times.product,
        "rows/s",
        goal=TIMES_JDBC,
        beside="Spark's JDBC: 6 partitions, fetchsize and batchsize 10,000, rewriteBatchedStatements",
        beside_value=shape.rows / min(rivals),
        of_ratio=True,
        at_least=True,
    )


def _memory(name: str, memory: Memory) -> Iterator[Measure]:
    # Little is copied by the command itself.
    worker = memory.peak("worker") or memory.peak("command")
    yield Measure(f"{name}: memory of the largest worker", worker, "MiB", goal=WORKER_MIB)
    if java := memory.peak("java"):
        yield Measure(f"{name}: memory of Spark's JVM", java, "MiB")
