"""The constrained Markov game as a PettingZoo `ParallelEnv`: one run, one env, dictionaries of NumPy arrays.

    from mecpaper import config
    from mecpaper.env.parallel import parallel_env

    env = parallel_env(config.load().game)

The numbers equal those of `mecpaper.env.game.Game` in double precision. Needs the extra `game` of pyproject.toml.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from mecpaper.config import GameConfig
from mecpaper.env.game import Game, Slot
from mecpaper.env.streams import Stream, generators


class SecureOffloading(ParallelEnv):
    r"""Video offloading under eavesdropping with one agent per device, Eq. 32-36.

    Agents: `device_0`, ..., `device_{N-1}`. All agents act in every slot until the end of the episode.

    Observation: `Box`, float32, `[feature]` in the order of `game.observation_names`, centred and scaled by
    `Game.observation_range`. Gains, battery and harvest lie in [-1, 1]; constants are 0. Only the running means of
    the augmented observation are unbounded.

    Action: `Box(-1, 1)`, float32, `[5 K]`, chunk by chunk (offload, frame rate, resolution, transmit power, CPU
    frequency). A positive first entry requests offloading; the others are mapped from [-1, 1] onto their ranges.

    Reward: the device's own R_n of Eq. 24; the objective, Eq. 25, is the sum over devices and slots.

    Termination: never. Truncation: after T slots, for all devices, since T is a time limit (D26).

    Info of a device after a step (empty after `reset`):

    - quality, compute_cost, penalty: the terms of the reward summed over the chunks, Eq. 14, 20, 23;
      reward = quality - compute_cost - penalty.
    - cost, cost_limit: energy of the slot and its limit, J, Eq. 39 (D21, D22).
    - requested, executed: `[K]`, x before and after the mask of Eq. 13, in {0, 1}.
    - secrecy_rate: `[K]`, Eq. 12 as executed, bit/s; only chunks with x = 1 are transmitted.

    Args:
        config: the constants of the game.
    """

    def __init__(self, config: GameConfig) -> None:
        self.game = Game([config], envs=1, dtype=torch.float64)
        self.metadata = {"name": "mecpaper_secure_offloading", "render_modes": [], "is_parallelizable": True}
        self.render_mode = None
        self.possible_agents = [f"device_{n}" for n in range(self.game.devices)]
        self.agents: list[str] = []
        self._generators: list[torch.Generator] = []
        self._centre, self._half = self.game.observation_range()
        ends = [np.inf if name.startswith("mean_") else 1.0 for name in self.game.observation_names]
        bound = np.array(ends, dtype=np.float32)
        size = (self.game.action_size,)
        self.observation_spaces = {agent: Box(-bound, bound) for agent in self.possible_agents}
        self.action_spaces = {agent: Box(-1.0, 1.0, size, np.float32) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> Box:
        """Return the space of a device's observations, the same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """Return the space of a device's actions, the same object at every call."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Begin an episode with full batteries.

        Args:
            seed: makes this episode and the following ones reproducible; of larger ones, as libraries derive them
                for further copies, the remainder by 2**31 counts. Without a seed the random streams continue; the
                first episode then has a random seed.
            options: not used.
        Returns:
            Observation and an empty info for every device.
        """
        if seed is None and not self._generators:
            seed = torch.Generator().seed() % 2**31
        if seed is not None:
            self._generators = generators([seed % 2**31 if seed > 0 else seed], Stream.PARALLEL_ENV)
        self.game.reset(self._generators)
        self.agents = list(self.possible_agents)
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, NDArray]) -> tuple[dict, dict, dict, dict, dict]:
        """Play one slot.

        Args:
            actions: device -> `[5 K]`, for all devices; clipped to [-1, 1].
        Returns:
            Observation, reward, termination, truncation and info for every device.
        Raises:
            RuntimeError: no episode is in progress.
            ValueError: a missing action, or one of the wrong shape or not finite.
        """
        if not self.agents:
            raise RuntimeError("step without an episode in progress: call reset first")
        for agent in self.agents:
            action = np.asarray(actions.get(agent), dtype=float)
            if action.shape != (self.game.action_size,) or not np.isfinite(action).all():
                raise ValueError(f"action of {agent}: {self.game.action_size} finite numbers")
        joint = torch.as_tensor(np.stack([actions[agent] for agent in self.agents]), dtype=torch.float64)
        slot = self.game.step(joint.view(1, 1, self.game.devices, -1))
        over, agents = self.game.slot == self.game.slots, self.agents
        self.agents = [] if over else agents
        reward = {agent: float(slot.reward[0, 0, n]) for n, agent in enumerate(agents)}
        info = {agent: self._info(slot, n) for n, agent in enumerate(agents)}
        return self._observations(), reward, dict.fromkeys(agents, False), dict.fromkeys(agents, over), info

    def _observations(self) -> dict[str, NDArray]:
        scaled = ((self.game.observe() - self._centre.unsqueeze(1)) / self._half.unsqueeze(1))[0, 0]
        return dict(zip(self.possible_agents, scaled.to(torch.float32).numpy(), strict=True))

    def _info(self, slot: Slot, device: int) -> dict[str, Any]:
        here = 0, 0, device
        return {
            "quality": float(slot.quality[here].sum()),
            "compute_cost": float(slot.compute_cost[here].sum()),
            "penalty": self.game.chunks * float(slot.penalty[here]),
            "cost": float(slot.cost[here]),
            "cost_limit": float(self.game.cost_limit[0, 0, device]),
            "requested": slot.requested[here].numpy(),
            "executed": slot.offload[here].numpy(),
            "secrecy_rate": slot.secrecy_rate[here].numpy(),
        }


parallel_env = SecureOffloading
"""The name under which PettingZoo's modules export their environment."""
