"""The site in headless Chromium: opened from the disk, watched for requests and errors, asked what all can read."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Widths of a desk's and of a telephone's screen.
WIDE, NARROW = 1400, 390

#: JavaScript that returns what a reader of the page would stumble over.
AUDIT = Path(__file__).with_name("site_audit.js").read_text(encoding="utf-8")


class Watched:
    """A page of the site, and what happened on it."""

    def __init__(self, page: Any, site: Path):
        self.page, self.site = page, site
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("console", lambda m: self.problems.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: self.problems.append(str(e)))
        page.on("dialog", lambda d: (self.problems.append(f"dialog: {d.message}"), d.dismiss()))

    def go(self, address: str = "", heading: str | None = None) -> None:
        """Open a page of the site, as a link from elsewhere would, and wait until it is there."""
        self.page.goto("about:blank")
        self.page.goto(f"{(self.site / 'index.html').as_uri()}{address}")
        self.page.wait_for_selector("main:not([aria-busy]) h1")
        if heading is not None:
            assert self.page.inner_text("h1") == heading, self.page.inner_text("main")
        # plots draw themselves once they know their width
        self.page.wait_for_function("[...document.querySelectorAll('.plot canvas')].every((c) => c.width > 0)")

    def audit(self) -> list[str]:
        """Return what a reader would stumble over."""
        return self.page.evaluate(AUDIT)

    def left(self) -> list[str]:
        """Return the requests that would leave the disk, or the folder of the site."""
        own = (self.site.as_uri(), "blob:", "data:", "about:")
        return [url for url in self.requests if not url.startswith(own)]

    def save(self, press: str) -> str:
        """Return the text of the file that a press of a button saves."""
        with self.page.expect_download() as waiting:
            self.page.click(press)
        return Path(waiting.value.path()).read_text(encoding="utf-8")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Any, site: Path, width: int = WIDE) -> Iterator[Watched]:
    """Yield a page of the site; at its end nothing may have left the disk, and nothing may have gone wrong."""
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, offline=True)
    try:
        watched = Watched(context.new_page(), site.resolve())
        yield watched
        assert watched.left() == []
        assert watched.problems == []
    finally:
        context.close()
