"""Place texts in figures: names beside the ends of lines, and lines of text that keep formulas whole."""

from __future__ import annotations

import re
from itertools import compress, pairwise
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Annotation
from numpy.typing import NDArray


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters, but never inside a formula."""
    whole = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\0"), text)
    return fill(whole, width).replace("\0", " ")


def name_lines(axes: Axes) -> None:
    """Write the name of each line beside its right end, in its colour; names that would overlap are moved apart.

    Where nothing was drawn, it writes "no runs". To be called when everything is drawn, since it depends on the limits
    of the axes.
    """
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        if not axes.has_data():
            axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color="0.35")
        return
    every: list[Any] = [handle[0] if isinstance(handle, ErrorbarContainer) else handle for handle in handles]
    shown = [np.isfinite(line.get_ydata()).any() for line in every]
    lines, labels = [list(compress(part, shown)) for part in (every, labels)]
    if not lines:
        return
    axes.get_ylim()  # applies a scale that matplotlib has put off
    to_axes, names = axes.transScale + axes.transLimits, [wrapped(label, 16) for label in labels]
    ends = []
    for line in lines:
        known = np.isfinite(line.get_ydata())
        last = np.asarray(line.get_xdata())[known][-1], np.asarray(line.get_ydata())[known][-1]
        ends.append(float(np.clip(to_axes.transform(last)[1], 0.0, 1.0)))
    places = _apart(ends, [name.count("\n") + 1 for name in names], axes)
    for line, name, end, place in zip(lines, names, ends, places, strict=True):
        color, arrow = line.get_color(), {"arrowstyle": "-", "shrinkA": 1, "shrinkB": 0, "linewidth": 0.8}
        arrow |= {"relpos": (0.0, 0.5), "color": color, "linestyle": line.get_linestyle().replace("None", "-")}
        style: dict[str, Any] = {"xycoords": "axes fraction", "va": "center", "fontsize": 7.5, "annotation_clip": False}
        axes.annotate(name, (1.0, end), (1.08, place), color=color, arrowprops=arrow, **style)


PLACES = (("left", "bottom"), ("right", "bottom"), ("right", "top"), ("left", "top"))
"""Places for the name of a level: an end of its line, and what of the name is at the line; the first is preferred."""


def name_level(axes: Axes, value: float, text: str, x: float | None = None, below: bool = False) -> None:
    """Write the name of a level at its line, where it meets no name written before, and the fewest lines.

    Args:
        axes: axes that the line is drawn on.
        value: height of the line.
        text: its name.
        x: left end of the line; by default it spans the axes.
        below: whether the name stands below the right end where it can, not above the left end.
    """
    to_axes, row = axes.transScale + axes.transLimits, _share(axes, 9.0)

    def foot(height: float, vertical: str) -> float:
        return float(to_axes.transform((0.0, height))[1]) - (row if vertical == "top" else 0.0)

    written = [
        (note.get_horizontalalignment(), foot(note.xy[1], note.get_verticalalignment()))
        for note in axes.texts
        if isinstance(note, Annotation) and note.get_gid() == "level"
    ]
    places = sorted(PLACES, key=lambda place: place != ("right", "top")) if below else PLACES
    places = [(end, vertical) for end, vertical in places if x is None or end == "left"]
    free = [
        (end, vertical)
        for end, vertical in places
        if all(end != other or abs(foot(value, vertical) - low) >= row for other, low in written)
    ]
    start = None if x is None else float(to_axes.transform((x, value))[0])
    end, vertical = min(
        free or places, key=lambda place: _covered(axes, place[0], start, foot(value, place[1]), row, text)
    )
    system: Any = "data" if x is not None else ("axes fraction", "data")
    where = (x if x is not None else 0.01 if end == "left" else 0.99, value)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.3}
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": "0.3", "zorder": 5, "bbox": box}
    shift = (0.0, 1.5 if vertical == "bottom" else -1.5)
    axes.annotate(text, where, shift, xycoords=system, ha=end, va=vertical, gid="level", **style)


def _covered(axes: Axes, end: str, start: float | None, low: float, row: float, text: str) -> int:
    """Count the points of lines, a hundred a line, that a text would cover: at an end of the axes, or from `start` on.

    Below the axes they are many; all places are in shares of the axes.
    """
    width = 0.6 * row * len(text) * axes.bbox.height / axes.bbox.width
    covered = 0 if low >= 0.0 else 1000
    for line in axes.lines:
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        if line.get_transform() != axes.transData or len(x) < 2:
            continue
        places = (axes.transScale + axes.transLimits).transform(np.column_stack([x, y]))
        first = start if start is not None else 0.0 if end == "left" else 1.0 - width
        across, up = places[np.argsort(places[:, 0], kind="stable")].T
        heights = np.interp(np.linspace(first, first + width, 100), across, up, left=np.nan, right=np.nan)
        covered += int(np.sum(np.abs(heights - (low + row / 2.0)) < 0.49 * row))  # not its own line
    return covered


def _share(axes: Axes, points: float) -> float:
    """Convert a height in points to a share of the axes, whose own is known only when all is laid out: about 0.7 of
    their share of the figure."""
    figure, spec = axes.get_figure(root=True), axes.get_subplotspec()
    assert figure is not None and spec is not None
    return points * spec.get_gridspec().nrows / (0.7 * 72.0 * figure.get_figheight())


def _apart(ends: list[float], rows: list[int], axes: Axes) -> NDArray:
    """Move texts of so many rows apart, in their order, none above the axes; heights in shares of the axes."""
    sizes = np.array(rows) * _share(axes, 11.5)
    order, places = np.argsort(ends, kind="stable"), np.array(ends)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + (sizes[above] + sizes[below]) / 2.0)
    places[order[-1]] = min(places[order[-1]], 1.0)
    for above, below in pairwise(order[::-1]):
        places[below] = min(places[below], places[above] - (sizes[above] + sizes[below]) / 2.0)
    return places
