"""Pictures of the derivation notebooks: lines with their names at their ends, and pictures that sliders redraw."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mecpaper.report.figures import new_figure
from mecpaper.report.naming import name_lines

STYLES = (("#0173b2", "-"), ("#de8f05", "--"), ("#029e73", "-."), ("#cc78bc", ":"))
"""Colour and dashes of the first line, the second, and so on: no two differ only in colour."""


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
    axes.set_title(settings.pop("title", ""), loc="left", fontsize=9)
    axes.set(**settings)
    name_lines(axes)


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
