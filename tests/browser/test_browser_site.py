"""The site in a browser, opened from disk: no error, formulas, search, both colour schemes, a phone's width."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mecpaper.edition import build

pytest.importorskip("sphinx", reason="the extra `site` is not installed: make site")

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
KINDS = (
    "index",
    "claims/index",
    "claims/claim06",
    "figures/index",
    "figures/fig04",
    "equations/index",
    "equations/eq05",
    "notation",
    "deviations",
    "notebooks/01_tasks_and_quality",
    "_modules/mecpaper/system/channel",
    "api/system",
)
"""One page of each kind: of these there are screenshots."""


@pytest.fixture(scope="module")
def pages(root) -> Path:
    assert build.build(root) == 0
    return root / build.SITE


@pytest.fixture
def opened(pages, browser_page) -> Callable[[str], Any]:
    """Opens a page by its name and waits until its formulas are set."""

    def visit(name: str) -> Any:
        browser_page.goto((pages / f"{name}.html").as_uri())
        if browser_page.locator(".math").count():
            browser_page.evaluate("MathJax.startup.promise")
        return browser_page

    return visit


@pytest.fixture
def foreign(browser_page) -> list[str]:
    """Requests that go anywhere but to the disk."""
    found: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            found.append(request.url)

    browser_page.on("request", note)
    return found


@pytest.mark.slow
def test_all_pages_on_a_phone(pages, opened, browser_page, console_errors, foreign):
    browser_page.set_viewport_size(PHONE)
    wrong = []
    for path in sorted(pages.rglob("*.html")):
        name = path.relative_to(pages).with_suffix("").as_posix()
        if name.startswith("_static"):
            continue
        page = opened(name)
        seen = page.evaluate(
            """() => ({
                width: document.documentElement.scrollWidth,
                unset: [...document.querySelectorAll(".math")].filter(e => !e.querySelector("mjx-container")).length,
                wrong: document.querySelectorAll('[data-mml-node="merror"]').length,
                pictures: [...document.images].filter(i => i.complete && !i.naturalWidth).length,
            })"""
        )
        if seen != {"width": PHONE["width"], "unset": 0, "wrong": 0, "pictures": 0}:
            wrong.append((name, seen))
    assert wrong == []
    assert console_errors == [] and foreign == []


def test_screenshots_of_each_kind(pages, opened, browser_page, console_errors, screenshots):
    for name in KINDS:
        if not (pages / f"{name}.html").exists():
            continue
        for size, viewport in (("wide", DESKTOP), ("phone", PHONE)):
            browser_page.set_viewport_size(viewport)
            page = opened(name)
            page.screenshot(path=screenshots / f"site-{name.replace('/', '-')}-{size}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], (name, size)
    assert console_errors == []


@pytest.mark.parametrize(
    "name",
    [
        "index",
        "notebooks/01_tasks_and_quality",
        "notebooks/40_explorer",
        "figures/fig04",
        "claims/claim06",
        "api/system",
    ],
)
def test_a_page_is_accessible(opened, findings, name):
    opened(name)
    assert findings() == []


def test_every_equation_is_set_as_a_formula(opened):
    page = opened("equations/index")
    assert page.locator("article mjx-container svg").count() >= 56
    # Also what a screen reader is given.
    assert page.locator("article mjx-assistive-mml math").count() >= 56
    assert page.locator("text=/\\\\(frac|sum|max)/").count() == 0


def test_search_finds_and_leads_there(opened, console_errors, screenshots):
    page = opened("index")
    field = page.locator("input[name=q]:visible").first
    field.fill("eavesdropping")
    field.press("Enter")
    page.wait_for_selector("#search-results ul.search li a")
    page.wait_for_function("!document.querySelector('#search-results p.search-summary')?.textContent.includes('...')")
    page.screenshot(path=screenshots / "site-search.png")
    hits = page.locator("#search-results ul.search li a").all_inner_texts()
    assert any("Eq. 9" in text for text in hits)
    page.locator("#search-results ul.search li a", has_text="Eq. 9").first.click()
    page.wait_for_load_state()
    assert page.url.partition("?")[0].endswith("equations/eq09.html")
    assert console_errors == []


def test_search_by_number_and_by_abbreviation_begins_with_the_definition(opened):
    for words, target in (("Eq. 12", "equations/eq12.html"), ("SOR", "index.html")):
        page = opened("index")
        field = page.locator("input[name=q]:visible").first
        field.fill(words)
        field.press("Enter")
        page.wait_for_selector("#search-results ul.search li a")
        page.wait_for_timeout(1000)
        first = page.locator("#search-results ul.search li a").first
        assert target in first.evaluate("link => link.href"), words


def test_verdicts_are_filtered(opened):
    page = opened("index")
    rows = page.locator("table.verdicts tbody tr:visible")
    before = rows.count()
    page.get_by_label("Place").select_option("Fig 4")
    assert 0 < rows.count() < before and all("Fig 4" in text for text in rows.all_inner_texts())
    assert f"{rows.count()} of {before} claims" in page.locator(".filters").inner_text()


def test_both_colour_schemes(opened, console_errors, screenshots):
    def brightness() -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(float(part) for part in colour.strip("rgba()").split(",")[:3]) / 3

    page = opened("index")
    page.emulate_media(color_scheme="light")
    seen = {}
    for _ in range(3):
        page.locator(".theme-toggle:visible").first.click()
        theme = page.evaluate("document.body.dataset.theme")
        seen[theme] = brightness()
        if theme == "dark":
            for name in ("index", "equations/eq05", "figures/fig04"):
                opened(name).screenshot(path=screenshots / f"site-{name.replace('/', '-')}-dark.png")
            # The choice is kept from page to page.
            assert brightness() < 60
    assert set(seen) == {"auto", "light", "dark"} and seen["light"] > 220
    assert console_errors == []


def test_from_a_figure_two_clicks_lead_to_claim_cell_and_function(opened, browser_page, console_errors):
    opened("index")
    for words, target in (
        ("Claim 1", "claims/claim01.html#claim-1"),
        ("the cell that makes it", "notebooks/20_overall_comparison.html#cell-20-overall-comparison-"),
        (
            "mecpaper.report.figures.draw_curves",
            "api/report.html#mecpaper.report.figures.draw_curves",
        ),
    ):
        page = opened("index")
        page.locator("article a:has(img)").first.click()
        page.wait_for_load_state()
        page.locator("article a", has_text=words).first.click()
        page.wait_for_load_state()
        assert target in page.url
        anchor = page.url.partition("#")[2]
        # It is scrolled to: somewhere in the upper part of the window, or as far as the page goes.
        page.wait_for_function("name => document.getElementById(name).getBoundingClientRect().top < 700", arg=anchor)
    assert console_errors == []


def test_the_menu_of_a_phone(opened, browser_page, screenshots):
    browser_page.set_viewport_size(PHONE)
    page = opened("index")
    page.locator("label.nav-overlay-icon:visible").first.click()
    page.wait_for_timeout(400)
    page.screenshot(path=screenshots / "site-menu-phone.png")
    page.locator(".sidebar-tree a", has_text="Claims").first.click()
    page.wait_for_load_state()
    assert page.url.endswith("claims/index.html")
