"""The dashboard on the marts of a large shop: the size of its pages, how fast they appear, and its memory.

Run as ``python -m benchmarks.dashboard``. It needs Chromium, and downloads Lighthouse and Node.js.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
from benchmarks.commands import PROGRAMS, Memory
from benchmarks.dashboard.browser import chromium, first_paint, lighthouse
from benchmarks.dashboard.marts import make_marts, reader
from benchmarks.dashboard.readers import READERS, first_answers, packed_bytes, percentile_95
from benchmarks.measure import Measure, publish
from benchmarks.replication.servers import servers

ORDERS = 10_000_000
PAGES = {"the shop": "/?lang=en", "the pipeline": "/pipeline?lang=en"}
START_SECONDS = 300
MOST_KB, MOST_PAINT_MS, MOST_ANSWER_MS, MOST_MB, LEAST_SCORE = 60, 1000, 100, 350, 95
VIEWS = 10
"""How many categories are opened that nobody has opened before."""


@click.command()
@click.option("--orders", type=int, help="Measure only this number of orders, in hundreds, and keep no result.")
def main(orders: int | None) -> None:
    """Measure the dashboard."""
    chromium()
    with servers() as made, tempfile.TemporaryDirectory(prefix="martline-bench-") as name:
        rows = make_marts(made, orders or ORDERS)
        with dashboard(reader(made), Path(name)) as (address, memory):
            measures = list(measure(address, Path(name)))
        measures.append(Measure("memory at its highest", memory.peak / 1e6, "MB", MOST_MB))
        details = {"servers": made.described(), "orders": orders or ORDERS, "rows": rows}
    publish("dashboard", measures, details, keep=not orders)


@contextmanager
def dashboard(environment: dict[str, str], folder: Path) -> Iterator[tuple[str, Memory]]:
    """A dashboard that has read the marts: its address, and its memory until it ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = (folder / "dashboard.log").open("w+")
    process = subprocess.Popen(
        [PROGRAMS / "dashboard", "--port", str(port)], env=environment, stderr=log, text=True
    )
    memory = Memory(process)
    try:
        address = f"http://127.0.0.1:{port}"
        started = time.monotonic()
        while not _has_read(address):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                sys.exit(f"the dashboard does not answer: {Path(log.name).read_text()}")
            time.sleep(0.5)
        yield address, memory
    finally:
        process.terminate()
        process.wait()
        memory.join()
        log.close()


def _has_read(address: str) -> bool:
    try:
        return httpx.get(address, timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def measure(address: str, folder: Path) -> Iterator[Measure]:
    """Measure each page by itself, and then with many readers."""
    for title, path in PAGES.items():
        _tell(f"{title}: in a browser")
        yield Measure(f"{title}: HTML and CSS, packed", packed_bytes(address, path) / 1000, "kB", MOST_KB)
        yield Measure(f"{title}: first paint on a slow 4G", first_paint(address, path), "ms", MOST_PAINT_MS)
    for title, path in PAGES.items():
        _tell(f"{title}: with {READERS} readers")
        slowest, answers = percentile_95(address + path)
        what = f"{title}: 95th percentile of {answers:,} answers to {READERS} readers at once"
        yield Measure(what, slowest, "ms", MOST_ANSWER_MS)
    _tell("the shop: views that nobody has opened before")
    views = [f"/?lang=en&category={number}" for number in categories(address)[:VIEWS]]
    yield Measure("the shop: a category that nobody has opened before", first_answers(address, views), "ms")
    for title, path in PAGES.items():
        _tell(f"{title}: in Lighthouse")
        for category, score in lighthouse(address + path, folder).items():
            yield Measure(f"{title}: Lighthouse, {category}", score, "of 100", LEAST_SCORE, at_least=True)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def categories(address: str) -> list[str]:
    """The numbers of the categories that can be chosen on the page."""
    page = httpx.get(address, timeout=60, trust_env=False).text
    choice = page.partition('name="category"')[2].partition("</select>")[0]
    return [value for value in (part.partition('"')[0] for part in choice.split('value="')[1:]) if value]


if __name__ == "__main__":
    main()
