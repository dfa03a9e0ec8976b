"""Pictures of the derivation notebooks: lines with their names at their ends, and pictures that sliders redraw."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mecpaper.report.figures import new_figure

STYLES = (("#0173b2", "-"), ("#de8f05", "--"), ("#029e73", "-."), ("#cc78bc", ":"))
"""Colour and dashes of the first line, the second, and so on: no two differ only in colour."""

SIZE = 8.0
"""Size of names in points."""


def draw_lines(
    axes: Axes,
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    levels: Mapping[str, float] | None = None,
    **settings: Any,
) -> None:
    """Draw lines with their names at the right edge, where they cover no data.

    Args:
        axes: axes to draw on.
        x: positions, shared by all lines.
        curves: name -> values; at most four.
        levels: name, which may be empty -> value of a horizontal line, such as a limit.
        settings: arguments of `Axes.set`, such as xlabel, ylabel, title, yscale and ylim.
    Raises:
        ValueError: more curves than styles.
    """
    for (name, values), (color, dashes) in zip(curves.items(), STYLES[: len(curves)], strict=True):
        axes.plot(x, values, color=color, linestyle=dashes, label=name)
    for name, value in (levels or {}).items():
        axes.axhline(value, color="0.4", linewidth=0.9, label=name)
    axes.margins(x=0)
    axes.set_title(settings.pop("title", ""), loc="left", fontsize=SIZE + 1)
    axes.set(**settings)
    _name(axes)


def _name(axes: Axes) -> None:
    """Write the name of every line beside its right end, moved apart where names would touch."""
    axes.get_ylim()  # applies a scale that matplotlib has put off
    to_axes = axes.transScale + axes.transLimits
    heights = {line: to_axes.transform((0.0, np.asarray(line.get_ydata())[-1]))[1] for line in axes.lines}
    # The axes' own height is known only when all is laid out: about three quarters of the figure's.
    figure = axes.get_figure(root=True)
    assert figure is not None
    step = 1.3 * SIZE / (0.75 * 72.0 * figure.get_figheight())
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]  # others have no name
    named.sort(key=lambda line: heights[line])
    places = [min(max(heights[line], 0.0), 1.0) for line in named]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    for i in range(1, len(places) + 1):
        places[-i] = min(places[-i], places[1 - i] - step if i > 1 else 1.0)
    for line, place in zip(named, places, strict=True):
        text: dict[str, Any] = {"color": line.get_color(), "fontsize": SIZE, "va": "center"}
        axes.annotate(str(line.get_label()), (1.0, place), (5, 0), "axes fraction", "offset points", **text)


def lines(x: ArrayLike, curves: Mapping[str, ArrayLike], height: float = 2.8, **options: Any) -> Figure:
    """Make a figure with one panel of named lines; other arguments as of `draw_lines`."""
    figure, (axes,) = new_figure(6.6, height)
    draw_lines(axes, x, curves, **options)
    return figure


def panels(height: float = 2.8) -> tuple[Figure, list[Axes]]:
    """Make a figure with two panels side by side, and room for the names of lines between them."""
    figure, axes = new_figure(8.4, height, columns=2)
    figure.set_layout_engine("constrained", w_pad=0.12)
    return figure, axes


class Adjustable:
    """A picture with sliders above it; as the last line of a cell it is shown, without a kernel as a plain picture.

    Args:
        draw: makes the figure from the values of the sliders.
        sliders: argument of `draw` -> slider, which carries a description.
    """

    def __init__(self, draw: Callable[..., Figure], **sliders: Any) -> None:
        self.draw, self.sliders = draw, sliders
        self.picture = widgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self.view = widgets.VBox([*sliders.values(), self.picture], layout={"align_items": "flex-start"})
        for slider in sliders.values():
            slider.observe(lambda change: self.redraw(), "value")
        self.redraw()

    def redraw(self) -> None:
        """Draw the picture for the present values."""
        figure = self.draw(**{name: slider.value for name, slider in self.sliders.items()})
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        self.picture.value = buffer.getvalue()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = self.view._repr_mimebundle_(**options)
        names = ", ".join(slider.description for slider in self.sliders.values())
        text = {"text/plain": f"Sliders in a running notebook: {names}"}
        return bundle | {"image/png": base64.b64encode(self.picture.value).decode()} | text
