"""The documentation as a site: it builds without a warning, links lead somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/docs"))
#: What a page fetches as it opens, in its head or body.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\bsrc=["']?([^"'\s>]+)|<link\b[^>]*?\bhref=["']?([^"'\s>]+)"""
)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Build the site, strictly: a page that is in no menu, a link or an anchor that leads nowhere are errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site: Path) -> dict[str, str]:
    """Return the text of every page, by its place in the site; 404.html is for servers, with links from their top."""
    found = [p for p in sorted(site.rglob("*.html")) if p.name != "404.html"]
    return {str(p.relative_to(site)): p.read_text(encoding="utf-8") for p in found}


def test_pages_fetch_nothing_from_elsewhere(site):
    found = {}
    for name, text in pages(site).items():
        for match in FETCHED.finditer(text):
            url = match[1] or match[2]
            if "canonical" in match[0] or url.startswith("data:"):
                continue
            if "//" in url or not (site / name).parent.joinpath(unquote(url.split("?")[0].split("#")[0])).exists():
                found[name] = url
    assert not found
    for sheet in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_every_link_within_the_site_leads_somewhere(site):
    """mkdocs looks at links as they are written; this looks at those that came out, menus and generated pages too."""
    texts = pages(site)
    places = {name: set(re.findall(r"""\b(?:id|name)=["']?([^"'\s>]+)""", text)) for name, text in texts.items()}
    broken = set()
    for name, text in texts.items():
        for url in re.findall(r"""<a\b[^>]*?\bhref=["']?([^"'\s>]+)""", text):
            path, _, anchor = unquote(url).partition("#")
            if ":" in path:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if not (site / target).is_file() or (anchor and target in places and anchor not in places[target]):
                broken.add(f"{name}: {url}")
    assert not broken


def test_links_are_rewritten_as_the_examples_show():
    import hook

    failed, tried = doctest.testmod(hook)
    assert tried and not failed


@pytest.mark.parametrize("source", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("[A-Z]*.md")))
def test_links_of_the_repository_lead_somewhere(source):
    """Of files that are read where they lie, on the page of the repository."""
    text = re.sub(r"^```.*?^```", "", (ROOT / source).read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert not [t for t in targets if ":" not in t and not (ROOT / t.partition("#")[0]).exists()]


@pytest.mark.oracle("chromium")
def test_search_finds_pages_that_were_opened_from_disk(site):
    """A browser starts no worker for such pages, and the search needs one (docs/assets/iframe-worker.js)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"file://{site}/index.html")
        page.get_by_placeholder("Search").first.click()
        page.keyboard.type("saddle point")
        page.locator(".md-search-result__item").first.wait_for(timeout=20000)
        assert page.locator(".md-search-result__item a[href*='method.html']").count()
        browser.close()
