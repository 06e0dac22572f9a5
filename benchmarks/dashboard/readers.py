"""Simultaneous readers of the pages, in a separate process; and the size of the pages."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from statistics import median, quantiles
from urllib.parse import urlsplit

import httpx

READERS = 20
SECONDS = 20
STYLE = re.compile(r'href="(/static/[^"]+\.css[^"]*)"')


def packed_bytes(address: str, path: str) -> int:
    """The compressed bytes of a page and its style sheet."""
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        page = client.get(path)
        answers = [page, *(client.get(style) for style in STYLE.findall(page.text))]
        assert len(answers) == 2, path
        assert all(answer.headers["content-encoding"] == "gzip" for answer in answers), path
        return sum(answer.num_bytes_downloaded for answer in answers)


def first_answers(address: str, paths: Sequence[str]) -> float:
    """The median milliseconds of an answer to a single reader, who opens pages that nobody has opened before."""
    times = []
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for path in paths:
            started = time.monotonic()
            client.get(path).raise_for_status()
            times.append(1000 * (time.monotonic() - started))
    return median(times)


def percentile_95(url: str) -> tuple[float, int]:
    """The 95th percentile of the milliseconds until an answer is complete, and the number of answers.

    Each reader sends the next request as soon as it has its answer. The readers share the machine with the
    server, so they use as little processor time as possible: they do not decompress the answers.
    """
    command = [sys.executable, "-m", "benchmarks.dashboard.readers", url]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    times = [1000 * seconds for seconds in json.loads(printed)]
    return quantiles(times, n=20)[-1], len(times)


def _read(url: str) -> list[float]:
    ending = time.monotonic() + SECONDS
    with ThreadPoolExecutor(READERS) as readers:
        return [seconds for times in readers.map(_ask, [url] * READERS, [ending] * READERS) for seconds in times]


def _ask(url: str, ending: float) -> list[float]:
    place, times = urlsplit(url), []
    with closing(HTTPConnection(place.netloc, timeout=60)) as connection:
        while (started := time.monotonic()) < ending:
            connection.request("GET", f"{place.path}?{place.query}", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, url
            times.append(time.monotonic() - started)
    return times


if __name__ == "__main__":
    print(json.dumps(_read(sys.argv[1])))
