"""Takes the README's picture of the dashboard: the shop's page of the running demo, in the light theme.

Run as ``python -m tests.picture``.
"""

import sys
from pathlib import Path

from benchmarks.dashboard.browser import chromium
from playwright.sync_api import sync_playwright

from martline.embedded import dashboard
from martline.embedded.platform import Platform

FILE = Path(__file__).parent.parent / "docs" / "images" / "dashboard.png"
SIZE = {"width": 1280, "height": 890}
MOST_BYTES = 250_000


def main() -> None:
    address = f"{dashboard.base_url(Platform(Path.cwd()).state)}/?look=light&lang=en"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(address)
        page.locator("#revenue .picture").first.wait_for()
        FILE.parent.mkdir(exist_ok=True)
        page.screenshot(path=FILE)
        browser.close()
    size = FILE.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{FILE} has {size:,} bytes, more than {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
