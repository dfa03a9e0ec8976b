"""Projected time of the whole paper on this machine, and by arithmetic on a GPU; nothing is trained.

For every experiment of params.yaml that learns, at the scale `paper` (2000 episodes, one update per slot after the
warm-up, all seeds of an experiment in one batched program):

    seconds = slots played * (time to play a slot) + updates * (time of an update)

with both times measured for the experiment's own number of devices and all its seeds at once. Playing a slot is
exploring, `step`, `observe`, storing and sampling. Evaluations along the way and checkpoints are left out, and so are
notebooks. Experiments with the same sizes are measured once. MAPPO makes its updates after each round of episodes, on
those episodes.

The GPU is not measured but computed, from the floating-point operations of an update (those of its matrix products)
and the operations that torch starts in a slot and in an update, both counted here, and from assumptions: an H200 does
67 TFLOP/s in single precision (its data sheet), of which a quarter is reached; torch starts an operation every 5 us,
and every 2.5 us where it is replayed from a recorded graph (updates). Experiments that fit together are one
program (`mecpaper.training.experiments.groups`), one program runs after another, and starting and arithmetic do not
overlap. So it is an estimate from above, if the assumptions hold.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Options, Work, figure, interleaved, make_game, make_learner, make_work, timed
from mecpaper.algorithms.off_policy import OffPolicy
from mecpaper.config import Config, Experiment, named
from mecpaper.env.game import Game
from mecpaper.env.streams import Stream, generators
from mecpaper.training.experiments import groups

REPLAY = 2000
"""Transitions in the buffer that is played into here, to save memory; a sample costs little more in a larger one."""

GPU = {"rate": 0.25 * 67e12, "start": 5e-6, "replayed": 2.5e-6}
"""Assumed of the GPU: FLOP/s, seconds to start an operation, and the same in a recorded graph."""


class Operations(TorchDispatchMode):
    """Counts the operations that torch starts."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and do it; a view starts nothing on a GPU."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def counted(work: Work) -> tuple[float, float]:
    """Floating-point operations in products and started operations, for each slot or update of a call."""
    work.call()
    with FlopCounterMode(display=False) as flops:
        work.call()
    with Operations() as operations:
        work.call()
    return flops.get_total_flops() / work.updates, operations.count / work.updates


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
    scale = config.run
    seeds = len(scale.seeds)
    experiments = [experiment for experiment in named(config) if experiment.entry.learns]
    works: dict[str, Work] = {}
    sizes: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        name, devices = experiment.algorithm, experiment.game.devices
        key = f"{name}, {devices} devices, {seeds} seeds"
        sizes.setdefault(key, []).append(experiment)
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
    amounts = {name: counted(work) for name, work in works.items()}
    rounds = scale.episodes // scale.episodes_at_once
    slots = rounds * config.game.slots
    values, total, flops, starting, programs = [], 0.0, 0.0, 0.0, 0
    for key, members in sizes.items():
        slot, update = f"{key}: slot", f"{key}: update"
        if issubclass(members[0].entry.learner_class(), OffPolicy):
            updates = round((1.0 - config.learning.warmup_fraction) * slots) // scale.slots_per_update
        else:
            updates = rounds * works[update].updates
        spent = slots * median[slot] + updates * median[update]
        total += len(members) * spent
        flops += len(members) * updates * amounts[update][0]
        together = len(groups(members, batched=True))
        programs += together
        starting += together * slots * amounts[slot][1] * GPU["start"]
        starting += together * updates * amounts[update][1] * GPU["replayed"]
        hours = f"{slots} x {1e3 * median[slot]:.2f} ms + {updates} x {1e3 * median[update]:.2f} ms"
        values.append([f"{key}: {len(members)} experiments, each", f"{hours} = {spent / 3600:.2f} h"])
        values.append(
            [f"{key}: operations of a slot, of an update", f"{amounts[slot][1]:.0f}, {amounts[update][1]:.0f}"]
        )
    values.append([f"all {len(experiments)} experiments that learn, {seeds} seeds each, here", f"{total / 3600:.1f} h"])
    arithmetic = flops / GPU["rate"]
    rate = f"{GPU['rate'] / 1e12:.1f} TFLOP/s"
    values.append(["GPU, arithmetic of the updates", f"{flops / 1e15:.1f} PFLOP at {rate}: {arithmetic / 60:.0f} min"])
    values.append(["GPU, starting operations", f"{programs} programs: {starting / 60:.0f} min"])
    values.append(["GPU, all experiments", f"{(arithmetic + starting) / 60:.0f} min"])
    return {"figures": figures, "ratios": [], "values": values}
