"""Redraw Figures 1-3 as diagrams, from the sizes of the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mecpaper.report import diagram_parts as parts
from mecpaper.report.diagram_parts import BODY, COLORS, SMALL, TITLE, WIDTH, Box, arrow, box, panel, write, write_lines

# -- Figure 1 ------------------------------------------------------------------------------------------------


def scenario(devices: int, chunks: int) -> Figure:
    """Draw devices, uplink, base station with server, eavesdropper, and the data flow between them.

    Args:
        devices: N.
        chunks: K; there is one channel per chunk, and up to four are drawn one by one.
    Source: §3.1-3.5, Fig. 1.  Deviation: none.
    """
    figure, axes = parts.sheet(4.1)
    panel(axes, Box(0.08, 0.08, WIDTH - 0.16, 3.94), "target", fill=False)
    write(axes, WIDTH - 0.2, 0.2, "coverage of one base station", SMALL, ha="right", color="0.35")
    front = _device(axes, devices)

    station = panel(axes, Box(5.45, 2.05, 1.55, 1.5), "edge")
    parts.tower(axes, 5.85, 3.1)
    parts.server(axes, 6.57, 3.08)
    arrow(axes, (6.02, 3.08), (6.36, 3.08), role="edge")
    lines = ("$MEC_c$ cycles/s for a chunk,", r"$\xi$ cycles for each bit")
    write_lines(axes, station.middle[0], 2.4, "base station, server", lines)
    _channels(axes, front, station, chunks)
    arrow(axes, (6.2, station.top), (6.2, 3.8), (2.0, 3.8), (2.0, front.top + 0.16))
    write(axes, 4.1, 3.89, "results", SMALL)

    thief = panel(axes, Box(3.4, 0.42, 1.8, 0.95), "limit")
    parts.headphones(axes, 3.68, 0.9)
    lines = ("hears every upload", "at the rate $D^e_{nk}$")
    write_lines(axes, 3.96, thief.middle[1], "eavesdropper", lines, ha="left")
    rule = (r"$D^s_{nk} = D_{nk} -$ worst $D^e_{nk}$", "an upload must have", "$D^s_{nk} > 0$  (Eq. 13)")
    secrecy = box(axes, Box(5.45, 0.42, 1.55, 0.95), "secrecy rate", *rule)
    arrow(axes, (thief.right, secrecy.middle[1]), (secrecy.x, secrecy.middle[1]), role="limit")
    arrow(axes, (6.2, station.y), (6.2, secrecy.top), role="edge")
    write(axes, 6.28, 1.71, "upload rate $D_{nk}$", SMALL, ha="left")
    return figure


def _device(axes: Axes, devices: int) -> Box:
    """Draw the device in front with its components, and others behind it."""
    front = Box(0.98, 0.42, 2.06, 2.98)
    parts.stack(axes, front, 0.08)
    title = rf"device $\mathbfit{{n}}$, one of $\mathbfit{{N}} \mathbf{{= {devices}}}$"
    write(axes, front.middle[0], 3.25, title, TITLE, weight="bold")
    middle, text = 1.28, 1.62
    for height, picture, name, lines in (
        (2.80, parts.radio, "radio", ("sends with power $p_{nk}$", "time $L^M_{nk}$, energy $E^M_{nk}$")),
        (2.10, parts.camera, "camera", ("$f_{nk}$ frame/s of $r_{nk}^2$ pixel", "chunk of $S_{nk}$ bits")),
        (1.40, parts.processor, "processor", ("clock rate $c_{nk}$", "time $L^L_{nk}$, energy $E^L_{nk}$")),
        (0.70, parts.battery, "battery", ("level $E^r_n$, at most $B_{max}$", "penalty below $B_T$")),
    ):
        picture(axes, middle, height)
        write_lines(axes, text, height, name, lines, ha="left")
    arrow(axes, (middle, 2.24), (middle, 2.60), role="edge")
    arrow(axes, (middle, 1.96), (middle, 1.60), role="local")
    arrow(axes, (middle, 0.82), (middle, 1.20), role="energy")
    arrow(axes, (middle, 0.96), (1.06, 0.96), (1.06, 2.80), (1.15, 2.80), role="energy")
    write(axes, middle + 0.06, 2.44, "$x = 1$", SMALL, ha="left")
    write(axes, middle + 0.06, 1.77, "$x = 0$", SMALL, ha="left")
    parts.sun(axes, 0.4, 0.70)
    arrow(axes, (0.6, 0.70), (1.09, 0.70), role="energy")
    write(axes, 0.78, 0.84, "$E^{up}_n$", BODY)
    write(axes, 0.52, 0.44, "harvest", SMALL)
    return front


def _channels(axes: Axes, front: Box, station: Box, chunks: int) -> None:
    """Draw one channel for each chunk, used by all devices, and the eavesdropper on each."""
    names = [str(k) for k in range(1, chunks + 1)] if chunks <= 4 else ["1", "2", r"\dots", "K"]
    pitch, height = 0.9 / len(names), min(0.24, 0.75 / len(names))
    for row, name in enumerate(names):
        middle = 3.2 - pitch * (row + 0.5)
        if name == r"\dots":
            write(axes, 4.3, middle, r"$\vdots$", BODY)
            continue
        panel(axes, Box(3.68, middle - height / 2, 1.34, height), "edge")
        write(axes, 4.35, middle, f"$k = {name}$:  $g_{{n{name}}}$,  $D_{{n{name}}}$")
        arrow(axes, (front.right, middle + 0.04), (3.68, middle + 0.04), role="edge")
        arrow(axes, (front.right + 0.16, middle - 0.05), (3.68, middle - 0.05))
        arrow(axes, (5.02, middle), (station.x, middle), role="edge")
    write(axes, 4.35, 3.56, f"$K = {chunks}$ channels of width $W$,", BODY)
    write(axes, 4.35, 3.40, "one per chunk, shared by all devices", SMALL)
    write(axes, 3.34, 2.07, "grey: other devices,", SMALL, ha="left")
    write(axes, 3.34, 1.94, "interference", SMALL, ha="left")
    panel(axes, Box(3.58, 2.23, 1.54, 1.04), "limit", fill=False)
    arrow(axes, (4.5, 2.23), (4.5, 1.37), role="limit")
    write(axes, 4.42, 1.71, r"$g^e_{nk}$, within $\rho$", SMALL, ha="right")


# -- Figure 2 ------------------------------------------------------------------------------------------------


def decision(hidden: Sequence[int], chunks: int) -> Figure:
    """Draw how one decision of one device is processed in a slot, from its state to its battery.

    Args:
        hidden: widths of the actor's hidden layers.
        chunks: K.
    Source: §3.2-3.6, §4.1, Fig. 2.  Deviation: D2, D21, D32.
    """
    figure, axes = parts.sheet(5.1)
    left, width = (0.40, 2.12, 3.84, 5.56), 1.42
    rows = ((4.02, 0.94), (2.62, 0.86), (1.56, 0.62), (0.52, 0.62))

    def place(row: int, column: int, title: str, *lines: str, span: int = 1, role: str = "plain") -> Box:
        low, height = rows[row]
        area = Box(left[column], low, left[column + span - 1] + width - left[column], height)
        return box(axes, area, title, *lines, role=role)

    inputs = ("gain $g_{nk}$, bandwidth,", "battery $E^r_n$,", "harvest $E^{up}_n$,", "bounds of $p$ and $c$")
    state = place(0, 0, "state, Eq. 32", *inputs)
    sizes = ("layers of", "-".join(map(str, hidden)) + ",", rf"tanh, $5K = {5 * chunks}$ outputs")
    actor = place(0, 1, r"actor $\mathbfit{\pi_\theta}$", *sizes)
    outputs = ("$x_{nk}$ offload or not", "$f_{nk}$, $r_{nk}$ sampling", "$p_{nk}$ power", "$c_{nk}$ clock rate")
    action = place(0, 2, "action, Eq. 34", *outputs)
    test = (
        "if $x_{nk} = 1$ is asked:",
        "upload rate $D_{nk}$ (5)",
        "less worst $D^e_{nk}$ (9)",
        "$D^s_{nk} > 0$ (12)?",
    )
    mask = place(0, 3, "secrecy, Eq. 13", *test, role="limit")

    battery = place(1, 0, "battery", "$E^r_n(t)$ as the", "slot begins", role="energy")
    chunk = place(1, 1, "chunk, Eq. 2", r"$S_{nk} = \alpha\, f_{nk}\, r_{nk}^2$  bits")
    time, joule = r"$L^L_{nk} = S_{nk}\, \xi / c_{nk}$", r"$E^L_{nk} = \varsigma\, c_{nk}^2 S_{nk}\, \xi$"
    local = place(1, 2, "local, Eq. 3, 6", time, joule, role="local")
    sent = ("$L^M_{nk} = S_{nk} / D_{nk}$", r"$+\, S_{nk}\, \xi / MEC_c$", "$E^M_{nk} = p_{nk} S_{nk} / D_{nk}$")
    edge = place(1, 3, "offload, Eq. 4, 7", *sent, role="edge")
    paths = panel(axes, Box(local.x - 0.1, local.y - 0.1, edge.right - local.x + 0.2, local.height + 0.2), fill=False)

    penalty = place(2, 0, "penalty, Eq. 23", "$P_{nk} = B_T - E^r_n(t)$", "below $B_T$, else 0", role="energy")
    value = r"$V_{nk} = \mu_1 A_{nk} + \mu_2 F_{nk}$"
    quality = place(2, 1, "quality, Eq. 14", value, "accuracy, smoothness")
    sums = "$L_{nk} = L^L_{nk} + L^M_{nk}$,   $E_{nk} = E^L_{nk} + E^M_{nk}$"
    both = place(2, 2, "latency and energy, Eq. 21, 22", sums, "the path not taken is zero", span=2)
    total = r"$R_n = \Sigma_k\, (V_{nk} - C_{nk} - P_{nk})$"
    reward = place(3, 0, "reward, Eq. 24", total, span=2, role="reward")
    effort = place(3, 2, "computing, Eq. 20", r"$C_{nk} = \beta_1 L_{nk} + \beta_2 E_{nk}$")
    bound = (r"$c_n = \Sigma_k\, E_{nk}$, on", "average at most $C_{limit}$")
    cost = place(3, 3, "cost, Eq. 39", *bound, role="limit")

    for before, after in ((state, actor), (actor, action), (action, mask), (chunk, paths)):
        height = chunk.middle[1] if before is chunk else before.middle[1]
        arrow(axes, (before.right, height), (after.x, height))
    for at, before, after in (
        (chunk, chunk, quality), (local, local, both), (edge, edge, both), (penalty, penalty, reward),
        (quality, quality, reward), (effort, both, effort), (cost, both, cost),
    ):  # fmt: skip
        arrow(axes, (at.middle[0], before.y), (at.middle[0], after.top))
    arrow(axes, (effort.x, effort.middle[1]), (reward.right, effort.middle[1]))
    arrow(axes, (battery.middle[0], battery.top), (battery.middle[0], state.y), role="energy")
    arrow(axes, (battery.middle[0], battery.y), (battery.middle[0], penalty.top), role="energy")

    bend, start, end = 3.82, action.x + 0.25, local.x + 1.1
    arrow(axes, (start, action.y), (start, bend), (chunk.middle[0], bend), (chunk.middle[0], chunk.top))
    write(axes, chunk.middle[0] + 0.06, 3.68, "$f$, $r$", ha="left")
    arrow(axes, (action.x + 0.6, action.y), (action.x + 0.6, paths.top))
    write(axes, action.x + 0.54, 3.68, "$p$, $c$", ha="right")
    arrow(axes, (mask.x + 0.3, mask.y), (mask.x + 0.3, bend), (end, bend), (end, local.top), role="local")
    write(axes, end + 0.06, 3.68, "else $x = 0$", ha="left")
    arrow(axes, (edge.middle[0], mask.y), (edge.middle[0], edge.top), role="edge")
    write(axes, edge.middle[0] + 0.06, 3.68, "yes: $x = 1$", ha="left")
    low, side, height = 0.3, 0.18, battery.middle[1]
    back = [(cost.middle[0], cost.y), (cost.middle[0], low), (side, low), (side, height), (battery.x, height)]
    arrow(axes, *back, role="energy")
    text = r"next slot, Eq. 8:  $E^r_n(t+1) = E^r_n(t) - \Sigma_k\, E_{nk} + E^{up}_n$,  kept within 0 and $B_{max}$"
    write(axes, WIDTH / 2, 0.15, text)
    return figure


# -- Figure 3 ------------------------------------------------------------------------------------------------


def architecture(hidden: Sequence[int], head_hidden: int, devices: int, chunks: int) -> Figure:
    """Draw the parts of CPO-MADDPG and the data flow between them in one update.

    Args:
        hidden: widths of the hidden layers of the actors and of the critic's backbone.
        head_hidden: units of each head's hidden layer, or 0 for none.
        devices: N.
        chunks: K.
    Source: §4.2, Algorithm 1, Fig. 3.  Deviation: D19, D23.
    """
    figure, axes = parts.sheet(4.95)
    actors = _actors(axes, hidden, devices, chunks)
    critic = _critic(axes, hidden, head_hidden)
    gradients = (
        r"$g_r = \nabla_\theta J_r$  (46)",
        r"$g_c = \nabla_\theta J_c$  (47)",
        r"$\tilde g_c = g_c\, \Vert g_r \Vert\, /\, (\Vert g_c \Vert + \epsilon)$  (48)",
        r"descent  $-g_r + \lambda\, \tilde g_c$  (45)",
    )
    step = box(axes, Box(2.4, 3.2, 1.8, 1.5), "dual channel", *gradients)
    rule = (r"$\lambda \leftarrow \lambda + \eta\, (J_c - C_{limit})$,", r"kept in $[0, \lambda_{max}]$")
    multiplier = box(axes, Box(2.4, 1.9, 1.8, 0.75), "multiplier, Eq. 41", *rule, role="limit")
    priorities = (
        r"$p_i = (|\hat\sigma^r_i| + |\hat\sigma^c_i| + \varepsilon)^\alpha$",
        r"$P(i) = p_i\, /\, \Sigma_j\, p_j$",
        r"weights $\tilde w_i$ against bias",
    )
    replay = box(axes, Box(2.4, 0.22, 1.8, 1.1), "replay, Eq. 52-55", *priorities)
    players = ("all devices, uplink,", "server, eavesdropper;", f"$N = {devices}$,  $K = {chunks}$")
    game = box(axes, Box(0.2, 0.22, 1.5, 1.1), "game, Eq. 32-36", *players)
    losses = (
        r"$y_r = r + \gamma_r\, Q_r′(s′, \pi′(s′))$  (49)",
        r"$y_c = c + \gamma_c\, Q_c′(s′, \pi′(s′))$  (50)",
        r"$\sigma^r = y_r - Q_r$,   $\sigma^c = y_c - Q_c$",
        r"loss  $\tilde w_i\, [(\sigma^r_i)^2 + (\sigma^c_i)^2]$  (56)",
    )
    errors = box(axes, Box(4.9, 0.22, 2.1, 1.1), "errors and loss", *losses)
    follow = (r"$\pi′$, $Q_r′$, $Q_c′$", r"follow $\pi$, $Q$ by $\tau$")
    targets = box(axes, Box(5.8, 1.62, 1.2, 0.68), "targets", *follow, role="target")

    for before, after, height, role, label in (
        (game, replay, 0.77, "plain", r"$s, a, r, c, s′$"),
        (replay, errors, 0.95, "plain", r"batch, $\tilde w_i$"),
        (errors, replay, 0.52, "plain", r"$\sigma^r_i$, $\sigma^c_i$"),
        (critic, step, 4.2, "reward", r"$\nabla_a Q_r$"),
        (critic, step, 3.6, "limit", r"$\nabla_a Q_c$"),
        (step, actors, 3.95, "plain", "step"),
    ):
        ends = (before.right, after.x) if before.x < after.x else (before.x, after.right)
        arrow(axes, (ends[0], height), (ends[1], height), role=role)
        write(axes, sum(ends) / 2, height + 0.12, label)
    arrow(axes, (0.5, game.top), (0.5, actors.y))
    write(axes, 0.56, 2.75, "$s_t$", ha="left")
    arrow(axes, (0.95, actors.y), (0.95, game.top))
    write(axes, 1.01, 2.75, "$a_t$ + noise", ha="left")
    height = multiplier.middle[1]
    arrow(axes, (1.45, game.top), (1.45, height), (multiplier.x, height), role="limit")
    write(axes, 1.92, height + 0.13, "$J_c - C_{limit}$")
    arrow(axes, (step.middle[0], multiplier.top), (step.middle[0], step.y), role="limit")
    write(axes, step.middle[0] + 0.07, 2.93, r"$\lambda$", ha="left")
    arrow(axes, (5.12, critic.y), (5.12, errors.top))
    write(axes, 5.06, 1.95, "$Q_r$, $Q_c$", ha="right")
    arrow(axes, (5.45, errors.top), (5.45, critic.y))
    write(axes, 5.62, 1.47, "step", ha="center")
    arrow(axes, (targets.middle[0], critic.y), (targets.middle[0], targets.top), role="target")
    arrow(axes, (targets.middle[0], targets.y), (targets.middle[0], errors.top), role="target")
    return figure


def _actors(axes: Axes, hidden: Sequence[int], devices: int, chunks: int) -> Box:
    """Draw one actor in front of the others, with its layers."""
    front = Box(0.2, 3.2, 1.5, 1.5)
    around = parts.stack(axes, front, 0.06)
    write(axes, front.middle[0], 4.55, rf"actors, $\mathbfit{{N}} \mathbf{{= {devices}}}$", TITLE, weight="bold")
    places = list(np.linspace(0.58, 1.18, len(hidden)))
    parts.layers(axes, places, 3.87, hidden, 0.86 / max(hidden) ** 0.5)
    write(axes, 0.37, 3.87, "$s_n$")
    write(axes, 1.45, 3.87, "tanh", SMALL)
    write(axes, front.middle[0], 3.31, f"$5K = {5 * chunks}$ outputs each", SMALL)
    return around


def _critic(axes: Axes, hidden: Sequence[int], head_hidden: int) -> Box:
    """Draw the critic's backbone and its two heads, for the reward and for the cost."""
    area = panel(axes, Box(4.9, 2.6, 2.1, 2.1))
    write(axes, area.middle[0], 4.55, "critic with two heads", TITLE, weight="bold")
    middle, scale = 3.5, 1.2 / max(*hidden, head_hidden) ** 0.5
    places = list(np.linspace(5.3, 5.95, len(hidden)))
    write_lines(axes, 5.07, middle, "", ("all", "$s, a$"))
    write(axes, 5.63, 2.72, "backbone", SMALL)
    write(axes, 6.4, 2.72, "heads", SMALL)
    for side, role, name in ((1, "reward", "$Q_r$"), (-1, "limit", "$Q_c$")):
        height, half = middle + 0.42 * side, 0.5 * scale * hidden[-1] ** 0.5
        arrow(axes, (places[-1], middle + 0.5 * half * side), (6.2, height), (6.62, height), role=role)
        if head_hidden:
            axes.add_patch(Rectangle((6.355, height - 0.2), 0.09, 0.4, color=COLORS[role]))
            write(axes, 6.4, height + 0.29, str(head_hidden), SMALL)
        write(axes, 6.8, height, name)
    parts.layers(axes, places, middle, hidden, scale)
    return area
