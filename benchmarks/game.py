"""The batched game against a scalar implementation of the same equations.

One side is `mecpaper.env.game.Game` at the default setting, with several numbers of copies: whole episodes, `reset`
with its random draws, then `step` and `observe` in every slot. The goal refers to the copies that an experiment of
scale demo plays at once, over all its seeds. The other side is tests/reference_game.py, plain Python with loops over
devices and chunks in double precision, on one episode of one copy with draws and actions prepared. Both get random
actions and compute all quantities of a slot. The reference also returns rates of the requests and bounds for the tests;
the game computes in single precision. A device-slot is one device in one slot.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.common import Options, Side, interleaved, make_game, per_second, ratio, timed
from mecpaper.config import Config
from mecpaper.env.streams import Stream, generators

COPIES = (1, 20, 60, 200)
GOAL = 100.0


def reference(options: Options) -> ModuleType:
    """The plain game of the tests."""
    path = options.root / "tests" / "reference_game.py"
    spec = importlib.util.spec_from_file_location("reference_game", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(config: Config, options: Options) -> Side:
    """An episode of the reference."""
    module, constants = reference(options), config.game.model_dump()
    source = np.random.default_rng(0)
    slots, devices, chunks = (constants[key] for key in ("slots", "devices", "chunks"))
    draws = {name: source.random((slots + 1, devices, chunks)).tolist() for name in ("gain", "other_gain", "error")}
    draws["harvest"] = source.random((slots + 1, devices)).tolist()
    actions = source.uniform(-1.0, 1.0, (slots, devices, 5 * chunks)).tolist()
    return timed(lambda: module.play(constants, draws, actions))


def batched(config: Config, copies: int) -> Side:
    """An episode of the game in all copies."""
    game, sources = make_game(config, envs=copies), generators([0], Stream.GAME)
    action = 2.0 * torch.rand(1, copies, game.devices, game.action_size) - 1.0

    def episode() -> None:
        game.reset(sources)
        for _ in range(game.slots):
            game.step(action)
            game.observe()

    return timed(episode)


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Device-slots per second of both, and their quotient."""
    usual = config.scales["demo"].episodes_at_once * len(config.scales["demo"].seeds)
    every = sorted({*COPIES, usual})
    sides = {f"game, {copies} at once": batched(config, copies) for copies in every}
    sides["plain Python loop"] = plain(config, options)
    seconds = interleaved(sides, options.repetitions, options.seconds)
    amount = config.game.devices * config.game.slots
    amounts = {f"game, {copies} at once": amount * copies for copies in every} | {"plain Python loop": amount}
    each = {name: [value / amounts[name] for value in values] for name, values in seconds.items()}
    return {
        "figures": [per_second(name, "device-slots/s", values) for name, values in each.items()],
        "ratios": [
            ratio(
                f"game, {copies} at once : plain Python loop",
                each["plain Python loop"],
                each[f"game, {copies} at once"],
                GOAL if copies == usual else None,
            )
            for copies in every
        ],
        "values": [["devices, chunks, slots", f"{config.game.devices}, {config.game.chunks}, {config.game.slots}"]],
    }
