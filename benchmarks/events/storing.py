"""Sending and storing at full speed, compared with the bare clients with the same messages and rows."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.events.servers import Servers
from benchmarks.measure import Measure
from benchmarks.replication.commands import run

from martline.shop.events.making import user_maker
from martline.shop.events.schema import NewUser, read_event

SEED = 7
BATCH = 10_000
SEND_RATIO, STORE_RATIO = 0.6, 0.7
STORED_PER_SECOND = 100_000
RATES = (1000, 20_000)
RATE_SECONDS = 10
OFF_BY = 0.02
LIMIT_NAMES = {"read": "reading and throwing away", "copy": "COPY of the same rows"}
LIMITS = ["-m", "benchmarks.events.limits"]


def measure_throughput(servers: Servers, events: int, repeat: int) -> Iterator[Measure]:
    """Compare the whole commands with whole commands of the bare clients, in turns."""
    settings = servers.fresh()
    topic = settings["KAFKA_TOPIC_PREFIX"] + NewUser.topic
    with tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        folder = Path(name)
        _write_files(folder, events)
        produce = ["shop-produce", "--users", str(events), "--seed", str(SEED)]
        commands: dict[str, Callable[[], list[str]]] = {
            "send": lambda: ["python", *LIMITS, "send", topic, str(folder / "messages")],
            "produce": lambda: produce,
            "read": lambda: ["python", *LIMITS, "read", topic, str(events)],
            "copy": lambda: ["python", *LIMITS, "copy", str(folder / "ids"), str(folder / "rows"), str(BATCH)],
            "consume": lambda: ["shop-consume", "--until-caught-up", "--batch-size", str(BATCH)],
        }
        turns: list[dict[str, float]] = []
        for turn in range(repeat):
            turns.append({})
            for what in ("send", "produce", "read", "copy", "consume"):
                if what in ("send", "produce"):
                    servers.remove(settings)
                    settings = servers.fresh()
                    topic = settings["KAFKA_TOPIC_PREFIX"] + NewUser.topic
                if what in ("copy", "consume"):
                    servers.empty(settings)
                ended = run(commands[what](), settings)
                done = ended.result.get("count") or ended.result.get("stored") or ended.result.get("events_sent")
                assert done == events, ended.result
                turns[-1][what] = events / ended.seconds
                print(f"{turn + 1}: {what} {events / ended.seconds:,.0f}/s", file=sys.stderr, flush=True)
    servers.remove(settings)
    unit = "events/s"
    sending = _middle(turns, lambda turn: turn["produce"] / turn["send"])
    yield Measure(
        f"shop-produce, {events:,} events",
        sending["produce"],
        unit,
        SEND_RATIO,
        "the bare client with ready bytes",
        sending["send"],
        at_least=True,
        of_ratio=True,
    )
    storing = _middle(turns, lambda turn: turn["consume"] / min(turn["read"], turn["copy"]))
    slower = min(("read", "copy"), key=lambda what: storing[what])
    yield Measure(
        f"shop-consume, {events:,} events",
        storing["consume"],
        unit,
        STORE_RATIO,
        f"{LIMIT_NAMES[slower]}, the slower limit",
        storing[slower],
        at_least=True,
        of_ratio=True,
    )
    yield Measure(
        "shop-consume, the best run",
        max(turn["consume"] for turn in turns),
        unit,
        STORED_PER_SECOND,
        at_least=True,
    )
    for limit, name in LIMIT_NAMES.items():
        yield Measure(f"limit: {name}, the best run", max(turn[limit] for turn in turns), unit)


def _middle(turns: list[dict[str, float]], ratio: Callable[[dict[str, float]], float]) -> dict[str, float]:
    """The turn with the median ratio, because the other load of the machine changes from turn to turn."""
    return sorted(turns, key=ratio)[len(turns) // 2]


def measure_rate(servers: Servers) -> Iterator[Measure]:
    """Measure by how much a given rate is missed."""
    settings = servers.fresh()
    for rate in RATES:
        result = run(
            ["shop-produce", "--users", str(rate * RATE_SECONDS), "--rate", str(rate), "--seed", str(rate)],
            settings,
        ).result
        off = abs(result["events_per_second"] / rate - 1)
        yield Measure(f"shop-produce --rate {rate}: off by", off, "of the rate", OFF_BY)
    servers.remove(settings)


def _write_files(folder: Path, events: int) -> None:
    """Write the messages of shop-produce, and the rows that they become, to files."""
    with (
        (folder / "messages").open("wb") as messages,
        (folder / "ids").open("w") as ids,
        (folder / "rows").open("w") as rows,
    ):
        for _, message in user_maker(SEED)(range(events)):
            event, line = read_event(NewUser, message)
            messages.write(message + b"\n")
            ids.write(f"{event.event_id.int:032x}\n")
            rows.write(line)
