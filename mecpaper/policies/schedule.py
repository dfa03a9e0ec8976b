r"""Schedules, the best settings of every slot, by dynamic programming and a price for energy.

Quality enters the reward as a mean over the slots so far, so $\sum_t \bar v(t) = \sum_s w_s v(s)$ with
$w_s = \sum_{t \ge s} 1/t$: quality early in the episode counts in all later slots (D11), a cost only once. The return
of a chunk whose role (local or sent) is fixed is therefore a sum over slots, battery penalties aside. With a price
$\lambda$ for energy and the size $S = \alpha f r^2$ of Eq. 2 it is

$$\sum_s w_s \bigl(\mu_1 a(r_s) + \mu_2 f^{fs}_s f^{fc}_s\bigr) - \kappa S_s, \qquad
  \kappa = \min \bigl(\beta_1 \ell + (\beta_2 + \lambda) e\bigr),$$

where $\ell$ and $e$ are latency and energy per bit, and the minimum is over the clock rate of a local chunk or the
power of a sent one. Only $f^{fc}$ couples slots, each to the one before, so dynamic programming over the frame rate
finds the best path. The price is the lowest that keeps the limit. A plan that does not see the time has $w_s = 1$,
their mean, and a constant path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mecpaper.config import GameConfig
from mecpaper.env.constants import Constants
from mecpaper.env.game import Game
from mecpaper.env.streams import Stream, generators
from mecpaper.policies.plans import LOCAL, SIGNALS, Plan, rehearse
from mecpaper.system import quality, tasks

FRAME_RATES, RESOLUTIONS, CLOCK_RATES, POWERS = 13, 401, 1001, 15
"""Points of the grids; the best frame rates are mostly at the ends of their range."""

MARGIN = 1e-3
"""Share of the limit that a schedule leaves, since the energy of senders varies between episodes."""


class Prices(NamedTuple):
    """Latency and energy per bit of one role, `[choice, setting]`, and the signal of each setting."""

    latency: Tensor
    energy: Tensor
    signals: Tensor


class Paths(NamedTuple):
    """Best paths, one per price of a bit."""

    value: Tensor  # [path], return less priced cost
    size: Tensor  # [path, slot], bit
    frame_rate: Tensor  # [path, slot], signal in [-1, 1]
    resolution: Tensor  # [path, slot], signal in [-1, 1]


def best_schedule(config: GameConfig, constrained: bool, family: Plan) -> tuple[NDArray, float]:
    """Find the best plan with fixed roles; see the module.

    Args:
        config: the game.
        constrained: keep the mean energy at or below C_limit.
        family: the family of the plan, which does not see its gain.
    Returns:
        The vector of the plan, and its mean reward per device and slot on the planning episodes.
    """
    here, away = _local_prices(config), _sent_prices(config)
    limit = (1.0 - MARGIN) * config.cost_limit_fraction * config.alike().battery_capacity

    def too_cheap(price: float) -> bool:
        return _at_price(config, here, away, price, family)[1] > limit

    lowest = _threshold(too_cheap) if constrained else 0.0
    # Dearer energy than the limit asks for can earn more where batteries fall below their threshold.
    prices = lowest + np.linspace(0.0, 0.5, 21)
    vectors = np.array([_at_price(config, here, away, price, family)[0] for price in prices])
    game = Game([config] * len(vectors), 4)
    policy = family.policy(game, torch.as_tensor(vectors, dtype=game.dtype))
    rewards = rehearse(policy, game, [0] * len(vectors))["reward"]
    best = int(rewards.argmax())
    return vectors[best], float(rewards[best])


def _threshold(too_low: Callable[[float], bool], highest: float = 1e3) -> float:
    """Find the lowest number from 0 that is not too low, by bisection; `highest` if all are."""
    if not too_low(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while too_low(high) and high < highest:
        low, high = high, 2.0 * high
    for _ in range(20):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return high


def _at_price(config: GameConfig, here: Prices, away: Prices, price: float, family: Plan) -> tuple[NDArray, float]:
    """Find the best plan at a price per J: its vector, and its energy per device and slot."""
    beta = config.cost_weights
    (local_rate, clock), (sent_rate, power) = (
        (beta[0] * role.latency + (beta[1] + price) * role.energy).min(dim=1) for role in (here, away)
    )
    local, sent = (best_paths(config, rates, family.timed) for rates in (local_rate, sent_rate))
    # Row m - 1 of `away` has m senders.
    share = torch.arange(config.devices + 1 if family.offloading else 1) / config.devices
    earned = torch.cat([torch.zeros(1, dtype=torch.float64), sent.value])
    m = int(((1.0 - share) * local.value + share * earned[: len(share)]).argmax())
    signals = torch.zeros(config.slots, len(SIGNALS), dtype=torch.float64)
    signals[:, :LOCAL] = _columns(local, 0, here.signals[clock[0]])
    energy = (1.0 - share[m]) * local.size[0].sum() * here.energy[0, clock[0]]
    if m:
        signals[:, LOCAL:] = _columns(sent, m - 1, away.signals[power[m - 1]])
        energy = energy + share[m] * sent.size[m - 1].sum() * away.energy[m - 1, power[m - 1]]
    vector = np.concatenate(
        [[2.0 * float(share[m]) - 1.0], signals[: config.slots if family.timed else 1].flatten().numpy()]
    )
    return vector, float(config.chunks / config.slots * energy)


def _columns(paths: Paths, index: int, setting: Tensor) -> Tensor:
    """Compose the signals of a role, `[slot, 3]`."""
    return torch.stack([paths.frame_rate[index], paths.resolution[index], setting.expand(paths.size.shape[1])], dim=-1)


def best_paths(config: GameConfig, rates: Tensor, timed: bool = True) -> Paths:
    """Find the frame rates and resolutions that earn most in an episode, for prices of a bit.

    Args:
        config: the game; its quality, ranges and slots.
        rates: `[path]`, cost per bit.
        timed: whether paths follow the weights of the slots; without them they are constant.
    """
    ticks = [torch.linspace(-1.0, 1.0, count, dtype=torch.float64) for count in (FRAME_RATES, RESOLUTIONS)]
    ranges = (config.frame_rate, config.resolution)
    frame_rate, resolution = (tasks.scale_to_range(t, *ends) for t, ends in zip(ticks, ranges, strict=True))
    size = tasks.chunk_size(config.bits_per_pixel, frame_rate.unsqueeze(1), resolution)
    constants = Constants.of([config], resolution.device, resolution.dtype)
    accuracy = config.quality_weights[0] * constants.accuracy(resolution).flatten()
    fullness = config.quality_weights[1] * quality.frame_smoothness(frame_rate, config.frame_rate[1])
    change = quality.frame_change(frame_rate, frame_rate.unsqueeze(1), config.readings.frame_change)
    smooth = quality.smoothness(fullness, change)
    cost = rates.view(-1, 1, 1) * size
    weights = torch.ones(config.slots, dtype=torch.float64)
    if timed:
        weights = (weights / torch.arange(1, config.slots + 1)).flip(0).cumsum(0).flip(0)
    # Forward over the slots: the best value that ends at each frame rate; then back along the choices.
    value, picks, froms = torch.zeros(()), [], []
    for slot, weight in enumerate(weights):
        earned, pick = (weight * accuracy - cost).max(dim=-1)
        if slot == 0:
            value = earned + weight * fullness
        else:
            reached, before = (value.unsqueeze(-1) + weight * smooth).max(dim=-2)
            value = reached + earned
            froms.append(before)
        picks.append(pick)
    value, at = value.max(dim=-1)
    path = [at]
    for before in reversed(froms):
        path.append(before.gather(-1, path[-1].unsqueeze(-1)).squeeze(-1))
    rate = torch.stack(path[::-1], dim=-1)
    pick = torch.stack(picks, dim=1).gather(-1, rate.unsqueeze(-1)).squeeze(-1)
    return Paths(value, size[rate, pick], ticks[0][rate], ticks[1][pick])


def _local_prices(config: GameConfig) -> Prices:
    """Measure latency and energy per bit at each clock rate."""
    signals = torch.linspace(-1.0, 1.0, CLOCK_RATES)
    vectors = torch.zeros(CLOCK_RATES, 1 + len(SIGNALS))
    vectors[:, 0], vectors[:, LOCAL] = -1.0, signals
    latency, energy = _per_bit(config.changed(slots=1), vectors)
    return Prices(latency.view(1, -1), energy.view(1, -1), signals.double())


def _sent_prices(config: GameConfig) -> Prices:
    """Measure latency and energy per bit for every number of senders and each power, insecure requests included."""
    signals = torch.linspace(-1.0, 1.0, POWERS)
    vectors = torch.zeros(config.devices, POWERS, 1 + len(SIGNALS))
    vectors[..., 0] = 2.0 * torch.arange(1, config.devices + 1).unsqueeze(1) / config.devices - 1.0
    vectors[..., -1] = signals
    latency, energy = _per_bit(config, vectors.flatten(0, 1))
    return Prices(latency.view(-1, POWERS), energy.view(-1, POWERS), signals.double())


@torch.no_grad()
def _per_bit(config: GameConfig, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Play stationary plans; the mean latency and energy per bit of the chunks asked to be sent, or of all if none is.

    Args:
        config: the game.
        vectors: `[run, entry]` of a stationary plan.
    """
    game = Game([config] * len(vectors), 2)
    game.reset(generators([0] * len(vectors), Stream.PLAN))
    policy, nothing = Plan().policy(game, vectors), torch.empty(0)
    sums = torch.zeros(2, len(vectors), dtype=torch.float64)
    for _ in range(config.slots):
        slot = game.step(policy(nothing, nothing))
        asked = slot.requested + (slot.requested.sum(dim=(1, 2, 3), keepdim=True) == 0)
        size = tasks.chunk_size(config.bits_per_pixel, slot.frame_rate, slot.resolution)
        for total, spent in zip(sums, (slot.latency, slot.energy), strict=True):
            total += (asked * spent / size).double().sum(dim=(1, 2, 3)) / asked.double().sum(dim=(1, 2, 3))
    latency, energy = sums / config.slots
    return latency, energy
