"""MADDPG as it is usually written: a loop over agents, each with networks and optimisers of its own.

Plain torch, one module per network. For every agent in turn: the critic's step towards r + gamma Q'(s', a') with all
target actors' actions, then the actor's step up its own critic with its own action put in place of the stored one;
soft target updates at the end. Actors see their own observation, critics the joint observation and action (Lowe et
al. 2017, Algorithm 1). The loop is written with care: next actions and joint tensors are computed once per update, not
once per agent.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def network(inputs: int, hidden: list[int], outputs: int, last: nn.Module) -> nn.Sequential:
    """Linear layers with ReLU between them, and `last` at the end."""
    sizes = [inputs, *hidden, outputs]
    layers: list[nn.Module] = []
    for left, right in pairwise(sizes):
        layers += [nn.Linear(left, right), nn.ReLU()]
    return nn.Sequential(*layers[:-1], last)


class Agent:
    """One agent's networks, their targets and optimisers."""

    def __init__(
        self, agents: int, observation: int, action: int, hidden: list[int], rates: tuple[float, float]
    ) -> None:
        self.actor = network(observation, hidden, action, nn.Tanh())
        self.critic = network(agents * (observation + action), hidden, 1, nn.Identity())
        self.target_actor = network(observation, hidden, action, nn.Tanh())
        self.target_critic = network(agents * (observation + action), hidden, 1, nn.Identity())
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target_critic.load_state_dict(self.critic.state_dict())
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=rates[0])
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=rates[1])


class TextbookMADDPG:
    """MADDPG by a loop over agents.

    Args:
        agents, observation, action: sizes.
        hidden: widths of the hidden layers of actors and critics.
        rates: learning rates of actors and critics.
        discount, polyak, gradient_norm: gamma, tau, and where the norm of a network's gradient is clipped.
    """

    def __init__(
        self,
        agents: int,
        observation: int,
        action: int,
        hidden: list[int],
        rates: tuple[float, float],
        discount: float,
        polyak: float,
        gradient_norm: float,
    ) -> None:
        self.agents = [Agent(agents, observation, action, hidden, rates) for _ in range(agents)]
        self.discount, self.polyak, self.gradient_norm = discount, polyak, gradient_norm

    def learn(self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> None:
        """One update of every agent; `[batch, agent, .]`, the reward `[batch, agent]`."""
        state, next_state = observation.flatten(1), next_observation.flatten(1)
        with torch.no_grad():
            chosen = [agent.target_actor(next_observation[:, n]) for n, agent in enumerate(self.agents)]
            joint_next = torch.cat([next_state, *chosen], dim=1)
        joint = torch.cat([state, action.flatten(1)], dim=1)
        for n, agent in enumerate(self.agents):
            with torch.no_grad():
                target = reward[:, n : n + 1] + self.discount * agent.target_critic(joint_next)
            loss = nn.functional.mse_loss(agent.critic(joint), target)
            agent.critic_optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.critic.parameters(), self.gradient_norm)
            agent.critic_optimiser.step()

            own = [action[:, m] for m in range(len(self.agents))]
            own[n] = agent.actor(observation[:, n])
            loss = -agent.critic(torch.cat([state, *own], dim=1)).mean()
            agent.actor_optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.actor.parameters(), self.gradient_norm)
            agent.actor_optimiser.step()
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        for agent in self.agents:
            pairs = ((agent.target_actor, agent.actor), (agent.target_critic, agent.critic))
            for target, network in pairs:
                for old, new in zip(target.parameters(), network.parameters(), strict=True):
                    old.lerp_(new, self.polyak)
