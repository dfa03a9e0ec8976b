"""AgileRL's MADDPG learning this game through its PettingZoo environment. Runs in the environment of agilerl.txt.

Arguments: threads, seed, scale of params.yaml, slots per `learn`, budget in seconds, level at which to stop.

The loop is that of AgileRL's `train_multi_agent_off_policy` (act, step, store, sample, learn) with what the project's
own training has: the same number of episodes at once, of joint transitions in the buffer and of warm-up episodes, the
same start of the actors' last layer, the same exploration (noise that stays for an episode, added here to the
noise-free actions of `get_action`, since AgileRL cannot anneal its own), the same first learning rates, discount,
target rate, batch and reward scale. AgileRL has no clipping of gradients, no penalty on saturated outputs, no updates
of the critic alone, and no falling rates. Networks are those of agilerl_speed.py, an actor and a critic per agent.
Every evaluation is sent as a line with the seconds since the start.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from agilerl.algorithms import MADDPG
from agilerl.components.data import MultiAgentTransition, transition_to_tensordict
from agilerl.components.replay_buffer import ReplayBuffer
from agilerl.networks import DeterministicActor
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.rivals import answering
from benchmarks.rivals.agilerl_speed import make
from mecpaper.algorithms.replay import annealed
from mecpaper.config import Config, LearningConfig, load
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.env.parallel import parallel_env
from mecpaper.env.streams import Stream, generators


class Copies:
    """Several copies of the PettingZoo environment in step; dictionaries of arrays with one row per copy.

    The agents' names lose their underscore, since AgileRL lets agents share networks whose names share a stem.
    """

    def __init__(self, config: Config, count: int, seed: int) -> None:
        self.envs = [parallel_env(config.game) for _ in range(count)]
        self.seeds: list[int | None] = [1000 * seed + number for number in range(count)]
        self.names = {agent: agent.replace("_", "") for agent in self.envs[0].possible_agents}
        self.observations = {self.names[agent]: space for agent, space in self.envs[0].observation_spaces.items()}
        self.actions = {self.names[agent]: space for agent, space in self.envs[0].action_spaces.items()}

    def _rows(self, parts: list[dict]) -> dict[str, NDArray]:
        return {name: np.stack([part[agent] for part in parts]) for agent, name in self.names.items()}

    def reset(self) -> dict[str, NDArray]:
        """Begin an episode in every copy."""
        seen = [env.reset(seed=seed)[0] for env, seed in zip(self.envs, self.seeds, strict=True)]
        self.seeds = [None] * len(self.envs)
        return self._rows(seen)

    def step(self, actions: dict[str, NDArray]) -> tuple[dict[str, NDArray], dict[str, NDArray], dict[str, NDArray]]:
        """Play a slot in every copy; observations, rewards and terminations."""
        played = [
            env.step({agent: actions[name][row] for agent, name in self.names.items()})
            for row, env in enumerate(self.envs)
        ]
        observation, reward, done = (self._rows([part[place] for part in played]) for place in range(3))
        return observation, reward, done


class Exploration:
    """The project's exploration (D35): noise that lasts, added to the policy's actions from the first episode on.

    Args:
        config: the configuration.
        learning: the learner's section.
        copies: what is played.
        source: of the draws.
    """

    def __init__(self, config: Config, learning: LearningConfig, copies: Copies, source: torch.Generator) -> None:
        self.learning, self.names, self.source = learning, list(copies.names.values()), source
        self.shape = (config.game.slots, len(copies.envs), config.game.devices, 5 * config.game.chunks)

    def episode(self, done: float) -> list[dict[str, NDArray]]:
        """The noise of every slot."""
        correlation = self.learning.noise_correlation
        fresh = (1.0 - correlation**2) ** 0.5
        values = torch.randn(self.shape, generator=self.source)
        for t in range(1, len(values)):
            values[t] = correlation * values[t - 1] + fresh * values[t]
        values *= annealed(tuple(self.learning.noise), done / self.learning.noise_until)
        return [{name: row[:, n].numpy() for n, name in enumerate(self.names)} for row in values]


def measure(agent: MADDPG, game: Game, seed: int) -> float:
    """Mean reward per device and slot without noise, on the project's evaluation episodes."""
    centre, half = (part.unsqueeze(1) for part in game.observation_range())

    def policy(observation: Tensor, uniform: Tensor) -> Tensor:
        scaled = (observation - centre) / half
        actions = [actor(scaled[0, :, n]) for n, actor in enumerate(agent.actors.values())]
        return torch.stack(actions, dim=1).unsqueeze(0)

    return float(evaluate(policy, game, [seed])["reward"][0])


def begin(actor: DeterministicActor, learning: LearningConfig) -> None:
    """Start the actor's last layer as the project's actors start (D40)."""
    last = actor.head_net.get_output_dense()
    with torch.no_grad():
        last.weight *= learning.actor_output_start
        last.bias *= learning.actor_output_start


def main() -> None:
    answer = answering()
    threads, seed, slots_per_learn = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
    budget, level = float(sys.argv[5]), float(sys.argv[6])
    torch.set_num_threads(threads)
    config = load()
    scale, (learning, _) = config.scales[sys.argv[3]], config.learner_with("maddpg", config.changes("default"))
    game = Game([config.game], config.evaluation.curve_episodes)
    answer({"agilerl": version("agilerl"), "torch": torch.__version__})

    started = time.perf_counter()
    torch.manual_seed(seed)
    copies = Copies(config, scale.episodes_at_once, seed)
    agent = make(
        MADDPG,
        copies.observations,
        copies.actions,
        partial(begin, learning=learning),
        batch_size=learning.batch,
        lr_actor=learning.actor_learning_rate,
        lr_critic=learning.critic_learning_rate,
        gamma=learning.reward_discount,
        tau=learning.polyak,
    )
    agent.set_training_mode(False)  # get_action without AgileRL's own noise
    memory = ReplayBuffer(learning.buffer)
    explore = Exploration(config, learning, copies, *generators([seed], Stream.NOISE))
    updates = slots_since = episode = 0
    reward = measure(agent, game, config.evaluation.seed)
    while True:
        seconds = time.perf_counter() - started
        if episode % scale.curve_every == 0:
            answer({"seconds": seconds, "episode": episode, "updates": updates, "reward": reward})
        if seconds > budget or reward >= level:
            break
        warm_up = episode < learning.warmup_fraction * scale.episodes
        observation = copies.reset()
        for noise in explore.episode(episode / scale.episodes):
            chosen, _ = agent.get_action(observation)
            action = {name: np.clip(value + noise[name], -1.0, 1.0) for name, value in chosen.items()}
            following, rewards, done = copies.step(action)
            scaled = {name: learning.reward_scale * value for name, value in rewards.items()}
            transition = transition_to_tensordict(
                MultiAgentTransition(obs=observation, action=action, reward=scaled, next_obs=following, done=done)
            )
            transition.batch_size = torch.Size([len(copies.envs)])
            memory.add(transition)
            observation = following
            slots_since += not warm_up
            if slots_since == slots_per_learn:
                agent.learn(memory.sample(learning.batch))
                updates, slots_since = updates + 1, 0
        episode += scale.episodes_at_once
        if episode % scale.curve_every == 0:
            reward = measure(agent, game, config.evaluation.seed)
    answer({"end": True, "seconds": time.perf_counter() - started, "episode": episode, "updates": updates})


if __name__ == "__main__":
    main()
