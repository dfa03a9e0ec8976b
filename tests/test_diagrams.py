"""Figures 1-3: nothing overlaps or leaves the sheet, the numbers are those given, the same bytes each time."""

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from mecpaper.report import diagrams, figures

DRAWINGS = {
    "fig01": lambda: diagrams.scenario(devices=20, chunks=3),
    "fig01_many": lambda: diagrams.scenario(devices=50, chunks=8),
    "fig02": lambda: diagrams.decision(hidden=(256, 128, 64), chunks=3),
    "fig03": lambda: diagrams.architecture(hidden=(256, 128, 64), head_hidden=64, devices=20, chunks=3),
    "fig03_other": lambda: diagrams.architecture(hidden=(64, 512), head_hidden=0, devices=50, chunks=10),
}


@pytest.fixture(params=DRAWINGS)
def drawing(request):
    """The axes of a diagram, and each of its texts with the rectangle it covers, in pixels."""
    figure = DRAWINGS[request.param]()
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    return axes, [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts]


def _words(figure):
    return " ".join(text.get_text() for text in figure.axes[0].texts)


def _holds(outer, inner):
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def test_every_text_lies_on_the_sheet_and_can_be_read_in_print(drawing):
    axes, texts = drawing
    assert len(texts) > 20
    assert axes.figure.get_figwidth() == diagrams.WIDTH
    for text, place in texts:
        assert _holds(axes.figure.bbox, place), text
    assert min(text.get_fontsize() for text in axes.texts) >= 6.5


def test_no_two_texts_overlap(drawing):
    axes, texts = drawing
    # The rectangle of a line has room for its scripts, so those of stacked lines may share a hair.
    hair = 0.03 * axes.figure.dpi
    for (one, first), (other, second) in combinations(texts, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide <= 0 or high <= hair, (one, other)


def test_a_text_is_inside_a_box_or_outside_but_never_across_its_edge(drawing):
    axes, texts = drawing
    # What lies behind another panel is hidden where a text stands.
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch) and patch.get_zorder() >= 1]
    edges = [patch.get_window_extent() for patch in boxes]
    assert edges
    for text, place in texts:
        for edge in edges:
            assert _holds(edge, place) or not edge.overlaps(place), text


def test_no_arrow_runs_through_a_text(drawing):
    axes, texts = drawing
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) > 10
    for arrow in arrows:
        for piece in arrow.get_path().to_polygons(closed_only=False):
            points = axes.transData.transform(Path(piece).interpolated(100).vertices)
            for text, place in texts:
                assert not place.count_contains(points), text


def test_the_sizes_given_are_those_drawn():
    text = _words(diagrams.architecture(hidden=(311, 157, 83), head_hidden=29, devices=13, chunks=7))
    for number, times in ((311, 2), (157, 2), (83, 2), (29, 2), (35, 1), (13, 2)):
        assert text.count(str(number)) == times, number
    assert "$5K = 35$" in text and "$K = 7$" in text
    assert "29" not in _words(diagrams.architecture(hidden=(311, 157, 83), head_hidden=0, devices=13, chunks=7))
    text = _words(diagrams.decision(hidden=(311, 157), chunks=7))
    assert "311-157" in text and "5K = 35" in text
    assert "= 13" in _words(diagrams.scenario(devices=13, chunks=7))


@pytest.mark.parametrize("chunks", [1, 2, 4, 9])
def test_few_chunks_have_a_channel_each_and_many_are_abridged(chunks):
    text = _words(diagrams.scenario(devices=20, chunks=chunks))
    assert f"$K = {chunks}$" in text
    assert ("vdots" in text) == (chunks > 4)
    assert text.count("D_{n") - text.count("D_{nk}") == (chunks if chunks <= 4 else 3)


@pytest.mark.parametrize("name", ["fig01", "fig02", "fig03"])
def test_a_diagram_drawn_twice_has_the_same_bytes(name, tmp_path):
    first, second = (figures.save(DRAWINGS[name](), tmp_path / part, name) for part in ("a", "b"))
    for ending, path in first.items():
        assert path.read_bytes() == second[ending].read_bytes(), ending
    # Letters outside this font would reach a reader of the SVG as something else.
    assert "cmsy10" not in first["svg"].read_text() and "DejaVu Sans" in first["svg"].read_text()
