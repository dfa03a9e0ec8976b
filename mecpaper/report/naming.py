"""Place texts in figures: names beside the ends of lines, and lines of text that keep formulas whole."""

from __future__ import annotations

import re
from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
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
    lines: list[Any] = [handle[0] if isinstance(handle, ErrorbarContainer) else handle for handle in handles]
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


def _apart(ends: list[float], rows: list[int], axes: Axes) -> NDArray:
    """Move texts of so many rows apart, in their order, none above the axes; heights in shares of the axes."""
    figure, spec = axes.get_figure(root=True), axes.get_subplotspec()
    assert figure is not None and spec is not None
    # The axes' own height is known only when all is laid out: about 0.7 of their share of the figure.
    sizes = np.array(rows) * 11.5 * spec.get_gridspec().nrows / (0.7 * 72.0 * figure.get_figheight())
    order, places = np.argsort(ends, kind="stable"), np.array(ends)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + (sizes[above] + sizes[below]) / 2.0)
    places[order[-1]] = min(places[order[-1]], 1.0)
    for above, below in pairwise(order[::-1]):
        places[below] = min(places[below], places[above] - (sizes[above] + sizes[below]) / 2.0)
    return places
