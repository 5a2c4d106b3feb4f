"""The site of a small run with names that mean harm, in headless Chromium."""

from __future__ import annotations

import csv
import io

import pytest

from site_browser import NARROW, WIDE, chromium, opened
from site_cases import NASTY

pytestmark = pytest.mark.oracle("chromium")
PAGES = ("", "#/study/c/s", "#/study/c/broken", "#/study/c/one", "#/locus/c/s/chr2_10000", "#/cohort/c", "#/run")


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_page_can_be_read_by_all(made, browser, width):
    with opened(browser, made.site, width) as watched:
        for address in PAGES:
            watched.go(address)
            assert watched.audit() == [], address


def test_names_are_text(made, browser):
    scripts = (made.site / "index.html").read_text().count("<script src=")
    with opened(browser, made.site) as watched:
        for address in PAGES:
            watched.go(address)
            # nothing that is not in the page's own list of scripts, no picture, no frame
            assert watched.page.evaluate("document.querySelectorAll('main script, main img, iframe').length") == 0
            assert watched.page.evaluate("document.scripts.length") == scripts
        watched.go("#/study/c/s", "s")
        assert NASTY.strip() in watched.page.inner_text(".notes")
        watched.page.hover(".plot canvas", position={"x": 600, "y": 300})
        watched.go("#/study/c/broken", "broken")
        assert "failed at assemble_study: no cases" in watched.page.inner_text(".notes.bad")
        watched.go()
        assert watched.page.get_attribute(".reason span", "title") == f"assemble_study: {NASTY}"


def test_an_address_that_is_not_there_loads_nothing(made, browser):
    with opened(browser, made.site) as watched:
        watched.go()
        before = len(watched.requests)
        for address in ("#/study/c/other", "#/study/../x", "#/locus/c/s/nothing", "#/evil", "#/cohort/constructor"):
            watched.page.evaluate(f"location.hash = {address!r}")
            watched.page.wait_for_selector("h1:has-text('This page cannot be shown')")
            watched.page.evaluate("location.hash = '#/%E0%A4%A'")
            watched.page.wait_for_selector("h1:has-text('Genome-wide association')")
        assert len(watched.requests) == before


def test_what_is_saved_is_what_was_published(made, browser):
    with opened(browser, made.site) as watched:
        watched.go("#/study/c/s")
        rows = list(csv.reader(io.StringIO(watched.save("section[aria-labelledby=loci] button.save"), newline="")))
    lines = (made.study / "comparison.tsv").read_text().rstrip("\n").split("\n")
    assert rows[0] == lines[0].split("\t")
    for row, line in zip(rows[1:], lines[1:], strict=True):
        for mine, own in zip(row, line.split("\t"), strict=True):
            assert mine == own or float(mine) == pytest.approx(float(own), rel=1e-12)


def test_the_index_sorts_and_filters_by_keyboard(made, browser):
    with opened(browser, made.site) as watched:
        page = watched.page
        watched.go()
        first = "() => [...document.querySelectorAll('tbody tr .name a')].map((a) => a.textContent)"
        assert page.evaluate(first) == ["s", "broken", "one"]
        page.focus("thead button >> text=Study")
        page.keyboard.press("Enter")
        assert page.evaluate(first) == ["broken", "one", "s"]
        assert page.get_attribute("thead th:has-text('Study')", "aria-sort") == "ascending"
        page.fill("#search", "HEART")
        assert page.evaluate(first) == [] and page.inner_text("#live") == "0 shown"
        page.fill("#search", "alert(1) binary")
        assert page.evaluate(first) == ["one"]
        page.fill("#search", "")
        page.click("button.chip:has-text('Failed')")
        assert page.evaluate(first) == ["broken"]


def test_reference_of_r2_and_keys_of_the_plot(made, browser):
    with opened(browser, made.site) as watched:
        page = watched.page
        watched.go("#/study/c/s")
        page.focus(".plot canvas")
        page.keyboard.press("ArrowRight")
        assert "2:10,000" in page.inner_text("#live")
        page.keyboard.press("Enter")
        page.wait_for_selector("h1:has-text('2:10,000')")
        assert watched.requests[-1].endswith("data/c/s/chr2_10000.js")
        text = "(s) => [...document.querySelectorAll(`section[aria-labelledby=variants] td[data-label=${s}]`)]"
        text += ".map((c) => c.textContent)"
        places, shown = (page.evaluate(text, label) for label in ("Position", "'r²'"))
        rows = dict(zip(places, shown, strict=True))
        # row 0 of r2, thousandths: 1000 at itself, (37 i + 11 j) % 1000 elsewhere, null at 7
        assert rows["10,000"] == "1.000"
        for place, r2 in rows.items():
            i = int(place.replace(",", "")) // 10_000 - 1
            assert r2 == ("1.000" if i == 0 else "–" if i == 7 else f"{(37 * i) % 1000 / 1000:.3f}")
        page.click("button[aria-label^='Make v103 ']")
        assert "v103" in page.inner_text("section[aria-labelledby=region] .tools")
        assert page.evaluate(text, "'r²'") != shown
