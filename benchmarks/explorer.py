"""Response time of the explorer.

A slider of notebook 40 moves between two values at the default setting, with a trained policy if one is stored. Timed
is the way from the new value to the new picture and numbers for the page, without the browser. Its two large parts,
playing the episodes and rendering the picture, are also timed separately. torch uses one thread, as in the explorer.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import torch

from benchmarks.common import Options, figure, interleaved, ratio, timed
from mecpaper import explorer
from mecpaper.config import Config
from mecpaper.explorer.panels import Layers, canvas, png
from mecpaper.explorer.playing import DEVICE_EPISODES

GOAL = 0.15
"""Longest time of a change, in s."""


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Milliseconds per change and of its parts, and the goal over the first."""
    app = explorer.Explorer(config, options.root)
    places = cycle((9.0, 8.0))

    def change() -> None:
        app.sliders["battery_capacity"].value = next(places)

    state, figure_again = app.state, canvas()
    layers: Layers = {}
    result = explorer.compute(config, state, app.policies)
    sides = {
        "a change": timed(change),
        "playing the episodes": timed(lambda: explorer.compute(config, state, app.policies)),
        "drawing the picture": timed(lambda: png(explorer.draw(result, app.reported, figure_again), layers)),
    }
    seconds = interleaved(sides, options.repetitions, options.seconds)
    torch.set_num_threads(options.threads)
    figures = [figure(name, "ms", [1e3 * value for value in values]) for name, values in seconds.items()]
    changes = seconds["a change"]
    return {
        "figures": figures,
        "ratios": [ratio("150 ms : a change", [GOAL] * len(changes), changes, 1.0)],
        "values": [
            [
                "devices, episodes, slots",
                f"{state.devices}, {DEVICE_EPISODES // state.devices}, {config.game.slots}",
            ],
            ["controller", result.label],
        ],
    }
