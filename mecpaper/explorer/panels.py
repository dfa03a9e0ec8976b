"""The canvas of the explorer's seven panels, and how it becomes a picture fast: frames of panels are kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image

from mecpaper.report.figures import STYLE

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0173b2", "#de8f05", "#029e73", "#c44601", "#b05fa0", "0.45"
"""Colours of the colour-blind palette, some darkened for legible text; lines also differ in style."""

PANELS = (
    ("Secrecy rate of every request, Eq. 12", "worst-case secrecy rate, Mbit/s", ""),
    ("Safe offload rate, SOR", "share of a slot's requests that are sent", ""),
    ("Where one device could send", "its transmit power, W", "its gain g, dB"),
    ("Battery, Eq. 8", "slot", "J per device"),
    ("Reward and its terms, Eq. 24", "slot", "per device and slot"),
    ("Energy against its limit, Eq. 39", "slot", "J per device"),
    ("Offload share", "slot", "share of chunks"),
)
"""Title, x label and y label of each panel."""

STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Limits of an axis, times a power of ten: small changes of a setting leave them as they are."""

KEPT = 64
"""Most frames of panels that are kept; each takes about half a MiB."""

BOX: dict[str, Any] = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.5}

Layers = dict[tuple[Any, ...], Any]
"""Pixels of the frames of panels, by number and limits of the panel."""


def canvas() -> Figure:
    """Make an empty figure of seven panels, which `draw` can reuse."""
    titles = {"axes.titlesize": 10, "axes.titleweight": "bold", "axes.titley": 1.03, "axes.titlelocation": "left"}
    with matplotlib.rc_context(STYLE | titles | {"axes.axisbelow": True}):
        figure = Figure(figsize=(12.6, 6.4))
        FigureCanvasAgg(figure)
        top = figure.add_gridspec(1, 3, left=0.04, right=0.955, top=0.945, bottom=0.59, wspace=0.17)
        below = figure.add_gridspec(1, 4, left=0.045, right=0.985, top=0.435, bottom=0.075, wspace=0.22)
        places = [*(top[0, i] for i in range(3)), *(below[0, i] for i in range(4))]
        for place, (title, across, up) in zip(places, PANELS, strict=True):
            axes = figure.add_subplot(place)
            axes.set(title=title, xlabel=across)
            axes.set_ylabel(up, fontsize=7.5)
            # Where labels have fixed places, no tick is measured to place them.
            box, per_point = axes.get_window_extent(), figure.dpi / 72.0
            axes.xaxis.set_label_coords(0.5, -18.0 * per_point / box.height)
            axes.yaxis.set_label_coords(-25.0 * per_point / box.width, 0.5)
            round_ticks(axes)
        for axes in figure.axes[:2]:
            axes.set_yticks([])
    return figure


def png(figure: Figure, layers: Layers | None = None) -> bytes:
    """Render a figure as PNG, for speed with little compression and text that is not fitted to pixels.

    Args:
        figure: a figure; if it is from `canvas` and drawn again and again, frames can be kept.
        layers: frames of panels (titles, axes, ticks, grid) drawn before, to which new ones are added.
    """
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context(STYLE | {"text.hinting": "none"}):
        if layers is None:
            canvas.draw()
        else:
            _draw_panels(figure, canvas, layers)
    buffer = io.BytesIO()
    # The canvas is kept, and with it the measures of its texts; without the alpha channel the picture is packed faster.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def contents(axes: Axes) -> list[Artist]:
    """List everything drawn on axes, but not their frame."""
    return [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]


def _draw_panels(figure: Figure, canvas: FigureCanvasAgg, layers: Layers) -> None:
    """Draw the panels of `canvas`: first their frames, kept for each panel and its limits, then what is on them."""
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    if len(layers) > KEPT:
        layers.clear()
    keys = [(number, axes.get_xlim(), axes.get_ylim()) for number, axes in enumerate(figure.axes)]
    for key, axes, place in zip(keys, figure.axes, _places(figure, width, height), strict=True):
        if key not in layers:
            _draw_frame(figure, axes, renderer)
            layers[key] = canvas.copy_from_bbox(place)
    for key in keys:
        canvas.restore_region(layers[key])
    for axes in figure.axes:
        for artist in sorted(contents(axes), key=lambda artist: artist.zorder):
            artist.draw(renderer)


def _draw_frame(figure: Figure, axes: Axes, renderer: Any) -> None:
    """Draw axes without what is on them, on an empty picture."""
    renderer.clear()
    figure.patch.draw(renderer)
    hidden = contents(axes)
    for artist in hidden:
        artist.set_visible(False)
    axes.draw(renderer)
    for artist in hidden:
        artist.set_visible(True)


def _places(figure: Figure, width: int, height: int) -> list[Bbox]:
    """Divide the picture among the panels of `canvas`, in whole pixels: each has its axes, title and labels."""
    half, places = height // 2, []
    for row, low, high in ((figure.axes[:3], half, height), (figure.axes[3:], 0, half)):
        starts = [0, *(int(axes.bbox.x0 - 0.036 * width) for axes in row[1:]), width]
        places += [Bbox.from_extents(left, low, right, high) for left, right in pairwise(starts)]
    return places


def round_up(value: float) -> float:
    """Round a positive number up to a limit of an axis, one of `STEPS`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(step for step in STEPS if step * power >= value * (1.0 - 1e-9)))


def round_ticks(axes: Axes) -> None:
    """Set at most six ticks at round numbers on both axes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value, 10) + 0.0:g}"))


def clear(figure: Figure) -> None:
    """Remove everything drawn on the axes, but not the axes."""
    for axes in figure.axes:
        for artist in contents(axes):
            artist.remove()


def write_key(
    axes: Axes, entries: Sequence[tuple[str, Any]], x: float = 0.02, y: float = 0.97, step: float = 0.085
) -> None:
    """Write labels in the colours of what they name, from top to bottom; a legend takes ten times as long."""
    align = "left" if x < 0.5 else "right"
    style: dict[str, Any] = {"fontsize": 8, "ha": align, "va": "top", "zorder": 5, "bbox": BOX | {"pad": 0.8}}
    for place, (text, color) in enumerate(entries):
        axes.text(x, y - step * place, text, color=color, transform=axes.transAxes, **style)
