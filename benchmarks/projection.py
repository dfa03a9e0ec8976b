"""What the whole paper would take on this machine; nothing runs on a GPU here, and nothing is trained.

For every cell of params.yaml that learns, at the scale `paper` (2000 episodes, one update per slot after the warm-up,
all seeds of a cell in one batched program):

    seconds = slots played * (time to play a slot) + updates * (time of an update)

with both times measured for the cell's own number of devices and all its seeds at once. Playing a slot is exploring,
`step`, `observe`, storing and sampling. Evaluations along the way and checkpoints are left out, and so are notebooks.
Cells with the same sizes are measured once. MAPPO makes its updates after each round of episodes, on those episodes.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Options, Work, figure, interleaved, make_game, make_learner, make_work, timed
from mecpaper.algorithms import ALGORITHMS
from mecpaper.config import Config
from mecpaper.game import Game, generators
from mecpaper.replay import Replay

REPLAY = 2000
"""Transitions in the buffer that is played into here, to save memory; a sample costs little more in a larger one."""


def play(config: Config, algorithm: str, game: Game) -> Work:
    """Episodes in every env, without updates; `updates` counts the slots of a call."""
    learner, sources = make_learner(config, algorithm, game), generators(range(game.runs), 1)
    noise = torch.randn(game.runs, game.envs, game.devices, game.action_size)
    picks = torch.rand(game.runs, config.learning.batch)
    replay = None
    if not learner.on_policy:
        sizes = game.devices, game.observation_size, game.action_size
        replay = Replay(game.runs, REPLAY, *sizes, game.device, game.dtype, learner.prioritised)

    def episode() -> None:
        observation = game.reset(sources)
        for _ in range(game.slots):
            action = (learner.act(observation) + 0.1 * noise).clamp(-1.0, 1.0)
            slot = game.step(action)
            following = game.observe()
            if replay is not None:
                replay.add(observation, action, slot.reward, slot.cost, following)
                replay.sample(picks, 1.0)
            observation = following

    return Work(episode, game.slots)


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Times of the parts, and the sum over all cells."""
    scale = config.scales["paper"]
    seeds = len(scale.seeds)
    cells = [(name, scenario) for name, scenarios in config.cells.items() for scenario in scenarios]
    cells = [(name, scenario) for name, scenario in cells if ALGORITHMS[name].learns]
    works: dict[str, Work] = {}
    keys = {}
    for name, scenario in cells:
        devices = config.scenario(scenario).devices
        key = f"{name}, {devices} devices, {seeds} seeds"
        keys[name, scenario] = key
        if f"{key}: update" not in works:
            game = make_game(config, seeds, scale.episodes_at_once, devices=devices)
            works[f"{key}: slot"] = play(config, name, game)
            works[f"{key}: update"] = make_work(config, name, game)
    sides = {name: timed(work.call) for name, work in works.items()}
    seconds = interleaved(sides, options.repetitions, options.seconds)
    figures = [
        figure(name, "ms", [1e3 * value / works[name].updates for value in values]) for name, values in seconds.items()
    ]
    median = {entry["name"]: entry["median"] / 1e3 for entry in figures}
    values, total = [], 0.0
    rounds = scale.episodes // scale.episodes_at_once
    slots = rounds * config.game.slots
    for (name, scenario), key in keys.items():
        if ALGORITHMS[name].on_policy:
            updates = rounds * works[f"{key}: update"].updates
        else:
            updates = round((1.0 - config.learning.warmup_fraction) * slots) // scale.slots_per_update
        slot_time, update_time = median[f"{key}: slot"], median[f"{key}: update"]
        spent = slots * slot_time + updates * update_time
        total += spent
        formula = f"{slots} x {1e3 * slot_time:.2f} ms + {updates} x {1e3 * update_time:.2f} ms = {spent / 3600:.2f} h"
        values.append([f"{name}, {scenario}", formula])
    values.append([f"all {len(cells)} cells that learn, {seeds} seeds each", f"{total / 3600:.1f} h"])
    return {"figures": figures, "ratios": [], "values": values}
