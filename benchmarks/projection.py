"""Projected time of the whole paper on this machine; nothing is trained.

For every experiment of params.yaml that learns, at the scale `paper` (2000 episodes, one update per slot after the
warm-up, all seeds of an experiment in one batched program):

    seconds = slots played * (time to play a slot) + updates * (time of an update)

with both times measured for the experiment's own number of devices and all its seeds at once. Playing a slot is
exploring, `step`, `observe`, storing and sampling. Evaluations along the way and checkpoints are left out, and so are
notebooks. Experiments with the same sizes are measured once. MAPPO makes its updates after each round of ten episodes,
on those episodes. What a GPU takes is measured by the part "gpu".
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Options, Work, figure, interleaved, make_game, make_learner, make_work, timed
from mecpaper.algorithms.off_policy import OffPolicy
from mecpaper.config import Config, Experiment, named
from mecpaper.env.game import Game
from mecpaper.env.streams import Stream, generators

REPLAY = 2000
"""Transitions in the buffer that is played into here, to save memory; a sample costs little more in a larger one."""


def play(config: Config, algorithm: str, game: Game) -> Work:
    """Episodes in every env, without updates; `updates` counts the slots of a call."""
    learner, sources = make_learner(config, algorithm, game, buffer=REPLAY), generators(range(game.runs), Stream.GAME)
    noise = torch.randn(game.runs, game.envs, game.devices, game.action_size)
    picks = torch.rand(game.runs, config.learning.batch)
    replays = isinstance(learner, OffPolicy)

    def episode() -> None:
        observation = game.reset(sources)
        for _ in range(game.slots):
            action = (learner.act(observation) + 0.1 * noise).clamp(-1.0, 1.0)
            slot = game.step(action)
            following = game.observe()
            if replays:
                learner.replay.add(observation, action, slot.reward, slot.cost, following)
                learner.sample(picks, 1.0)
            observation = following

    return Work(episode, game.slots)


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Times of the parts, and the sum over all experiments."""
    config = config.model_copy(update={"scale": "paper"})
    experiments = [experiment for experiment in named(config) if experiment.entry.learns]
    works: dict[str, Work] = {}
    sizes: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        name, devices, seeds = experiment.algorithm, experiment.game.devices, len(experiment.seeds)
        key = f"{name}, {devices} devices, {seeds} seeds"
        sizes.setdefault(key, []).append(experiment)
        if f"{key}: update" not in works:
            game = make_game(config, seeds, experiment.scale.episodes_at_once, devices=devices)
            works[f"{key}: slot"] = play(config, name, game)
            works[f"{key}: update"] = make_work(config, name, game)
    sides = {name: timed(work.call) for name, work in works.items()}
    seconds = interleaved(sides, options.repetitions, options.seconds)
    figures = [
        figure(name, "ms", [1e3 * value / works[name].updates for value in values]) for name, values in seconds.items()
    ]
    median = {entry["name"]: entry["median"] / 1e3 for entry in figures}
    values, total = [], 0.0
    for key, members in sizes.items():
        slot, update, scale = f"{key}: slot", f"{key}: update", members[0].scale
        rounds = scale.episodes // scale.episodes_at_once
        slots = rounds * config.game.slots
        if issubclass(members[0].entry.learner_class(), OffPolicy):
            updates = round((1.0 - config.learning.warmup_fraction) * slots) // scale.slots_per_update
        else:
            updates = rounds * works[update].updates
        spent = slots * median[slot] + updates * median[update]
        total += len(members) * spent
        hours = f"{slots} x {1e3 * median[slot]:.2f} ms + {updates} x {1e3 * median[update]:.2f} ms"
        values.append([f"{key}: {len(members)} experiments, each", f"{hours} = {spent / 3600:.2f} h"])
    values.append([f"all {len(experiments)} experiments that learn, here", f"{total / 3600:.1f} h"])
    return {"figures": figures, "ratios": [], "values": values}
