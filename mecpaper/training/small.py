"""A game small enough to follow an update number by number, for the training notebooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from mecpaper.algorithms.learner import Tally
from mecpaper.algorithms.replay import Batch
from mecpaper.config import Config, Experiment, LearningConfig, ScaleConfig, parse, resolve
from mecpaper.env.streams import Stream
from mecpaper.training.loop import Training

DEVICES, CHUNKS, SLOTS, ENVS = 4, 2, 5, 8
"""Size of the small game."""

SEED = 5
"""With this seed the first policy spends more than the limit in the first round, so that the multiplier moves."""


def experiment(settings: Config, algorithm: str) -> Experiment:
    """Shrink the default experiment of an algorithm: 4 devices, 2 chunks, 5 slots, narrow networks, one seed.

    The cost limit shrinks with the number of chunks. An update is due every second round: after one round the
    data for an update are complete, and nothing is learned yet.
    """
    whole = resolve(settings, algorithm, "default")
    limit = whole.game.cost_limit_fraction * CHUNKS / whole.game.chunks
    game = whole.game.changed(devices=DEVICES, chunks=CHUNKS, slots=SLOTS, cost_limit_fraction=limit)
    learning = whole.learning.model_dump() | {"hidden": [16, 16, 8], "batch": 16, "buffer": 200}
    # Weights are then what products read, and numbers the same on every machine.
    learning |= {"precision": "float32"}
    scale = whole.scale.model_dump() | {"seeds": [SEED], "slots_per_update": 2 * SLOTS}
    scale |= {"episodes": 4 * ENVS, "episodes_at_once": ENVS, "curve_every": ENVS}
    return replace(
        whole,
        game=game,
        learning=parse(LearningConfig, learning, "learning"),
        scale=parse(ScaleConfig, scale, "scale"),
        keeps_policy=False,
    )


def learner(experiment: Experiment) -> Any:
    """Make the off-policy learner of a small experiment and fill its buffer by one round without an update."""
    made: Any = Training(experiment).learner
    # Past the share in which critics learn alone (D35), so that actors move, too.
    made.play_round(_begun(made), Tally())
    return made


def _begun(learner: Any) -> float:
    return float(learner.learning.warmup_fraction + learner.learning.critic_first_fraction)


def batch(learner: Any) -> Batch:
    """Draw the next mini-batch of an off-policy learner, early in its training."""
    drawn = learner.draw(Stream.REPLAY, learner.learning.batch)
    return learner.sample(drawn, _begun(learner))


def updated(experiment: Experiment, updates: int = 1) -> Any:
    """Make the off-policy learner of a small experiment, play one round, and let it update itself.

    Returns:
        The learner, to compare with one whose updates were made step by step.
    """
    made = learner(experiment)
    for _ in range(updates):
        made.updates += 1
        made.update(batch(made))
    return made


def agree(first: Any, second: Any) -> bool:
    """Return whether two learners have the same state to the bit: weights, optimisers, buffer, multipliers."""
    states = first.tensors(), second.tensors()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )
