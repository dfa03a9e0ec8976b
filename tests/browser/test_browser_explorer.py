"""Notebook 40 as a person uses it: in JupyterLab and under Voila, from a fresh copy, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

NOTEBOOK = "notebooks/40_explorer.ipynb"
PATIENCE = 120_000
"""Longest wait in ms: a kernel has to start and load torch on a machine that may be busy."""


MOVES = 25
"""Steps of the mouse while it drags a handle: a burst of changes."""


@pytest.fixture(scope="module")
def lab(serve, checkout):
    """A JupyterLab on the copy."""
    return serve("jupyterlab", checkout)


@pytest.fixture(scope="module")
def voila(serve, checkout):
    """The notebook as a page of its own."""
    pytest.importorskip("voila", reason="voila is not installed: make browser")
    return serve("voila", checkout, NOTEBOOK)


def wait_for_drawing(page: Any, text: str) -> None:
    """Wait until the line under the picture, which is written after everything else, says what is drawn."""
    page.locator("[data-drawn]", has_text=text).wait_for(timeout=PATIENCE)


def drawings(page: Any) -> int:
    """How often it has been drawn."""
    return int(page.locator("[data-drawn]").get_attribute("data-drawn"))


def measures(page: Any) -> dict[str, str]:
    """The numbers above the picture."""
    tiles = page.locator(".mx-tile")
    return {tile.get_attribute("data-measure"): tile.locator("b").inner_text() for tile in tiles.all()}


def picture(page: Any) -> str:
    """What the picture shows, as a digest of its bytes; fails where it is no picture."""
    script = """async () => {
        const image = document.querySelector('.mx-picture');
        await image.decode();
        const bytes = await (await fetch(image.src)).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return image.naturalWidth + ' ' + Array.from(digest).join(',');
    }"""
    seen = page.evaluate(script)
    assert int(seen.partition(" ")[0]) > 1000
    return seen


def press(page: Any, handle: str, key: str, times: int) -> None:
    """Move a slider's handle by the keyboard."""
    page.locator(handle).focus()
    for _ in range(times):
        page.keyboard.press(key)


def drag(page: Any, handle: str, pixels: float) -> None:
    """Move a slider's handle by the mouse."""
    box = page.locator(handle).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=MOVES)
    page.mouse.up()


def open_in_lab(page: Any, lab: Any) -> None:
    """Open the notebook and run all its cells from the menu."""
    page.goto(lab.page(f"lab/tree/{NOTEBOOK}"))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
    page.locator(".jp-NotebookPanel-toolbar .jp-Toolbar-kernelName", has_text="Python 3").wait_for(timeout=PATIENCE)
    if page.locator(".jp-FileBrowser").is_visible():
        page.keyboard.press("Control+b")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    wait_for_drawing(page, "g 8 to 10 dB")
    question = page.get_by_text("official Jupyter news")
    if question.is_visible():
        page.get_by_role("button", name="No", exact=True).click()
    page.locator(".mx-who").scroll_into_view_if_needed()


def test_in_jupyterlab_everything_moves(browser_page, console_errors, lab, screenshots):
    page = browser_page
    open_in_lab(page, lab)
    start, first = measures(page), picture(page)
    page.screenshot(path=screenshots / "explorer_1_default.png")

    press(page, ".mx-gain_db .noUi-handle-upper", "ArrowRight", 8)
    press(page, ".mx-gain_db .noUi-handle-lower", "ArrowLeft", 8)
    wait_for_drawing(page, "g 4 to 14 dB, battery 8 J")
    gained, second = measures(page), picture(page)
    page.screenshot(path=screenshots / "explorer_2_gain.png")
    assert second != first and gained["reward"] != start["reward"]
    assert "Outside the training range: g = 4 to 14 dB" in page.locator(".mx-note").first.inner_text()
    assert "attacker_strong" in page.locator(".mx-snippet textarea").input_value()

    before = drawings(page)
    drag(page, ".mx-battery_capacity .noUi-handle", 60)
    shown = float(page.locator(".mx-battery_capacity .widget-readout").inner_text())
    wait_for_drawing(page, f"battery {shown:g} J")
    stored, third = measures(page), picture(page)
    page.screenshot(path=screenshots / "explorer_3_battery.png")
    assert shown > 8.0 and third != second and stored["battery"] != gained["battery"]
    assert drawings(page) - before < MOVES
    assert f"battery_capacity: {shown}" in page.locator(".mx-snippet textarea").input_value()

    page.locator(".mx-who select").select_option(label="All request, random power")
    wait_for_drawing(page, "All request, random power: ")
    page.locator(".mx-tile").first.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "explorer_4_control.png")
    assert measures(page)["reward"] != stored["reward"]

    page.locator(".mx-who select").select_option(label="Planner, best stationary plan")
    wait_for_drawing(page, "Planner, best stationary plan: ")
    assert measures(page)["reward"] != stored["reward"]
    assert console_errors == []


def test_in_jupyterlab_a_wrong_input_is_answered_and_the_snippet_is_copied(browser_page, console_errors, lab):
    page = browser_page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_in_lab(page, lab)
    # With the whole range below 0 dB the estimation error, a share of its end, would be negative.
    for end in ("lower", "upper"):
        press(page, f".mx-gain_db .noUi-handle-{end}", "Home", 1)
    line = page.locator(".mx-error")
    line.wait_for(timeout=PATIENCE)
    assert "game.gain_db = [-4.0, -4.0]" in line.inner_text()
    press(page, ".mx-gain_db .noUi-handle-upper", "End", 1)
    wait_for_drawing(page, "g -4 to 20 dB")
    assert line.count() == 0
    page.get_by_role("tab", name="Reproduce").click()
    page.locator(".mx-copy").click()
    page.get_by_text("Copied", exact=True).wait_for(timeout=PATIENCE)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "explored: {gain_db: [-4.0, 20.0]}" in copied
    assert copied == page.locator(".mx-snippet textarea").input_value()
    assert console_errors == []


def test_in_jupyterlab_a_training_is_watched_and_stopped(browser_page, console_errors, lab, screenshots):
    page = browser_page
    open_in_lab(page, lab)
    page.locator(".mx-start").click()
    page.get_by_text("of 200 episodes").wait_for(timeout=PATIENCE)
    first = page.locator(".mx-live").get_attribute("src")
    page.get_by_text(re.compile(r": ([4-9]\d|1\d\d) of 200 episodes")).wait_for(timeout=PATIENCE)
    assert page.locator(".mx-live").get_attribute("src") != first
    page.locator(".mx-live").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "explorer_5_training.png")
    page.locator(".mx-stop").click()
    page.get_by_text("Stopped after").wait_for(timeout=PATIENCE)
    names = page.locator(".mx-who select").inner_text().replace("\xa0", " ")
    assert "Trained here: CPO-MADDPG" in names
    assert console_errors == []


UNNAMED = ("aria-command-name", "aria-input-field-name", "button-name", "image-alt", "label", "select-name")
"""Rules of axe-core on controls and pictures without a name."""


def test_under_voila(browser_page, console_errors, voila, findings, screenshots):
    page = browser_page
    # Voila asks a public server for icons, of which this page has none.
    page.route(re.compile("^https://"), lambda route: route.fulfill(body="", content_type="text/css"))
    page.goto(voila.page(""))
    wait_for_drawing(page, "N = 20")
    first = picture(page)
    press(page, ".mx-devices .noUi-handle", "ArrowRight", 10)
    wait_for_drawing(page, "N = 30")
    assert picture(page) != first
    assert "the actors repeat" in page.locator(".mx-note").inner_text()
    page.screenshot(path=screenshots / "explorer_6_voila.png", full_page=True)
    page.locator(".mx-beside select").select_option(label="All local, planned settings")
    wait_for_drawing(page, "beside All local, planned settings")
    assert page.locator(".mx-tile .mx-other").count() == page.locator(".mx-tile").count()
    page.screenshot(path=screenshots / "explorer_7_beside.png", full_page=True)
    # A picture that a cell returns has no text; the site gives it one.
    unnamed = [found for found in findings() if found.startswith(UNNAMED) and "jp-RenderedImage" not in found]
    assert unnamed == []
    assert console_errors == []
