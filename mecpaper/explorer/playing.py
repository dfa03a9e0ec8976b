"""Play the episodes of a state and measure them, without drawing or widgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from numpy.typing import NDArray
from torch import Tensor

from mecpaper.config import Config, ConfigError, GameConfig
from mecpaper.env.game import Game, Slot
from mecpaper.env.measures import Measures
from mecpaper.env.streams import Stream, generators
from mecpaper.explorer.state import State, attackers_of, game_of, point_of, span
from mecpaper.policies.controls import CONTROLS, Control
from mecpaper.policies.library import Controllers
from mecpaper.policies.stored import StoredPolicy
from mecpaper.system import channel, secrecy

DEVICE_EPISODES = 320
"""Devices times episodes played for a figure: 16 episodes of 20 devices."""

SITUATIONS = 64
"""Sampled slots over which the plane of power and gain is averaged."""


@dataclass(frozen=True)
class Result:
    """Result of a state as plain arrays; a request is a chunk for which offloading was requested."""

    state: State
    game: GameConfig
    label: str  # of the controller
    point: str | None  # operating point of params.yaml, None for any other game
    attackers: dict[str, tuple[float, float]]  # scenario -> range of gains, dB
    measures: dict[str, float]  # as `Measures.result`
    request_rate: NDArray  # [request], worst-case secrecy rate as requested, Mbit/s
    request_done: NDArray  # [request], whether it was executed
    request_power: NDArray  # [request], W
    request_gain: NDArray  # [request], dB
    episode_sor: NDArray  # [episode], NaN without requests
    slot_sor: NDArray  # [episode * slot], those with requests
    terms: dict[str, NDArray]  # name -> [slot], mean over devices, Eq. 24
    battery: NDArray  # [slot + 1, device], first episode, J
    battery_mean: NDArray  # [slot + 1], all episodes, J
    energy: NDArray  # [slot, 3], mean, 5 % and 95 % quantile over device-slots, J
    offload: NDArray  # [slot, 2], share of chunks requested and executed
    power: NDArray  # [p], axis of the plane, W
    gain: NDArray  # [g], axis of the plane, dB
    secure: NDArray  # [g, p], share of situations in which a chunk is secure
    cost_limit: float  # J
    threshold: float  # J
    notices: tuple[str, ...]  # see `notices`


@torch.no_grad()
def compute(settings: Config, state: State, controllers: Controllers = CONTROLS) -> Result:
    """Play a state's episodes without exploration noise and measure them; the same state gives the same result.

    Args:
        settings: params.yaml.
        state: setting to play.
        controllers: policies that the state may name.
    Raises:
        ConfigError: an invalid state, in one line.
    """
    config = game_of(settings, state)
    if state.controller not in controllers:
        raise ConfigError(f"controller = {state.controller!r}: one of {', '.join(controllers)}")
    controller = controllers[state.controller]
    game = Game([config], max(1, DEVICE_EPISODES // config.devices))
    act = controller.policy(game)
    observation = game.reset(generators([state.episodes], Stream.EVALUATION))
    source = generators([state.episodes], Stream.POLICY)[0]
    uniform = torch.rand(game.slots, 1, game.envs, game.devices, game.action_size, generator=source)
    first_gain = game.observation_names.index("gain_db_1")
    slots, others = [], []
    for t in range(game.slots):
        gain = observation[..., first_gain : first_gain + game.chunks]
        slot = game.step(act(observation, uniform[t]))
        slots.append(slot)
        others.append((gain, game.rates(t, slot.requested, slot.transmit_power)[1]))
        observation = game.observe()
    whole = {part.name: torch.cat([getattr(slot, part.name) for slot in slots], dim=1) for part in fields(Slot)}
    measures = Measures(game)
    measures.add(Slot(**whole))  # at once: to the measures, slots are as many episodes
    # From here on without the axis of runs: [slot, env, device, chunk] or [slot, env, device].
    names = ("requested", "offload", "transmit_power", "quality", "compute_cost", "penalty", "battery", "reward")
    requested, offload, power, quality, cost, penalty, battery, reward = (
        whole[name][0].unflatten(0, (game.slots, -1)) for name in names
    )
    energy = whole["energy"][0].sum(dim=-1).unflatten(0, (game.slots, -1))
    gain, rate = (torch.stack(part)[:, 0] for part in zip(*others, strict=True))
    wanted = requested > 0
    asked, done = (part.sum(dim=(2, 3)) for part in (requested, offload))
    full = game.battery_capacity[0]
    quantiles = torch.quantile(energy.flatten(1), torch.tensor([0.05, 0.95]), dim=1)
    attackers = attackers_of(settings)
    bounds = [config.gain_range, *attackers.values()]
    own_db = torch.linspace(min(b[0] for b in bounds) - 0.5, max(b[1] for b in bounds) + 2.0, 21)
    own, secure = secure_plane(config, own_db, offload, power, gain, state.episodes)
    return Result(
        state=state,
        game=config,
        label=controller.label,
        point=point_of(settings, config),
        attackers=attackers,
        measures={name: float(value[0]) for name, value in measures.result().items()},
        request_rate=(rate[wanted] / 1e6).numpy(),
        request_done=(offload[wanted] > 0).numpy(),
        request_power=power[wanted].numpy(),
        request_gain=gain[wanted].numpy(),
        episode_sor=(done.sum(0) / asked.sum(0)).numpy(),
        slot_sor=(done / asked)[asked > 0].numpy(),
        terms={
            "quality": quality.sum(-1).mean((1, 2)).numpy(),
            "cost": -cost.sum(-1).mean((1, 2)).numpy(),
            "penalty": -game.chunks * penalty.mean((1, 2)).numpy(),
            "reward": reward.mean((1, 2)).numpy(),
        },
        battery=torch.cat([full, battery[:, 0]]).numpy(),
        battery_mean=torch.cat([full, battery.mean(1)]).mean(-1).numpy(),
        energy=torch.stack([energy.mean((1, 2)), *quantiles], dim=1).numpy(),
        offload=torch.stack([part.mean((1, 2, 3)) for part in (requested, offload)], dim=1).numpy(),
        power=own.numpy(),
        gain=own_db.numpy(),
        secure=secure.numpy(),
        cost_limit=float(game.cost_limit.mean()),
        threshold=float(game.battery_threshold.mean()),
        notices=tuple(notices(settings, state, controller, game)),
    )


def notices(settings: Config, state: State, controller: StoredPolicy | Control, game: Game) -> Iterator[str]:
    """Yield a line for each way in which a controller is used outside the setting of its training or planning."""
    if settings.game.traces is not None:
        yield f"Gains and harvests are those of {settings.game.traces}: their controls change nothing."
    if isinstance(controller, Control):
        if controller.planned and state.changes(settings.game):
            yield "Planned for the default setting; its actions stay the same here."
        return
    names = {"gain_db": ("g", "dB"), "battery_capacity": ("battery", "J"), "harvest_fraction": ("harvest", "of it")}
    outside = []
    for key, (minimum, maximum) in controller.trained_range(game).items():
        low, high = state.range_of(key)
        margin = 1e-3 * max(1.0, abs(maximum))
        if low < minimum - margin or high > maximum + margin:
            name, unit = names[key]
            outside.append(f"{name} = {span(low, high)} {unit} (trained on {span(minimum, maximum)})")
    if outside:
        yield f"Outside the training range: {'; '.join(outside)}."
    limit, devices = controller.cost_limit_fraction, controller.devices
    if limit is not None and state.cost_limit_fraction != limit:
        yield f"Trained for a limit of {limit:g} of the battery: another limit changes the measures, not the actions."
    if state.devices > devices:
        yield (
            f"Trained for {devices} devices, one actor each. With {state.devices} devices the actors repeat: "
            f"device {devices + 1} uses the actor of device 1, and so on."
        )
    elif state.devices < devices:
        yield f"Trained for {devices} devices, one actor each; only the first {state.devices} are used."


def secure_plane(
    config: GameConfig, own_db: Tensor, offload: Tensor, power: Tensor, gain: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Compute where offloading is secure, over own power and gain, given the others' transmissions, Eq. 5-13.

    Situations are sampled from the played slots. In each, one device is replaced by a probe with the power and gain of
    the plane; all others transmit as played. The estimation errors of the gains are drawn again.

    Args:
        config: the game.
        own_db: own gains, `[g]`, dB.
        offload, power, gain: `[slot, env, device, chunk]`: executed or not, W, true gain in dB.
        seed: seed of the situations and the errors.
    Returns:
        Own powers `[p]`, W; share of situations in which the probe is secure, `[g, p]`.
    """
    source, readings = torch.Generator().manual_seed(seed), config.readings
    flat = [part.transpose(2, 3).flatten(0, 2) for part in (offload, power, gain)]
    moments = torch.randint(len(flat[0]), (SITUATIONS,), generator=source)
    probe = torch.randint(config.devices, (SITUATIONS, 1), generator=source)
    sent, others_power, others_db = (part[moments] for part in flat)
    received = sent.scatter(1, probe, 0.0) * others_power
    low, high = config.alike().transmit_power
    own = torch.linspace(low, high, 41)
    # The same share of the maximum gain as in the game (D7), in dB or linear.
    largest = config.gain_range[1]
    top = largest if readings.gain_error == "decibel" else 10.0 ** (largest / 10.0)
    error = config.gain_error_fraction * top
    heard_db, probe_db = others_db, own_db.expand(SITUATIONS, -1)
    if readings.eavesdropper_gain == "independent":
        heard_db = secrecy.draw_gain(torch.rand(others_db.shape, generator=source), *config.gain_range)
        probe_db = secrecy.draw_gain(torch.rand(probe_db.shape, generator=source), *config.gain_range)
    draws = torch.rand(heard_db.shape, generator=source)
    minimum = secrecy.estimated_gain_set(heard_db, draws, error, readings.gain_error, readings.gain_set)[2]
    draws = torch.rand(SITUATIONS, 1, generator=source).expand_as(probe_db)
    maximum = secrecy.estimated_gain_set(probe_db, draws, error, readings.gain_error, readings.gain_set)[1].unsqueeze(
        -1
    )
    # Orthogonal access has no interference; it also divides both bandwidths by N, which does not change the sign.
    crowded = 0.0 if readings.access == "orthogonal" else 1.0
    at_server = crowded * (received * channel.from_decibel(others_db)).sum(dim=1).view(-1, 1, 1)
    at_eavesdropper = crowded * (received * minimum).sum(dim=1).view(-1, 1, 1)
    listening = own if readings.listening_power == "user" else config.eavesdropper_power
    wanted = own * channel.from_decibel(own_db).unsqueeze(-1)
    upload = channel.shannon_rate(config.bandwidth, wanted, config.noise_power + at_server)
    noise = config.eavesdropper_noise_power + at_eavesdropper
    heard = channel.shannon_rate(config.bandwidth, listening * maximum, noise)
    return own, secrecy.is_secure(upload - heard).float().mean(dim=0)
