"""Time to the same reward on this game, against AgileRL's MADDPG.

Both learn the game at its default setting, one seed at a time, in turn (ours, AgileRL, ours, ...), until the
noise-free reward on the same evaluation episodes (`mecpaper.env.measures`) first reaches a level. Time is wall-clock
from an empty process with everything imported: construction, playing, learning, and the evaluations along the way,
which both make after the same episodes. A point counts when it is measured, so the times are as coarse as
`curve_every` of the scale.

- Ours is `Training` of maddpg with params.yaml, one seed alone, with all that it has and AgileRL has not: one critic
  for all devices that hears what the channel carries, gradient clipping, a saturation penalty, a critic that learns
  before the actors move, falling rates. Its products were in bfloat16 when it was measured, and are in single precision
  since (D47), which takes nearly twice as long.
- AgileRL plays copies of the PettingZoo environment and has its own networks, replay and `learn`
  (benchmarks/rivals/agilerl_reward.py says what it shares with ours): as many episodes at once, the same kind of
  untrained start, the same exploration, first rates, discount, batch, buffer. It makes an update as often per slot as
  ours does; `--slots-per-learn` sets other rates, since more updates may make better use of a slow game.
- The environment is part of AgileRL's time, as PettingZoo's interface is one copy and a dictionary per agent; ours
  plays the batched game.
- AgileRL stops when it reaches the highest level that ours reached, or when its budget is used up: a multiple of our
  time to that level, and at most so many minutes. After the scale's episodes it goes on with the last noise. A level it
  did not reach in the time it had is shown as more than that time (">") and has no quotient, which would say more about
  the budget than about speed.
- Rewards rise and fall during training, so the first time above a level can be a lucky one, on either side.

Both begin at an untrained policy far below 0 and rise as soon as they learn. AgileRL's reward then stays near 0.6; why
it gets no further was not looked into. The part "rivals" compares speed alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from benchmarks.common import Options, figure
from benchmarks.rivals import Process
from mecpaper.config import Config, resolve
from mecpaper.training.loop import Training

GOAL = 10.0
ALGORITHM = "maddpg"

Curve = list[tuple[float, float]]
"""Seconds since the start and reward, in order of time."""


class Reached(Exception):
    """The highest level is reached; the training may end."""


def ours(config: Config, seed: int, options: Options) -> Curve:
    """Train one seed until the highest level or the end of the scale."""
    scale = config.scales[options.scale]
    config = config.model_copy(update={"scale": options.scale})
    moments: dict[int, float] = {}
    started = time.perf_counter()
    training = Training(resolve(config, ALGORITHM, "default", seeds=[seed]))

    def progress(episode: int, total: int, label: str) -> None:
        if episode % scale.curve_every == 0:
            moments[episode] = time.perf_counter() - started
            if training.curves()["reward"].iloc[-1] >= max(options.levels):
                raise Reached

    with suppress(Reached):
        training.run(progress=progress)
    curves = training.curves()
    return [(moments[episode], reward) for episode, reward in zip(curves["episode"], curves["reward"], strict=True)]


def rival(seed: int, slots_per_learn: int, budget: float, level: float, options: Options) -> Curve:
    """Let AgileRL train one seed."""
    arguments = [str(value) for value in (seed, options.scale, slots_per_learn, budget, level)]
    curve: Curve = []
    with Process(options.root, "agilerl", "agilerl_reward", options.threads, *arguments) as process:
        while "end" not in (point := process.read()):
            curve.append((point["seconds"], point["reward"]))
    return curve


def first(curve: Curve, level: float) -> tuple[float, bool]:
    """When the level is first reached, and False; or how long it was not, and True."""
    reached = [seconds for seconds, reward in curve if reward >= level]
    return (reached[0], False) if reached else (curve[-1][0], True)


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Times to each level, and their quotients; seeds 1, 2, ... are the repetitions."""
    rates = options.slots_per_learn or (config.scales[options.scale].slots_per_update,)
    names = {f"AgileRL, an update per {rate} slots": rate for rate in rates}
    curves: dict[str, list[Curve]] = {"ours": [], **{name: [] for name in names}}
    for seed in range(1, options.repetitions + 1):
        own = ours(config, seed, options)
        curves["ours"].append(own)
        reached = [level for level in options.levels if not first(own, level)[1]]
        level = max(reached, default=max(options.levels))
        budget = min(options.budget_factor * first(own, level)[0], 60.0 * options.budget_minutes)
        for name, rate in names.items():
            curves[name].append(rival(seed, rate, budget, level, options))
    figures, ratios = [], []
    for level in sorted(options.levels):
        times = {name: [first(curve, level) for curve in made] for name, made in curves.items()}
        for name, pairs in times.items():
            figures.append(figure(f"{name}: to a reward of {level:g}", "s", *zip(*pairs, strict=True)))
        for name in names:
            # A seed in which either did not get there is left out, as the number of repetitions shows.
            pairs = [(a[0], b[0]) for a, b in zip(times[name], times["ours"], strict=True) if not a[1] and not b[1]]
            if pairs:
                entry = figure(f"ours : {name}, to a reward of {level:g}", "", [a / b for a, b in pairs])
                ratios.append(entry | {"goal": GOAL, "reached": entry["median"] >= GOAL})
    values = [["scale, episodes at once", f"{options.scale}, {config.scales[options.scale].episodes_at_once}"]]
    values += [
        [f"first reward of {name}, by seed", ", ".join(f"{curve[0][1]:.3f}" for curve in made)]
        for name, made in curves.items()
    ]
    values += [
        [f"best reward of {name}, by seed", ", ".join(f"{max(reward for _, reward in curve):.3f}" for curve in made)]
        for name, made in curves.items()
    ]
    return {"figures": figures, "ratios": ratios, "values": values}
