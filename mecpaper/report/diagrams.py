"""The paper's Figures 1-3 as diagrams of our own: sizes in, figure out; no torch, no reading of files.

A sheet is measured in inches from its lower left corner, so a text of 7 points is as large in print as it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path

from mecpaper.report.figures import PALETTE, new_figure

WIDTH = 7.2
"""Width of a sheet in inches, two columns of a journal's page."""

TITLE, BODY, SMALL = 8.0, 7.5, 6.8
LINE = 0.158
"""Sizes of text in points, and the height of a line in inches."""

COLORS = {
    "plain": to_rgb("0.35"),
    "target": to_rgb("0.45"),
    "reward": PALETTE["cpo_maddpg"],
    "energy": PALETTE["lmaddpg"],
    "edge": PALETTE["maddpg"],
    "limit": PALETTE["matd3"],
    "local": PALETTE["mappo"],
}
DASHES = {"limit": (0, (4, 2)), "target": (0, (1, 1.5))}
"""What a thing is -> its colour, and a line style for what limits and what follows, so that colour is never alone."""


@dataclass(frozen=True)
class Box:
    """A rectangle on the sheet, and the points where arrows meet it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def top(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


def sheet(height: float) -> tuple[Figure, Axes]:
    """An empty sheet `WIDTH` wide: a figure whose axes fill it and count inches."""
    figure, (axes,) = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes.set_position((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, WIDTH), ylim=(0.0, height))
    axes.set_axis_off()
    return figure, axes


def tint(role: str) -> tuple[float, float, float]:
    """The colour of a role, mixed with white."""
    share = 0.06 if role in ("plain", "target") else 0.13
    red, green, blue = (1.0 - share * (1.0 - part) for part in COLORS[role])
    return red, green, blue


def write(axes: Axes, x: float, y: float, text: str, size: float = BODY, **more: Any) -> None:
    """One line of text, by default centred on a point."""
    axes.text(x, y, text, fontsize=size, **({"ha": "center", "va": "center", "color": "0.1"} | more))


def write_lines(axes: Axes, x: float, y: float, title: str, lines: Sequence[str] = (), **more: Any) -> None:
    """A title in bold and the lines under it, as a block with its middle at height y."""
    texts = [title] * bool(title) + list(lines)
    for number, text in enumerate(texts):
        bold: dict[str, Any] = {"size": TITLE, "weight": "bold"} if title and number == 0 else {}
        write(axes, x, y + LINE * ((len(texts) - 1) / 2 - number), text, **(bold | more))


def panel(axes: Axes, area: Box, role: str = "plain", fill: bool = True, **more: Any) -> Box:
    """A rounded rectangle in the colour and line of its role; without fill only its outline."""
    patch = FancyBboxPatch((area.x, area.y), area.width, area.height, boxstyle="round,pad=0,rounding_size=0.06")
    patch.set(facecolor=tint(role) if fill else "none", edgecolor=COLORS[role], linewidth=1.0)
    patch.set(linestyle=DASHES.get(role, "-"), **more)
    axes.add_patch(patch)
    return area


def box(axes: Axes, area: Box, title: str, lines: Sequence[str] = (), role: str = "plain") -> Box:
    """A panel with a block of text in its middle."""
    write_lines(axes, *area.middle, title, lines)
    return panel(axes, area, role)


def stack(axes: Axes, front: Box, pitch: float) -> Box:
    """A panel with two more behind it, each a pitch up and to the right; gives the rectangle around all three."""
    for step in (2, 1, 0):
        area = Box(front.x + pitch * step, front.y + pitch * step, front.width, front.height)
        panel(axes, area, zorder=1.0 - 0.1 * step)
    return Box(front.x, front.y, front.width + 2 * pitch, front.height + 2 * pitch)


def arrow(axes: Axes, points: Sequence[tuple[float, float]], role: str = "plain") -> None:
    """An arrow along straight pieces from the first point to the last; its head is whole even on a dashed line."""
    last, tip = np.array(points[-2]), np.array(points[-1])
    neck = tip - 0.06 * (tip - last) / np.hypot(*(tip - last))
    line = FancyArrowPatch(path=Path([*points[:-1], neck]), arrowstyle="-", linestyle=DASHES.get(role, "-"))
    head = FancyArrowPatch(path=Path([neck, tip]), arrowstyle="-|>,head_length=0.4,head_width=0.2", mutation_scale=9)
    for patch in (line, head):
        patch.set(color=COLORS[role], linewidth=1.1, joinstyle="miter", capstyle="butt")
        axes.add_patch(patch)


# -- pictures: what is drawn at a point, about a third of an inch in size -----------------------------------


def _camera(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Rectangle((x - 0.17, y - 0.10), 0.24, 0.20, color=COLORS["plain"]))
    axes.add_patch(Polygon([(x + 0.08, y), (x + 0.17, y + 0.09), (x + 0.17, y - 0.09)], color=COLORS["plain"]))
    axes.add_patch(Circle((x - 0.05, y), 0.055, color="white"))


def _processor(axes: Axes, x: float, y: float) -> None:
    for place in (-0.07, 0.0, 0.07):
        for low, high in (((place, -0.16), (place, 0.16)), ((-0.16, place), (0.16, place))):
            axes.plot([x + low[0], x + high[0]], [y + low[1], y + high[1]], color=COLORS["local"], linewidth=1.2)
    axes.add_patch(Rectangle((x - 0.115, y - 0.115), 0.23, 0.23, color=COLORS["local"]))
    axes.add_patch(Rectangle((x - 0.055, y - 0.055), 0.11, 0.11, color="white"))


def _battery(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Rectangle((x - 0.17, y - 0.09), 0.30, 0.18, facecolor="white", edgecolor="0.2", linewidth=1.1))
    axes.add_patch(Rectangle((x + 0.135, y - 0.04), 0.03, 0.08, color="0.2"))
    axes.add_patch(Rectangle((x - 0.148, y - 0.068), 0.16, 0.136, color=COLORS["energy"]))


def _waves(axes: Axes, x: float, y: float, role: str) -> None:
    for size in (0.14, 0.24):
        for middle in (0.0, 180.0):
            axes.add_patch(
                Arc((x, y), size, size, theta1=middle - 50, theta2=middle + 50, color=COLORS[role], linewidth=1.2)
            )


def _radio(axes: Axes, x: float, y: float) -> None:
    axes.plot([x, x], [y - 0.15, y + 0.06], color=COLORS["edge"], linewidth=1.6)
    axes.add_patch(Circle((x, y + 0.06), 0.03, color=COLORS["edge"]))
    _waves(axes, x, y + 0.06, "edge")


def _tower(axes: Axes, x: float, y: float) -> None:
    for side in (-1, 1):
        axes.plot([x + 0.15 * side, x], [y - 0.30, y + 0.14], color="0.2", linewidth=1.4)
    for low, high, reach in ((-0.30, -0.12, 0.15), (-0.12, 0.02, 0.09)):
        axes.plot([x - reach, x + 0.6 * reach], [y + low, y + high], color="0.2", linewidth=0.8)
        axes.plot([x + reach, x - 0.6 * reach], [y + low, y + high], color="0.2", linewidth=0.8)
    axes.add_patch(Circle((x, y + 0.16), 0.03, color="0.2"))
    _waves(axes, x, y + 0.16, "edge")


def _server(axes: Axes, x: float, y: float) -> None:
    for level in (-0.16, 0.0, 0.16):
        axes.add_patch(Rectangle((x - 0.20, y + level - 0.065), 0.40, 0.13, color=COLORS["edge"]))
        axes.plot([x - 0.14, x + 0.02], [y + level] * 2, color="white", linewidth=1.2)
        axes.add_patch(Circle((x + 0.13, y + level), 0.022, color="white"))


def _headphones(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Arc((x, y - 0.03), 0.30, 0.36, theta1=0, theta2=180, color=COLORS["limit"], linewidth=2.0))
    for side in (-1, 1):
        axes.add_patch(Rectangle((x + 0.15 * side - 0.045, y - 0.15), 0.09, 0.16, color=COLORS["limit"]))


def _sun(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Circle((x, y), 0.075, color=COLORS["energy"]))
    for angle in np.arange(8) * np.pi / 4:
        reach = np.array([0.105, 0.155])
        axes.plot(x + reach * np.cos(angle), y + reach * np.sin(angle), color=COLORS["energy"], linewidth=1.3)


# -- Figure 1 ------------------------------------------------------------------------------------------------


def scenario(devices: int, chunks: int) -> Figure:
    """Who is there and what passes between them: devices, uplink, base station with server, eavesdropper.

    Args:
        devices: N.
        chunks: K; there is one channel per chunk, and up to four are drawn one by one.
    Source: §3.1-3.5, Fig. 1.  Deviation: none.
    """
    figure, axes = sheet(4.1)
    panel(axes, Box(0.08, 0.08, WIDTH - 0.16, 3.94), "target", fill=False)
    write(axes, WIDTH - 0.2, 0.2, "coverage of one base station", SMALL, ha="right", color="0.35")
    front = _device(axes, devices)

    station = panel(axes, Box(5.45, 2.05, 1.55, 1.5), "edge")
    _tower(axes, 5.85, 3.1)
    _server(axes, 6.57, 3.08)
    arrow(axes, [(6.02, 3.08), (6.36, 3.08)], "edge")
    lines: tuple[str, ...] = ("$MEC_c$ cycles/s for a chunk,", r"$\xi$ cycles for each bit")
    write_lines(axes, station.middle[0], 2.4, "base station, server", lines)
    _channels(axes, front, station, chunks)
    arrow(axes, [(6.2, station.top), (6.2, 3.8), (2.0, 3.8), (2.0, front.top + 0.16)])
    write(axes, 4.1, 3.89, "results", SMALL)

    thief = panel(axes, Box(3.4, 0.42, 1.8, 0.95), "limit")
    _headphones(axes, 3.68, 0.9)
    lines = ("hears every upload", "at the rate $D^e_{nk}$")
    write_lines(axes, 3.96, thief.middle[1], "eavesdropper", lines, ha="left")
    lines = (r"$D^s_{nk} = D_{nk} -$ worst $D^e_{nk}$", "an upload must have", "$D^s_{nk} > 0$  (Eq. 13)")
    secrecy = box(axes, Box(5.45, 0.42, 1.55, 0.95), "secrecy rate", lines)
    arrow(axes, [(thief.right, secrecy.middle[1]), (secrecy.x, secrecy.middle[1])], "limit")
    arrow(axes, [(6.2, station.y), (6.2, secrecy.top)], "edge")
    write(axes, 6.28, 1.71, "upload rate $D_{nk}$", SMALL, ha="left")
    return figure


def _device(axes: Axes, devices: int) -> Box:
    """The device in front, with what it is made of, and others behind it."""
    front = Box(0.98, 0.42, 2.06, 2.98)
    stack(axes, front, 0.08)
    write(
        axes,
        front.middle[0],
        3.25,
        rf"device $\mathbfit{{n}}$, one of $\mathbfit{{N}} \mathbf{{= {devices}}}$",
        TITLE,
        weight="bold",
    )
    middle, text = 1.28, 1.62
    parts: tuple[tuple[float, Callable[[Axes, float, float], None], str, tuple[str, str]], ...] = (
        (2.80, _radio, "radio", ("sends with power $p_{nk}$", "time $L^M_{nk}$, energy $E^M_{nk}$")),
        (2.10, _camera, "camera", ("$f_{nk}$ frame/s of $r_{nk}^2$ pixel", "chunk of $S_{nk}$ bits")),
        (1.40, _processor, "processor", ("clock rate $c_{nk}$", "time $L^L_{nk}$, energy $E^L_{nk}$")),
        (0.70, _battery, "battery", ("level $E^r_n$, at most $B_{max}$", "penalty below $B_T$")),
    )
    for height, picture, title, lines in parts:
        picture(axes, middle, height)
        write_lines(axes, text, height, title, lines, ha="left")
    arrow(axes, [(middle, 2.24), (middle, 2.60)], "edge")
    arrow(axes, [(middle, 1.96), (middle, 1.60)], "local")
    arrow(axes, [(middle, 0.82), (middle, 1.20)], "energy")
    write(axes, middle + 0.06, 2.44, "$x = 1$", SMALL, ha="left")
    write(axes, middle + 0.06, 1.77, "$x = 0$", SMALL, ha="left")
    _sun(axes, 0.4, 0.70)
    arrow(axes, [(0.6, 0.70), (1.09, 0.70)], "energy")
    write(axes, 0.78, 0.84, "$E^{up}_n$", BODY)
    write(axes, 0.52, 0.44, "harvest", SMALL)
    return front


def _channels(axes: Axes, front: Box, station: Box, chunks: int) -> None:
    """One channel for each chunk, used by all devices, and the eavesdropper's ear in each."""
    names = [str(k) for k in range(1, chunks + 1)] if chunks <= 4 else ["1", "2", r"\dots", "K"]
    pitch, height = 0.9 / len(names), min(0.24, 0.75 / len(names))
    for row, name in enumerate(names):
        middle = 3.2 - pitch * (row + 0.5)
        if name == r"\dots":
            write(axes, 4.3, middle, r"$\vdots$", BODY)
            continue
        panel(axes, Box(3.68, middle - height / 2, 1.34, height), "edge")
        write(axes, 4.35, middle, f"$k = {name}$:  $g_{{n{name}}}$,  $D_{{n{name}}}$")
        arrow(axes, [(front.right, middle + 0.04), (3.68, middle + 0.04)], "edge")
        arrow(axes, [(front.right + 0.16, middle - 0.05), (3.68, middle - 0.05)], "plain")
        arrow(axes, [(5.02, middle), (station.x, middle)], "edge")
    write(axes, 4.35, 3.56, f"$K = {chunks}$ channels of width $W$,", BODY)
    write(axes, 4.35, 3.40, "one per chunk, shared by all devices", SMALL)
    write(axes, 3.34, 2.07, "grey: other devices,", SMALL, ha="left")
    write(axes, 3.34, 1.94, "interference", SMALL, ha="left")
    panel(axes, Box(3.58, 2.23, 1.54, 1.04), "limit", fill=False)
    arrow(axes, [(4.5, 2.23), (4.5, 1.37)], "limit")
    write(axes, 4.42, 1.71, r"$g^e_{nk}$, within $\rho$", SMALL, ha="right")


# -- Figure 2 ------------------------------------------------------------------------------------------------


def decision(hidden: Sequence[int], chunks: int) -> Figure:
    """What becomes of one decision of one device in one slot, from its state to its battery.

    Args:
        hidden: widths of the actor's hidden layers.
        chunks: K.
    Source: §3.2-3.6, §4.1, Fig. 2.  Deviation: D2, D21, D32.
    """
    figure, axes = sheet(5.1)
    left, width = (0.40, 2.12, 3.84, 5.56), 1.42
    rows = ((4.02, 0.94), (2.62, 0.86), (1.56, 0.62), (0.52, 0.62))

    def cell(column: int, row: int, span: int = 1) -> Box:
        low, height = rows[row]
        return Box(left[column], low, left[column + span - 1] + width - left[column], height)

    lines: tuple[str, ...] = (
        "gain $g_{nk}$, bandwidth,",
        "battery $E^r_n$,",
        "harvest $E^{up}_n$,",
        "bounds of $p$ and $c$",
    )
    state = box(axes, cell(0, 0), "state, Eq. 32", lines)
    lines = ("layers of", "-".join(map(str, hidden)) + ",", rf"tanh, $5K = {5 * chunks}$ outputs")
    actor = box(axes, cell(1, 0), r"actor $\mathbfit{\pi_\theta}$", lines)
    lines = ("$x_{nk}$ offload or not", "$f_{nk}$, $r_{nk}$ sampling", "$p_{nk}$ power", "$c_{nk}$ clock rate")
    action = box(axes, cell(2, 0), "action, Eq. 34", lines)
    lines = (
        "if $x_{nk} = 1$ is asked:",
        "upload rate $D_{nk}$ (5)",
        "less worst $D^e_{nk}$ (9)",
        "$D^s_{nk} > 0$ (12)?",
    )
    mask = box(axes, cell(3, 0), "secrecy, Eq. 13", lines, "limit")

    battery = box(axes, cell(0, 1), "battery", ("$E^r_n(t)$ as the", "slot begins"), "energy")
    chunk = box(axes, cell(1, 1), "chunk, Eq. 2", (r"$S_{nk} = \alpha\, f_{nk}\, r_{nk}^2$  bits",))
    lines = (r"$L^L_{nk} = S_{nk}\, \xi / c_{nk}$", r"$E^L_{nk} = \varsigma\, c_{nk}^2 S_{nk}\, \xi$")
    local = box(axes, cell(2, 1), "local, Eq. 3, 6", lines, "local")
    lines = ("$L^M_{nk} = S_{nk} / D_{nk}$", r"$+\, S_{nk}\, \xi / MEC_c$", "$E^M_{nk} = p_{nk} S_{nk} / D_{nk}$")
    edge = box(axes, cell(3, 1), "offload, Eq. 4, 7", lines, "edge")
    paths = panel(axes, Box(local.x - 0.1, local.y - 0.1, edge.right - local.x + 0.2, local.height + 0.2), fill=False)

    lines = ("$P_{nk} = B_T - E^r_n(t)$", "below $B_T$, else 0")
    penalty = box(axes, cell(0, 2), "penalty, Eq. 23", lines, "energy")
    lines = (r"$V_{nk} = \mu_1 A_{nk} + \mu_2 F_{nk}$", "accuracy, smoothness")
    quality = box(axes, cell(1, 2), "quality, Eq. 14", lines)
    lines = ("$L_{nk} = L^L_{nk} + L^M_{nk}$,   $E_{nk} = E^L_{nk} + E^M_{nk}$", "the path not taken is zero")
    both = box(axes, cell(2, 2, 2), "latency and energy, Eq. 21, 22", lines)
    reward = box(axes, cell(0, 3, 2), "reward, Eq. 24", (r"$R_n = \Sigma_k\, (V_{nk} - C_{nk} - P_{nk})$",), "reward")
    effort = box(axes, cell(2, 3), "computing, Eq. 20", (r"$C_{nk} = \beta_1 L_{nk} + \beta_2 E_{nk}$",))
    cost = box(
        axes, cell(3, 3), "cost, Eq. 39", (r"$c_n = \Sigma_k\, E_{nk}$, on", "average at most $C_{limit}$"), "limit"
    )

    for before, after in ((state, actor), (actor, action), (action, mask), (chunk, paths)):
        height = chunk.middle[1] if before is chunk else before.middle[1]
        arrow(axes, [(before.right, height), (after.x, height)])
    for before, after, place in (
        (chunk, quality, chunk),
        (local, both, local),
        (edge, both, edge),
        (penalty, reward, penalty),
        (quality, reward, quality),
        (both, effort, effort),
        (both, cost, cost),
    ):
        arrow(axes, [(place.middle[0], before.y), (place.middle[0], after.top)])
    arrow(axes, [(effort.x, effort.middle[1]), (reward.right, effort.middle[1])])
    arrow(axes, [(battery.middle[0], battery.top), (battery.middle[0], state.y)], "energy")
    arrow(axes, [(battery.middle[0], battery.y), (battery.middle[0], penalty.top)], "energy")

    bend, start, end = 3.82, action.x + 0.25, local.x + 1.1
    arrow(axes, [(start, action.y), (start, bend), (chunk.middle[0], bend), (chunk.middle[0], chunk.top)])
    write(axes, chunk.middle[0] + 0.06, 3.68, "$f$, $r$", ha="left")
    arrow(axes, [(action.x + 0.6, action.y), (action.x + 0.6, paths.top)])
    write(axes, action.x + 0.54, 3.68, "$p$, $c$", ha="right")
    arrow(axes, [(mask.x + 0.3, mask.y), (mask.x + 0.3, bend), (end, bend), (end, local.top)], "local")
    write(axes, end + 0.06, 3.68, "else $x = 0$", ha="left")
    arrow(axes, [(edge.middle[0], mask.y), (edge.middle[0], edge.top)], "edge")
    write(axes, edge.middle[0] + 0.06, 3.68, "yes: $x = 1$", ha="left")
    low, side = 0.3, 0.18
    back = [(cost.middle[0], cost.y), (cost.middle[0], low), (side, low), (side, battery.middle[1])]
    arrow(axes, [*back, (battery.x, battery.middle[1])], "energy")
    text = r"next slot, Eq. 8:  $E^r_n(t+1) = E^r_n(t) - \Sigma_k\, E_{nk} + E^{up}_n$,  kept within 0 and $B_{max}$"
    write(axes, WIDTH / 2, 0.15, text)
    return figure


# -- Figure 3 ------------------------------------------------------------------------------------------------


def _layers(axes: Axes, places: Sequence[float], middle: float, sizes: Sequence[int], scale: float, role: str) -> None:
    """Layers of a network as bars, joined, with their widths above them.

    Args:
        axes: where to draw.
        places: x of each bar.
        middle: height of their common middle.
        sizes: units of each layer.
        scale: height of a bar over the root of its units.
        role: gives the colour.
    """
    halves = [0.5 * scale * size**0.5 for size in sizes]
    for number, (place, half, size) in enumerate(zip(places, halves, sizes, strict=True)):
        if number:
            before, reach = places[number - 1], halves[number - 1]
            corners = [
                (before, middle - reach),
                (before, middle + reach),
                (place, middle + half),
                (place, middle - half),
            ]
            axes.add_patch(Polygon(corners, facecolor=COLORS[role], alpha=0.18, linewidth=0))
        axes.add_patch(Rectangle((place - 0.045, middle - half), 0.09, 2 * half, color=COLORS[role]))
        write(axes, place, middle + half + 0.09, str(size), SMALL)


def architecture(hidden: Sequence[int], head_hidden: int, devices: int, chunks: int) -> Figure:
    """What CPO-MADDPG is made of and what its parts tell each other in one update.

    Args:
        hidden: widths of the hidden layers of the actors and of the critic's backbone.
        head_hidden: units of each head's hidden layer, or 0 for none.
        devices: N.
        chunks: K.
    Source: §4.2, Algorithm 1, Fig. 3.  Deviation: D19, D23.
    """
    figure, axes = sheet(4.95)
    actors = _actors(axes, hidden, devices, chunks)
    critic = _critic(axes, hidden, head_hidden)
    lines: tuple[str, ...] = (
        r"$g_r = \nabla_\theta J_r$  (46)",
        r"$g_c = \nabla_\theta J_c$  (47)",
        r"$\tilde g_c = g_c\, \Vert g_r \Vert\, /\, (\Vert g_c \Vert + \epsilon)$  (48)",
        r"descent  $-g_r + \lambda\, \tilde g_c$  (45)",
    )
    step = box(axes, Box(2.4, 3.2, 1.8, 1.5), "dual channel", lines)
    lines = (r"$\lambda \leftarrow \lambda + \eta\, (J_c - C_{limit})$,", r"kept in $[0, \lambda_{max}]$")
    multiplier = box(axes, Box(2.4, 1.9, 1.8, 0.75), "multiplier, Eq. 41", lines, "limit")
    lines = (
        r"$p_i = (|\hat\sigma^r_i| + |\hat\sigma^c_i| + \varepsilon)^\alpha$",
        r"$P(i) = p_i\, /\, \Sigma_j\, p_j$",
        r"weights $\tilde w_i$ against bias",
    )
    replay = box(axes, Box(2.4, 0.22, 1.8, 1.1), "replay, Eq. 52-55", lines)
    lines = ("all devices, uplink,", "server, eavesdropper;", f"$N = {devices}$,  $K = {chunks}$")
    game = box(axes, Box(0.2, 0.22, 1.5, 1.1), "game, Eq. 32-36", lines)
    lines = (
        r"$y_r = r + \gamma_r\, Q_r′(s′, \pi′(s′))$  (49)",
        r"$y_c = c + \gamma_c\, Q_c′(s′, \pi′(s′))$  (50)",
        r"$\sigma^r = y_r - Q_r$,   $\sigma^c = y_c - Q_c$",
        r"loss  $\tilde w_i\, [(\sigma^r_i)^2 + (\sigma^c_i)^2]$  (56)",
    )
    errors = box(axes, Box(4.9, 0.22, 2.1, 1.1), "errors and loss", lines)
    lines = (r"$\pi′$, $Q_r′$, $Q_c′$", r"follow $\pi$, $Q$ by $\tau$")
    targets = box(axes, Box(5.8, 1.62, 1.2, 0.68), "targets", lines, "target")

    for before, after, height, role, label in (
        (game, replay, 0.77, "plain", r"$s, a, r, c, s′$"),
        (replay, errors, 0.95, "plain", r"batch, $\tilde w_i$"),
        (errors, replay, 0.52, "plain", r"$\sigma^r_i$, $\sigma^c_i$"),
        (critic, step, 4.2, "reward", r"$\nabla_a Q_r$"),
        (critic, step, 3.6, "limit", r"$\nabla_a Q_c$"),
        (step, actors, 3.95, "plain", "step"),
    ):
        ends = (before.right, after.x) if before.x < after.x else (before.x, after.right)
        arrow(axes, [(ends[0], height), (ends[1], height)], role)
        write(axes, sum(ends) / 2, height + 0.12, label)
    arrow(axes, [(0.5, game.top), (0.5, actors.y)])
    write(axes, 0.56, 2.75, "$s_t$", ha="left")
    arrow(axes, [(0.95, actors.y), (0.95, game.top)])
    write(axes, 1.01, 2.75, "$a_t$ + noise", ha="left")
    height = multiplier.middle[1]
    arrow(axes, [(1.45, game.top), (1.45, height), (multiplier.x, height)], "limit")
    write(axes, 1.92, height + 0.13, "$J_c - C_{limit}$")
    arrow(axes, [(step.middle[0], multiplier.top), (step.middle[0], step.y)], "limit")
    write(axes, step.middle[0] + 0.07, 2.93, r"$\lambda$", ha="left")
    arrow(axes, [(5.12, critic.y), (5.12, errors.top)])
    write(axes, 5.06, 1.95, "$Q_r$, $Q_c$", ha="right")
    arrow(axes, [(5.45, errors.top), (5.45, critic.y)])
    write(axes, 5.62, 1.47, "step", ha="center")
    arrow(axes, [(targets.middle[0], critic.y), (targets.middle[0], targets.top)], "target")
    arrow(axes, [(targets.middle[0], targets.y), (targets.middle[0], errors.top)], "target")
    return figure


def _actors(axes: Axes, hidden: Sequence[int], devices: int, chunks: int) -> Box:
    """One actor in front of the others, with its layers."""
    front = Box(0.2, 3.2, 1.5, 1.5)
    around = stack(axes, front, 0.06)
    write(axes, front.middle[0], 4.55, rf"actors, $\mathbfit{{N}} \mathbf{{= {devices}}}$", TITLE, weight="bold")
    places = list(np.linspace(0.58, 1.18, len(hidden)))
    _layers(axes, places, 3.87, hidden, 0.86 / max(hidden) ** 0.5, "plain")
    write(axes, 0.37, 3.87, "$s_n$")
    write(axes, 1.45, 3.87, "tanh", SMALL)
    write(axes, front.middle[0], 3.31, f"$5K = {5 * chunks}$ outputs each", SMALL)
    return around


def _critic(axes: Axes, hidden: Sequence[int], head_hidden: int) -> Box:
    """The critic's backbone and its two heads, for the reward and for the cost."""
    area = panel(axes, Box(4.9, 2.6, 2.1, 2.1))
    write(axes, area.middle[0], 4.55, "critic with two heads", TITLE, weight="bold")
    middle, scale = 3.5, 1.2 / max(*hidden, head_hidden) ** 0.5
    places = list(np.linspace(5.3, 5.95, len(hidden)))
    write_lines(axes, 5.07, middle, "", ("all", "$s, a$"))
    write(axes, 5.63, 2.72, "backbone", SMALL)
    write(axes, 6.4, 2.72, "heads", SMALL)
    for side, role, name in ((1, "reward", "$Q_r$"), (-1, "limit", "$Q_c$")):
        height = middle + 0.42 * side
        half = 0.5 * scale * hidden[-1] ** 0.5
        arrow(axes, [(places[-1], middle + 0.5 * half * side), (6.2, height), (6.62, height)], role)
        if head_hidden:
            axes.add_patch(Rectangle((6.355, height - 0.2), 0.09, 0.4, color=COLORS[role]))
            write(axes, 6.4, height + 0.29, str(head_hidden), SMALL)
        write(axes, 6.8, height, name)
    _layers(axes, places, middle, hidden, scale, "plain")
    return area
