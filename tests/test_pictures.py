"""Named lines whose names do not touch, and pictures with sliders that stay pictures without a kernel."""

import base64
import io
from itertools import pairwise

import nbformat
import numpy as np
import pytest
from ipywidgets import FloatSlider
from matplotlib.text import Text
from PIL import Image

from mecpaper.pipeline.notebook import VIEW, normalise
from mecpaper.report import pictures

X = np.linspace(0.0, 1.0, 5)


def heights(figure):
    """Name -> lower and upper end of its text in pixels, as drawn."""
    figure.draw_without_rendering()
    # The extent of the annotation would include the line that leads to the text.
    boxes = {text.get_text(): Text.get_window_extent(text) for text in figure.axes[0].texts}
    return {name: (box.y0, box.y1) for name, box in boxes.items()}


@pytest.mark.parametrize("ends", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.51, 0.49), (0.0, 1.0, 0.99)])
def test_names_of_lines_do_not_touch_and_stay_beside_the_panel(ends):
    figure = pictures.lines(X, {f"line {i}": X * end for i, end in enumerate(ends)}, levels={"limit": 1.0, "": 0.2})
    places = heights(figure)
    assert set(places) == {"line 0", "line 1", "line 2", "limit"}
    assert all(below[1] <= above[0] for below, above in pairwise(sorted(places.values())))
    panel = figure.axes[0].get_window_extent()
    assert min(low for low, _ in places.values()) > panel.y0 - 10
    assert max(high for _, high in places.values()) < panel.y1 + 10


def test_a_name_stands_at_the_end_of_its_line_on_any_scale():
    figure = pictures.lines(X, {"low": 10 ** (-3 * X), "high": X * 0 + 1.0}, yscale="log")
    places, panel = heights(figure), figure.axes[0].get_window_extent()
    assert np.mean(places["low"]) == pytest.approx(panel.y0 + panel.height / 22, abs=3)  # margins of a twentieth
    assert np.mean(places["high"]) == pytest.approx(panel.y1 - panel.height / 22, abs=3)


def test_more_lines_than_styles_are_refused():
    with pytest.raises(ValueError, match="zip"):
        pictures.lines(X, {str(i): X for i in range(5)})


def adjustable():
    return pictures.Adjustable(
        lambda slope: pictures.lines(X, {"line": slope * X}, ylim=(0, 3)),
        slope=FloatSlider(value=1.0, min=0.0, max=3.0, description="slope"),
    )


def test_a_slider_redraws_the_picture():
    control = adjustable()
    before = control.picture.value
    control.sliders["slope"].value = 2.0
    assert control.picture.value != before
    control.sliders["slope"].value = 1.0
    assert control.picture.value == before


def test_a_stored_notebook_keeps_the_picture_of_a_control_and_not_its_widget():
    data = adjustable()._repr_mimebundle_()
    assert VIEW in data and data["text/plain"] == "Sliders in a running notebook: slope"
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data)])
    (stored,) = normalise(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert set(stored.data) == {"image/png", "text/plain"}
    assert Image.open(io.BytesIO(base64.b64decode(stored.data["image/png"]))).width > 400
