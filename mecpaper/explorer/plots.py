"""Draw a result as a figure of seven panels."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mecpaper.explorer.panels import (
    BLUE,
    BOX,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    canvas,
    clear,
    round_up,
    write_key,
)
from mecpaper.explorer.playing import Result
from mecpaper.explorer.state import Reported
from mecpaper.report.figures import STYLE

OTHER: dict[str, Any] = {"color": "#7d54b2", "linestyle": (0, (4, 1.2, 1, 1.2)), "linewidth": 1.8}
"""Lines of the controller that is shown beside."""

DASHED = (0, (5, 2))


def draw(
    result: Result, reported: Reported | None = None, figure: Figure | None = None, other: Result | None = None
) -> Figure:
    """Draw a result in seven panels.

    Args:
        result: as returned by `compute`.
        reported: the paper's values to mark, see `read_reported`; by default none.
        figure: a figure from `canvas` to reuse, a new one by default. Its axes are kept, since making them takes most
            of the time.
        other: result of another controller at the same setting, drawn as lines in all panels but the third.
    """
    figure, reported = figure or canvas(), reported or {}
    with matplotlib.rc_context(STYLE):
        clear(figure)
        secrecy, sor, plane, battery, reward, energy, offload = figure.axes
        draw_secrecy(secrecy, result, other)
        draw_sor(sor, result, reported, other)
        draw_plane(plane, result)
        draw_battery(battery, result, other)
        draw_reward(reward, result, reported, other)
        draw_energy(energy, result, other)
        draw_offload(offload, result, other)
    return figure


def beside(text: str) -> tuple[str, Any]:
    """Return the entry of the other controller for `write_key`."""
    return f"┅ beside: {text}", OTHER["color"]


def without_requests(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no offload requests", transform=axes.transAxes, ha="center", va="center", color=GREY)


def slots_of(values: NDArray) -> NDArray:
    return np.arange(1, len(values) + 1)


def draw_secrecy(axes: Axes, result: Result, other: Result | None = None) -> None:
    """Draw the distribution of the requests' worst-case secrecy rate, split into executed and refused."""
    rate, done = result.request_rate, result.request_done
    theirs = rate[:0] if other is None else other.request_rate
    if not len(rate) and not len(theirs):
        axes.set_xlim(-20.0, 80.0)
        return without_requests(axes)
    low, high = np.quantile(np.concatenate([rate, theirs]), [0.002, 0.99])
    low, high = -round_up(max(-low, 1.0)), round_up(max(high, 1.0))
    bins = np.linspace(low, high, 46)
    sent, refused = (np.histogram(part, bins)[0] for part in (rate[done], rate[~done]))
    axes.stairs(sent, bins, fill=True, color=BLUE, alpha=0.85)
    axes.stairs(sent + refused, bins, baseline=sent, fill=True, color=ORANGE, alpha=0.85)
    axes.axvline(0.0, color="0.2", linewidth=1)
    top, entries = (sent + refused).max(), [("no offload requests", BLUE)]
    if len(rate):
        entries = [(f"■ sent {done.mean():.0%}", BLUE), (f"■ refused {(~done).mean():.0%}", ORANGE)]
    if other is not None:
        count = np.histogram(theirs, bins)[0]
        axes.stairs(count, bins, **OTHER)
        top = max(top, count.max())
        entries.append(beside(f"sent {other.request_done.mean():.0%}" if len(theirs) else "no requests"))
    axes.set(xlim=(low, high), ylim=(0, round_up(1.1 * top)))
    return write_key(axes, entries, x=0.98)


def draw_sor(axes: Axes, result: Result, reported: Reported, other: Result | None = None) -> None:
    """Draw the distribution of the safe offload rate over slots, with ticks for episodes and dashes for the paper."""
    axes.set_xlim(0.0, 1.02)
    if not len(result.slot_sor) and (other is None or not len(other.slot_sor)):
        return without_requests(axes)
    # A slot has few requests, whose shares would make spikes in narrower bins.
    bins, entries = np.linspace(0.0, 1.0, 11), [("no offload requests", BLUE)]
    count = np.histogram(result.slot_sor, bins)[0]
    theirs = np.zeros_like(count) if other is None else np.histogram(other.slot_sor, bins)[0]
    top, mean = round_up(max(count.max(), theirs.max())), result.measures["sor"]
    if len(result.slot_sor):
        axes.stairs(count, bins, fill=True, color=BLUE, alpha=0.35)
        axes.plot(result.episode_sor, np.full(len(result.episode_sor), -0.06 * top), "|", color=BLUE, markersize=9)
        axes.axvline(mean, color=BLUE, linewidth=2)
        entries = [(f"━ mean {mean:.3f}", BLUE), ("■ slots", "#5b9fc9"), ("❙ episodes", BLUE)]
    if other is not None:
        axes.stairs(theirs, bins, **OTHER)
        asked = len(other.slot_sor) > 0
        entries.append(beside(f"mean {other.measures['sor']:.3f}" if asked else "no requests"))
    for scenario in (name for name in result.attackers if (name, "sor") in reported):
        value, color = reported[scenario, "sor"], attacker_color(result, scenario, GREY)
        axes.axvline(value, color=color, linewidth=1, linestyle=DASHED)
        style: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "top", "fontsize": 7.5, "zorder": 5, "bbox": BOX}
        axes.text(value - 0.006, 1.22 * top, scenario.removeprefix("attacker_"), color=color, **style)
    axes.set_ylim(-0.12 * top, 1.25 * top)
    return write_key(axes, [*entries, ("╌ the paper's, Table 4", GREY)])


def attacker_color(result: Result, scenario: str, other: str) -> str:
    """Return red for the attacker that is played, `other` for the rest."""
    return RED if tuple(result.game.gain_db) == result.attackers[scenario] else other


def draw_plane(axes: Axes, result: Result) -> None:
    """Draw the share of situations in which a chunk is secure, over own power and gain, with some of the requests."""
    left, right, low, high = extent = (result.power[0], result.power[-1], result.gain[0], result.gain[-1])
    axes.imshow(result.secure, origin="lower", aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=1.25)
    axes.grid(False)
    step = max(1, len(result.request_power) // 150)
    power, gain, done = (part[::step] for part in (result.request_power, result.request_gain, result.request_done))
    axes.scatter(power[done], gain[done], s=14, color="white", edgecolor="0.15", linewidth=0.6)
    axes.scatter(power[~done], gain[~done], s=16, marker="x", color=ORANGE, linewidth=1.2)
    for place, (scenario, gains) in enumerate(result.attackers.items()):
        x = right + (right - left) * (0.025 + 0.042 * place)
        color = attacker_color(result, scenario, "0.55")
        axes.plot([x, x], gains, color=color, linewidth=9, clip_on=False, solid_capstyle="butt")
        style: dict[str, Any] = {"ha": "center", "va": "center", "rotation": 90, "fontsize": 6.5, "color": "white"}
        axes.text(x, float(np.mean(gains)), scenario.removeprefix("attacker_"), **style)
    for bound in result.game.gain_db:
        axes.axhline(bound, color="0.15", linewidth=1, linestyle=":")
    axes.set(xlim=(left, right), ylim=(low, high))
    write_key(axes, [("○ sent", "0.15")])
    write_key(axes, [("✕ refused", ORANGE)], x=0.15)
    write_key(axes, [("dark: secure in every situation, light: in none", BLUE)], x=0.98, y=0.08)
    style = {"transform": axes.transAxes, "fontsize": 7.5, "ha": "right", "va": "top", "color": GREY}
    axes.text(1.15, -0.09, "the paper's\nattackers", **style)


def draw_battery(axes: Axes, result: Result, other: Result | None = None) -> None:
    """Draw the battery of every device in one episode, the mean over all episodes, and the threshold."""
    # One collection takes a fifth of the time of a line per device.
    devices = [np.column_stack([np.arange(len(battery)), battery]) for battery in result.battery.T]
    axes.add_collection(LineCollection(devices, color=BLUE, linewidth=0.5, alpha=0.4), autolim=False)
    axes.plot(result.battery_mean, color=BLUE, linewidth=2)
    axes.axhline(result.threshold, color=RED, linewidth=1.2, linestyle="--")
    axes.set(xlim=(0, len(result.battery) - 1), ylim=(0, round_up(1.35 * result.battery[0].max())))
    entries = [("━ mean, thin: devices of one episode", BLUE), (f"╌ threshold {result.threshold:.2f} J", RED)]
    if other is not None:
        axes.plot(other.battery_mean, **OTHER)
        entries.append(beside(f"mean {other.battery_mean.mean():.2f} J"))
    write_key(axes, entries)


def draw_reward(axes: Axes, result: Result, reported: Reported, other: Result | None = None) -> None:
    """Draw the reward per device and slot and its three terms, Eq. 24."""
    lines = (
        ("reward", "", "0.1", "-", "━"),
        ("quality", "", GREEN, "--", "╌"),
        ("cost", "minus ", ORANGE, "-.", "╌"),
        ("penalty", "minus ", PURPLE, ":", "┈"),
    )
    slots, entries = slots_of(result.terms["reward"]), []
    for name, sign, color, dash, mark in lines:
        values = result.terms[name]
        axes.plot(slots, values, color=color, linestyle=dash, linewidth=2 if name == "reward" else 1.4)
        mean = abs(values.mean()) if sign else values.mean()
        entries.append((f"{mark} {sign}{name} {mean:.2f}", color))
    value = reported.get((result.point or "", "reward"))
    if value is not None:
        axes.axhline(value, color=RED, linewidth=1, linestyle=DASHED)
        entries.append((f"╌ paper's reward {value:.2f}", RED))
    drawn = list(result.terms.values())
    if other is not None:
        drawn.append(other.terms["reward"])
        axes.plot(slots, drawn[-1], **OTHER)
        entries.append(beside(f"reward {drawn[-1].mean():.2f}"))
    every = np.concatenate(drawn)
    low, high = every.min(), max(every.max(), value or 0.0)
    step = round_up(high - low) / 4.0
    low, high = (step * bound for bound in (np.floor(low / step - 2.4), np.ceil(high / step + 0.1)))
    axes.set(xlim=(1, slots[-1]), ylim=(low, high))
    write_key(axes, entries[:3], y=0.26)
    write_key(axes, entries[3:], x=0.98, y=0.26)


def draw_energy(axes: Axes, result: Result, other: Result | None = None) -> None:
    """Draw the energy of a device in a slot against C_limit, Eq. 39."""
    slots, (mean, low, high) = slots_of(result.energy), result.energy.T
    axes.fill_between(slots, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(slots, mean, color=BLUE, linewidth=2)
    axes.axhline(result.cost_limit, color=RED, linewidth=1.2, linestyle="--")
    top = max(result.cost_limit, result.energy.max())
    entries = [(f"━ mean {result.measures['energy']:.3f} J, band 5-95 %", BLUE)]
    entries.append((f"╌ limit {result.cost_limit:.3f} J", RED))
    if other is not None:
        axes.plot(slots, other.energy[:, 0], **OTHER)
        top = max(top, other.energy[:, 0].max())
        entries.append(beside(f"mean {other.measures['energy']:.3f} J"))
    axes.set(xlim=(1, slots[-1]), ylim=(0, round_up(1.5 * top)))
    write_key(axes, entries)


def draw_offload(axes: Axes, result: Result, other: Result | None = None) -> None:
    """Draw the share of chunks for which offloading was requested, and of those that were sent."""
    slots, (requested, sent) = slots_of(result.offload), result.offload.T
    axes.fill_between(slots, sent, requested, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(slots, requested, color=ORANGE, linestyle="--", linewidth=1.4)
    axes.plot(slots, sent, color=BLUE, linewidth=2)
    top = max(0.1, result.offload.max())
    entries = [(f"╌ requested {requested.mean():.1%} of chunks", ORANGE), (f"━ sent {sent.mean():.1%}", BLUE)]
    if other is not None:
        axes.plot(slots, other.offload[:, 1], **OTHER)
        top = max(top, other.offload[:, 1].max())
        entries.append(beside(f"sent {other.offload[:, 1].mean():.1%}"))
    axes.set(xlim=(1, slots[-1]), ylim=(0, round_up(1.35 * top)))
    write_key(axes, entries)
