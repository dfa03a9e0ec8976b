"""AgileRL's MADDPG and MATD3, one `learn` per request. Runs in the environment of agilerl.txt.

Arguments: threads, agents, observation, action, batch.

The networks are AgileRL's own classes, put together so that the widths are 256-128-64 (its default configuration cannot
give actor and critic the same three widths): an actor is 256-128 (encoder), 64 (head), tanh; a critic takes the joint
observation through a layer of 256 and joins the joint action at the second layer, 128-64, as its `ContinuousQNetwork`
does. No layer normalisation. Every agent has its own actor and critic: the names of the agents carry no common stem,
otherwise AgileRL would let them share one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from agilerl.algorithms import MADDPG, MATD3
from agilerl.networks import ContinuousQNetwork, DeterministicActor
from agilerl.utils.algo_utils import concatenate_spaces
from gymnasium.spaces import Box, Dict
from tensordict import TensorDict

from benchmarks.rivals import answering, serve

PLAIN = {"layer_norm": False, "output_vanish": False, "init_layers": False}
"""Linear layers as torch starts them, and nothing between them but the activation."""


def actor(observation: Box, action: Box) -> DeterministicActor:
    """observation -> 256-128-64 ReLU -> tanh."""
    return DeterministicActor(
        observation,
        action,
        encoder_config={"hidden_size": [256], **PLAIN},
        head_config={"hidden_size": [64], **PLAIN},
        latent_dim=128,
    )


def critic(observations: dict[str, Box], actions: dict[str, Box]) -> ContinuousQNetwork:
    """Joint observation -> 256, with the joint action -> 128-64 -> value."""
    return ContinuousQNetwork(
        Dict(observations),
        concatenate_spaces(list(actions.values())),
        encoder_config={"output_activation": "ReLU"},
        head_config={"hidden_size": [128, 64], **PLAIN},
        latent_dim=256,
        max_latent_dim=256,
    )


def make(
    algorithm: type,
    observations: dict[str, Box],
    actions: dict[str, Box],
    begin: Callable[[DeterministicActor], None] = lambda actor: None,
    **settings: Any,
) -> MADDPG | MATD3:
    """A learner with networks of 256-128-64 for every agent of its own; `begin` is done to each new actor."""
    actors = [actor(observations[name], actions[name]) for name in observations]
    for made in actors:
        begin(made)
    if algorithm is MATD3:
        critics = [[critic(observations, actions) for _ in observations] for _ in range(2)]
    else:
        critics = [critic(observations, actions) for _ in observations]
    return algorithm(
        list(observations.values()),
        list(actions.values()),
        agent_ids=list(observations),
        actor_networks=actors,
        critic_networks=critics,
        **settings,
    )


def main() -> None:
    answer = answering()
    threads, agents, observation, action, batch = (int(value) for value in sys.argv[1:6])
    torch.set_num_threads(threads)
    names = [f"device{n}" for n in range(agents)]
    observations = {name: Box(-1.0, 1.0, (observation,), np.float32) for name in names}
    actions = {name: Box(-1.0, 1.0, (action,), np.float32) for name in names}

    def part(width: int) -> TensorDict:
        return TensorDict({name: 2.0 * torch.rand(batch, width) - 1.0 for name in names}, [batch])

    done = TensorDict({name: torch.zeros(batch, 1) for name in names}, [batch])
    parts = {"obs": part(observation), "action": part(action), "reward": part(1), "next_obs": part(observation)}
    experiences = TensorDict({**parts, "done": done}, [batch])
    settings = {"batch_size": batch, "lr_actor": 1e-3, "lr_critic": 1e-3, "gamma": 0.6, "tau": 0.01}
    maddpg = make(MADDPG, observations, actions, **settings)
    matd3 = make(MATD3, observations, actions, policy_freq=2, **settings)
    for learner in (maddpg, matd3):
        if learner.has_grouped_agents():
            raise RuntimeError("agents share networks")
    about = {"agilerl": version("agilerl"), "torch": torch.__version__}
    serve(
        answer,
        about,
        {
            "maddpg": lambda: maddpg.learn(experiences),
            # Two calls: the actors learn at every second one.
            "matd3": lambda: (matd3.learn(experiences), matd3.learn(experiences)),
        },
    )


if __name__ == "__main__":
    main()
