"""Parts of the diagrams: sheet, text, panels, arrows, and icons of about a third of an inch.

Positions on a sheet are in inches from its lower left corner, so that text sizes in points are those in print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path

from mecpaper.config.registry import ALGORITHMS
from mecpaper.report.figures import new_figure

WIDTH = 7.2
"""Width of a sheet in inches, two columns of a journal's page."""

TITLE, BODY, SMALL = 8.0, 7.5, 6.8
LINE = 0.158
"""Sizes of text in points, and the height of a line in inches."""

_OF = {"reward": "cpo_maddpg", "energy": "lmaddpg", "edge": "maddpg", "limit": "matd3", "local": "mappo"}
COLORS = {"plain": to_rgb("0.35"), "target": to_rgb("0.45")}
COLORS |= {role: to_rgb(ALGORITHMS[name].color) for role, name in _OF.items()}
DASHES = {"limit": (0, (4, 2)), "target": (0, (1, 1.5))}
"""Role of a part -> colour and line style; limits and targets differ in more than colour."""


class Box(NamedTuple):
    """A rectangle on the sheet, with the points where arrows meet it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Position of the right edge."""
        return self.x + self.width

    @property
    def top(self) -> float:
        """Position of the upper edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """Position of the centre."""
        return self.x + self.width / 2, self.y + self.height / 2


def sheet(height: float) -> tuple[Figure, Axes]:
    """Make an empty sheet `WIDTH` wide: a figure whose axes fill it and count inches."""
    figure, (axes,) = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes.set_position((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, WIDTH), ylim=(0.0, height))
    axes.set_axis_off()
    return figure, axes


def write(axes: Axes, x: float, y: float, text: str, size: float = BODY, **more: Any) -> None:
    """Write one line of text, by default centred on a point."""
    axes.text(x, y, text, fontsize=size, **({"ha": "center", "va": "center", "color": "0.1"} | more))


def write_lines(axes: Axes, x: float, y: float, title: str, lines: Sequence[str] = (), **more: Any) -> None:
    """Write a title in bold and lines under it, as a block with its middle at height y."""
    texts = [title] * bool(title) + list(lines)
    for number, text in enumerate(texts):
        bold: dict[str, Any] = {"size": TITLE, "weight": "bold"} if title and number == 0 else {}
        write(axes, x, y + LINE * ((len(texts) - 1) / 2 - number), text, **(bold | more))


def panel(axes: Axes, area: Box, role: str = "plain", fill: bool = True, **more: Any) -> Box:
    """Draw a rounded rectangle in the colour and line of its role; without fill only its outline."""
    share = 0.06 if role in ("plain", "target") else 0.13
    tint = tuple(1.0 - share * (1.0 - part) for part in COLORS[role])
    patch = FancyBboxPatch((area.x, area.y), area.width, area.height, boxstyle="round,pad=0,rounding_size=0.06")
    patch.set(facecolor=tint if fill else "none", edgecolor=COLORS[role], linewidth=1.0)
    patch.set(linestyle=DASHES.get(role, "-"), **more)
    axes.add_patch(patch)
    return area


def box(axes: Axes, area: Box, title: str, *lines: str, role: str = "plain") -> Box:
    """Draw a panel with a block of text in its middle."""
    write_lines(axes, *area.middle, title, lines)
    return panel(axes, area, role)


def stack(axes: Axes, front: Box, pitch: float) -> Box:
    """Draw a panel and two more behind it, shifted up and to the right; return the rectangle around all three."""
    for step in (2, 1, 0):
        panel(axes, front._replace(x=front.x + pitch * step, y=front.y + pitch * step), zorder=1.0 - 0.1 * step)
    return front._replace(width=front.width + 2 * pitch, height=front.height + 2 * pitch)


def arrow(axes: Axes, *points: tuple[float, float], role: str = "plain") -> None:
    """Draw an arrow along straight pieces from the first point to the last, with a solid head even on a dashed line."""
    last, tip = np.array(points[-2]), np.array(points[-1])
    neck = tip - 0.06 * (tip - last) / np.hypot(*(tip - last))
    line = FancyArrowPatch(path=Path([*points[:-1], neck]), arrowstyle="-", linestyle=DASHES.get(role, "-"))
    head = FancyArrowPatch(path=Path([neck, tip]), arrowstyle="-|>,head_length=0.4,head_width=0.2", mutation_scale=9)
    for patch in (line, head):
        patch.set(color=COLORS[role], linewidth=1.1, joinstyle="miter", capstyle="butt")
        axes.add_patch(patch)


def layers(axes: Axes, places: Sequence[float], middle: float, sizes: Sequence[int], scale: float) -> None:
    """Draw layers of a network as bars, joined, with their widths above them.

    Args:
        axes: axes to draw on.
        places: x of each bar.
        middle: y of their common middle.
        sizes: number of units of each layer.
        scale: height of a bar divided by the square root of its units.
    """
    halves, color = [0.5 * scale * size**0.5 for size in sizes], COLORS["plain"]
    for number, (place, half, size) in enumerate(zip(places, halves, sizes, strict=True)):
        if number:
            before, reach = places[number - 1], halves[number - 1]
            left, right = [(before, middle - reach), (before, middle + reach)], [(place, middle + half)]
            axes.add_patch(Polygon([*left, *right, (place, middle - half)], facecolor=color, alpha=0.18, linewidth=0))
        axes.add_patch(Rectangle((place - 0.045, middle - half), 0.09, 2 * half, color=color))
        write(axes, place, middle + half + 0.09, str(size), SMALL)


def camera(axes: Axes, x: float, y: float) -> None:
    """Draw a camera."""
    axes.add_patch(Rectangle((x - 0.17, y - 0.10), 0.24, 0.20, color=COLORS["plain"]))
    axes.add_patch(Polygon([(x + 0.08, y), (x + 0.17, y + 0.09), (x + 0.17, y - 0.09)], color=COLORS["plain"]))
    axes.add_patch(Circle((x - 0.05, y), 0.055, color="white"))


def processor(axes: Axes, x: float, y: float) -> None:
    """Draw a chip with its pins."""
    for place in (-0.07, 0.0, 0.07):
        axes.plot([x + place] * 2, [y - 0.16, y + 0.16], color=COLORS["local"], linewidth=1.2)
        axes.plot([x - 0.16, x + 0.16], [y + place] * 2, color=COLORS["local"], linewidth=1.2)
    axes.add_patch(Rectangle((x - 0.115, y - 0.115), 0.23, 0.23, color=COLORS["local"]))
    axes.add_patch(Rectangle((x - 0.055, y - 0.055), 0.11, 0.11, color="white"))


def battery(axes: Axes, x: float, y: float) -> None:
    """Draw a battery, half full."""
    axes.add_patch(Rectangle((x - 0.17, y - 0.09), 0.30, 0.18, facecolor="white", edgecolor="0.2", linewidth=1.1))
    axes.add_patch(Rectangle((x + 0.135, y - 0.04), 0.03, 0.08, color="0.2"))
    axes.add_patch(Rectangle((x - 0.148, y - 0.068), 0.16, 0.136, color=COLORS["energy"]))


def _waves(axes: Axes, x: float, y: float) -> None:
    for size in (0.14, 0.24):
        for at in (0.0, 180.0):
            arc = Arc((x, y), size, size, theta1=at - 50, theta2=at + 50, color=COLORS["edge"], linewidth=1.2)
            axes.add_patch(arc)


def radio(axes: Axes, x: float, y: float) -> None:
    """Draw an antenna that sends."""
    axes.plot([x, x], [y - 0.15, y + 0.06], color=COLORS["edge"], linewidth=1.6)
    axes.add_patch(Circle((x, y + 0.06), 0.03, color=COLORS["edge"]))
    _waves(axes, x, y + 0.06)


def tower(axes: Axes, x: float, y: float) -> None:
    """Draw a base station's tower."""
    for side in (-1, 1):
        axes.plot([x + 0.15 * side, x], [y - 0.30, y + 0.14], color="0.2", linewidth=1.4)
    for low, high, reach in ((-0.30, -0.12, 0.15), (-0.12, 0.02, 0.09)):
        axes.plot([x - reach, x + 0.6 * reach], [y + low, y + high], color="0.2", linewidth=0.8)
        axes.plot([x + reach, x - 0.6 * reach], [y + low, y + high], color="0.2", linewidth=0.8)
    axes.add_patch(Circle((x, y + 0.16), 0.03, color="0.2"))
    _waves(axes, x, y + 0.16)


def server(axes: Axes, x: float, y: float) -> None:
    """Draw a rack of three servers."""
    for level in (-0.16, 0.0, 0.16):
        axes.add_patch(Rectangle((x - 0.20, y + level - 0.065), 0.40, 0.13, color=COLORS["edge"]))
        axes.plot([x - 0.14, x + 0.02], [y + level] * 2, color="white", linewidth=1.2)
        axes.add_patch(Circle((x + 0.13, y + level), 0.022, color="white"))


def headphones(axes: Axes, x: float, y: float) -> None:
    """Draw the eavesdropper's headphones."""
    axes.add_patch(Arc((x, y - 0.03), 0.30, 0.36, theta1=0, theta2=180, color=COLORS["limit"], linewidth=2.0))
    for side in (-1, 1):
        axes.add_patch(Rectangle((x + 0.15 * side - 0.045, y - 0.15), 0.09, 0.16, color=COLORS["limit"]))


def sun(axes: Axes, x: float, y: float) -> None:
    """Draw a sun, for harvested energy."""
    axes.add_patch(Circle((x, y), 0.075, color=COLORS["energy"]))
    for angle in np.arange(8) * np.pi / 4:
        reach = np.array([0.105, 0.155])
        axes.plot(x + reach * np.cos(angle), y + reach * np.sin(angle), color=COLORS["energy"], linewidth=1.3)
