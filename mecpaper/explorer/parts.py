"""Parts of the explorer's page: sliders, measures as tiles, lines of text, and when to redraw."""

from __future__ import annotations

import asyncio
import html
import json
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from mecpaper.explorer.playing import Result
from mecpaper.explorer.state import Reported, span

SLIDERS: dict[str, tuple[str, type, float, float, float, str]] = {
    "gain_db": ("Channel gain g, dB", widgets.FloatRangeSlider, -4.0, 20.0, 0.5, ".1f"),
    "battery_capacity": ("Battery capacity, J", widgets.FloatSlider, 1.0, 20.0, 0.5, ".1f"),
    "harvest_fraction": ("Harvest per slot, of the capacity", widgets.FloatSlider, 0.0, 0.3, 0.01, ".2f"),
    "devices": ("Users N", widgets.IntSlider, 1, 60, 1, "d"),
    "cost_limit_fraction": ("Energy limit, of the capacity", widgets.FloatSlider, 0.005, 0.2, 0.005, ".3f"),
}
"""Sliders by key of params.yaml: title, widget, minimum, maximum, step and format."""

NAMES = {
    "who": "Controller",
    "beside": "Second controller",
    "points": "Operating point",
    "episodes": "Seed of the random episodes",
    "learner": "Algorithm to train",
    "length": "Episodes to train",
    "snippet": "Lines for params.yaml",
    "picture": "Seven panels of what was played; the tiles above have the measures as numbers",
    "live": "Learning curves of the training",
} | {key: text for key, (text, *_) in SLIDERS.items()}
"""What a screen reader says of each control and picture, by the name given to `marked`."""

TILES = {
    "reward": ("reward per slot", "{:.3f}"),
    "sor": ("safe offload rate", "{:.1%}"),
    "offload_share": ("chunks sent", "{:.1%}"),
    "energy": ("energy, J", "{:.3f}"),
    "ecpr_f": ("ECPR-f", "{:.1%}"),
    "ecpr_m": ("ECPR-m", "{:.1%}"),
    "battery": ("mean battery, J", "{:.2f}"),
    "latency": ("latency, s", "{:.3f}"),
    "accuracy": ("accuracy, 0 to 1", "{:.3f}"),
}
"""Measures above the figure: label and format."""

THIRD_PANEL = (
    "Third panel: one device is placed at each power and gain while all others transmit as they do; the darker, the "
    "more often its chunk would be secure. Circles are requests that were sent, crosses those that were refused, "
    "dotted lines the range of gains that is played."
)
"""Line below the figure."""

CSS = """<style>
.mx-tiles {display:flex; flex-wrap:wrap; gap:6px; line-height:1.25}
.mx-tile {flex:1 1 92px; border:1px solid rgba(128,128,128,.35); border-radius:6px; padding:5px 9px}
.mx-tile b {display:block; font-size:17px; font-variant-numeric:tabular-nums}
.mx-tile span, .mx-hint {font-size:11px; opacity:.72}
.mx-tile .mx-other {font-size:13px; font-weight:400; opacity:1; color:#7d54b2; white-space:nowrap}
.mx-hint {line-height:1.2}
.mx-error {color:#b3261e; font-size:12px; font-weight:600; line-height:1.3; white-space:normal}
.mx-note {border-left:4px solid #de8f05; background:rgba(222,143,5,.13); padding:4px 9px; font-size:12px;
  line-height:1.35; white-space:normal}
.mx-title {font-size:13px; font-weight:600}
.mx-snippet textarea {font-family:monospace}
</style>"""


def line(kind: str, text: str) -> str:
    """Format a line of text as HTML; `kind` is a class of `CSS`: "hint", "note", "error" or "title"."""
    return f'<div class="mx-{kind}">{html.escape(text)}</div>'


def first_line(error: Exception) -> str:
    """Return the first line of an exception's text, or its type if it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]


def marked(widget: Any, name: str) -> Any:
    """Add the CSS class by which the page and the browser tests find a widget."""
    widget.add_class(f"mx-{name}")
    return widget


def named() -> str:
    """Return an invisible image that names controls and pictures for a screen reader when the page shows it.

    ipywidgets names a control by a label beside it alone; the titles here stand above.
    """
    script = (
        f"for (const [name, text] of Object.entries({json.dumps(NAMES)})) "
        "for (const part of document.querySelectorAll("
        "`img.mx-${name}, .mx-${name} :is(select, input, textarea, [role=slider])`)) "
        "part.setAttribute(part.tagName === 'IMG' ? 'alt' : 'aria-label', text)"
    )
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    return f'<img alt="" width="1" height="1" src="{pixel}" onload="{html.escape(script)}">'


def title(text: str) -> widgets.HTML:
    """Make the title of a control."""
    return widgets.HTML(line("title", text))


def shown(result: Result, key: str) -> str:
    """Format a measure; a dash if it has no value."""
    number = result.measures[key]
    return TILES[key][1].format(number) if np.isfinite(number) else "–"


def tiles(result: Result, at_default: Result, reported: Reported, other: Result | None = None) -> str:
    """Format the measures as HTML, with their values at the default setting, those of another controller at the same
    setting, and the paper's if it has one."""
    parts = []
    for key, (name, style) in TILES.items():
        value, before = (shown(played, key) for played in (result, at_default))
        note = f"limit {result.cost_limit:.3f}" if key == "energy" else f"default {before}"
        printed = reported.get((result.point or "", key))
        if printed is not None:
            note += f"<br>paper {style.format(printed)}"
        if other is not None:
            value += f' <span class="mx-other">{shown(other, key)}</span>'
        tile = f"<span>{name}</span><b>{value}</b><span>{note}</span>"
        parts.append(f'<div class="mx-tile" data-measure="{key}">{tile}</div>')
    return f'<div class="mx-tiles">{"".join(parts)}</div>'


def changed(before: Result, after: Result, others: tuple[Result | None, Result | None] = (None, None)) -> str:
    """Say in one line what differs between two states, and what it did to the measures; empty if nothing does.

    Args:
        before, after: of the first controller.
        others: the same of the second, which is named if it is the same in both.
    """
    names = {key: title for key, (title, *_) in SLIDERS.items()} | {"episodes": "seed of the random episodes"}
    pairs = [(text, before.state.range_of(key), after.state.range_of(key)) for key, text in names.items()]
    moves = [f"{text}: {span(*old)} → {span(*new)}" for text, old, new in pairs if old != new]
    if before.label != after.label:
        moves.insert(0, f"{before.label} → {after.label}")
    if not moves:
        return ""
    old, new = others
    beside = f" {new.label}: {_effects(old, new)}." if old and new and old.label == new.label else ""
    return f"{'; '.join(moves)}. {_effects(before, after)}.{beside}"


def _effects(before: Result, after: Result) -> str:
    pairs = [(name, shown(before, key), shown(after, key)) for key, (name, _) in TILES.items()]
    return ", ".join(f"{name} {old} → {new}" for name, old, new in pairs if old != new) or "No measure changed"


def in_this_loop() -> Callable[[Callable[[], None]], Any]:
    """Return a function that runs work from another thread in the present event loop, such as a kernel's.

    Without a running loop, it runs the work at once.
    """
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return lambda work: work()


class LastOnly:
    """Debounced calls of `work`: one soon after a request, for all requests until it starts.

    In a running event loop (a kernel) a burst of requests leads to one call, which sees the latest state. Without a
    loop the call is made at once. Kernels may deliver messages in several threads: calls are made one at a time, and
    the last call starts after the last request.
    """

    SECONDS = 0.02
    """Time for which requests are gathered."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work, self.turn = work, threading.RLock()
        self._waiting, self._flag = False, threading.Lock()

    def request(self) -> None:
        """Request a call."""
        with self._flag:
            if self._waiting:
                return
            self._waiting = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._call()
        else:
            loop.call_later(self.SECONDS, self._call)

    def _call(self) -> None:
        with self.turn:
            # A request from here on needs another call, since this one may not see its change.
            self._waiting = False
            self.work()
