"""Take the picture of the site that the README opens with: the page of a study, after `make demo`.

    .venv/bin/python scripts/picture-site.py results/site "#/study/demo/lung_function" docs/images/site.png

Needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1300, 1010


def main() -> None:
    """Open a page and save what a screen shows of it."""
    site, address, out = sys.argv[1:]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{(Path(site) / 'index.html').resolve().as_uri()}{address}")
        page.wait_for_selector("main:not([aria-busy]) h1")
        page.wait_for_function("[...document.querySelectorAll('.plot canvas')].every((c) => c.width > 0)")
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
