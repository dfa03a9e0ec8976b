"""The constrained Markov game of Section 4.1, batched: axes `[run, env, device, chunk]`.

One `Game` carries several runs, each with its own constants (battery, harvest, attacker, ...), and several
independent copies (envs) of each run. All randomness of an episode is drawn at `reset` from one generator per
run, on the CPU and in double precision, so that a run's trajectory depends on its seed and actions alone: not
on the runs it is batched with, the device it computes on, or the order of calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from mecpaper.config import ConfigError, GameConfig
from mecpaper.env import recorded
from mecpaper.env.constants import Constants
from mecpaper.env.episode import Windows, begin_episode
from mecpaper.env.settled import settled_offload
from mecpaper.system import channel, energy, latency, quality, secrecy, tasks


@dataclass(frozen=True)
class Slot:
    """All that happened in one slot. Shapes `[run, env, device, chunk]` or `[run, env, device]`; SI units."""

    requested: Tensor  # x as requested, after Eq. 1
    secure_request: Tensor  # bool: the request satisfied Eq. 13 as requested
    offload: Tensor  # x as executed, Eq. 13 and C6
    frame_rate: Tensor
    resolution: Tensor
    transmit_power: Tensor
    cpu_frequency: Tensor
    upload_rate: Tensor  # Eq. 5, as executed
    secrecy_rate: Tensor  # Eq. 12, as executed
    latency: Tensor  # Eq. 21
    energy: Tensor  # Eq. 22
    accuracy: Tensor  # Eq. 16
    smoothness: Tensor  # summand of Eq. 17
    quality: Tensor  # Eq. 14
    compute_cost: Tensor  # Eq. 20
    penalty: Tensor  # [run, env, device], Eq. 23
    battery: Tensor  # [run, env, device], at the end of the slot, Eq. 8
    reward: Tensor  # [run, env, device], Eq. 24
    cost: Tensor  # [run, env, device], what Eq. 39 bounds: the energy of the slot, in J (D21)


class Game:
    """Batched constrained Markov game, Eq. 32-36 over the system model Eq. 1-24.

    Args:
        configs: one GameConfig per run; those of `GameConfig.SHARED` must agree.
        envs: independent copies of the game per run.
        device, dtype: where and in which precision to compute.
    Raises:
        ConfigError: runs that do not fit together, or envs below 1.
    """

    def __init__(
        self,
        configs: Sequence[GameConfig],
        envs: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not configs:
            raise ConfigError("configs = []: at least one game")
        if envs < 1:
            raise ConfigError(f"envs = {envs}: at least 1")
        first = configs[0]
        for key in GameConfig.SHARED:
            for config in configs:
                if getattr(config, key) != getattr(first, key):
                    raise ConfigError(f"{key} = {getattr(config, key)}: {getattr(first, key)}, as in the batch's first")
        self.configs = tuple(configs)
        self.runs, self.envs = len(configs), envs
        self.devices, self.chunks, self.slots = first.devices, first.chunks, first.slots
        self.readings = first.readings
        self.device, self.dtype = torch.device(device), dtype
        self.action_size = len(tasks.VARIABLES) * self.chunks
        self.observation_names = self._observation_names()
        self.observation_size = len(self.observation_names)
        c = self.constants = Constants.of(configs, self.device, dtype)
        self.windows = Windows.of(first, self.device, dtype)
        self.battery_capacity = c.battery_capacity.squeeze(-1)
        self.battery_threshold = self.battery_capacity * c.battery_threshold_fraction.squeeze(-1)
        self.cost_limit = self.battery_capacity * c.cost_limit_fraction.squeeze(-1)
        # A graph that a GPU records must do the same work in every slot.
        self.fixed_work = recorded.records(self.device)
        self.slot = 0
        self.battery = cast(Tensor, None)  # until the first reset

    def _observation_names(self) -> tuple[str, ...]:
        chunks = range(1, self.chunks + 1)
        names = ["transmit_power_max", "transmit_power_min", "cpu_frequency_max", "cpu_frequency_min"]
        names += [f"gain_db_{k}" for k in chunks] + ["battery", "harvest", "bandwidth"]
        if self.readings.observation == "augmented":
            for name in ("mean_accuracy", "mean_smoothness", "previous_frame_rate"):
                names += [f"{name}_{k}" for k in chunks]
            names.append("elapsed")
        return tuple(names)

    def reorder_chunks(self, order: Tensor, **parts: Tensor) -> dict[str, Tensor]:
        """Reorder the chunks of joint transitions; the reordered transitions are just as likely.

        The k-th chunks of all devices share a channel and nothing tells one k from another (D42), so rewards and costs
        stay as they are.

        Args:
            order: `[run, batch, chunk]`, a permutation of the chunk indices for each transition.
            parts: `[run, batch, device, .]`: "action", or any other name for an observation.
        Returns:
            the parts by the same names.
        """
        index = order.unsqueeze(2).expand(-1, -1, self.devices, -1)
        return {name: part.gather(-1, self._columns(name == "action", index)) for name, part in parts.items()}

    def _columns(self, is_action: bool, index: Tensor) -> Tensor:
        """Find where every entry of a reordered action or observation comes from, `[run, batch, device, .]`."""
        if is_action:
            size = len(tasks.VARIABLES)
            within = torch.arange(size, device=index.device)
            return (index.unsqueeze(-1) * size + within).flatten(-2)
        columns = torch.arange(self.observation_size, device=index.device).repeat(*index.shape[:-1], 1)
        for first in (i for i, name in enumerate(self.observation_names) if name.endswith("_1")):
            columns[..., first : first + self.chunks] = first + index
        return columns

    def observation_range(self) -> tuple[Tensor, Tensor]:
        """Return centre and half-width of every entry of the observation, `[run, device, feature]`.

        A network that subtracts the first and divides by the second sees numbers of order one. An entry that
        cannot vary has some positive half-width, and arrives as 0.
        """
        c = self.constants
        shape = (self.runs, self.devices)

        def flat(value: Tensor | float) -> Tensor:
            value = torch.as_tensor(value, dtype=self.dtype, device=self.device)
            return (value.reshape(self.runs, -1) if value.dim() else value).expand(shape)

        def middle(minimum: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor]:
            half = 0.5 * (maximum - minimum)
            return 0.5 * (maximum + minimum), torch.where(half > 0, half, torch.ones_like(half))

        constants = [*reversed(c.transmit_power), *reversed(c.cpu_frequency)]
        ranges: list[tuple[Tensor | float, Tensor | float]] = [(value, value) for value in constants]
        ranges += [middle(*c.gain_db)] * self.chunks
        ranges.append((0.5 * c.battery_capacity, 0.5 * c.battery_capacity))
        ranges.append((c.harvest, torch.where(c.harvest > 0, c.harvest, torch.ones_like(c.harvest))))
        ranges.append((c.bandwidth, c.bandwidth))
        if self.readings.observation == "augmented":
            ranges += [(0.5, 0.5)] * (2 * self.chunks) + [middle(*c.frame_rate)] * self.chunks + [(0.5, 0.5)]
        centre, half = ([flat(pair[end]) for pair in ranges] for end in (0, 1))
        return torch.stack(centre, dim=-1), torch.stack(half, dim=-1)

    # -- one episode -----------------------------------------------------------------------------------

    def reset(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Begin an episode in every env: full batteries (§3.4), all random draws made.

        Args:
            generators: one CPU generator per run.
        Returns:
            observation, `[run, env, device, feature]`, as `observation_names`, Eq. 32-33.
        """
        return self.begin(self.draw(generators))

    def draw(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Make all random draws of an episode, in [0, 1), `[slot + 1, run, env, device, 3 K + 1]`."""
        if len(generators) != self.runs:
            raise ConfigError(f"generators = {len(generators)}: one per run, {self.runs}")
        shape = (self.slots + 1, self.envs, self.devices)
        draws = 3 * self.chunks + 1
        uniform = [torch.rand(*shape, draws, generator=g, dtype=torch.float64) for g in generators]
        return torch.stack(uniform, dim=1).to(self.device, self.dtype)

    def begin(self, uniform: Tensor) -> Tensor:
        """Begin an episode with the random numbers of `draw`; returns what `reset` does."""
        self._episode_gain_db, self._episode_heard, self._episode_harvest = begin_episode(
            uniform, self.constants, self.readings, self.windows
        )
        self.slot = 0
        zeros = torch.zeros(self.runs, self.envs, self.devices, self.chunks, dtype=self.dtype, device=self.device)
        self._mean_accuracy, self._mean_smoothness = zeros, zeros
        self._previous_frame_rate: Tensor | None = None
        self.battery = self.battery_capacity.expand(self.runs, self.envs, self.devices)
        return self.observe()

    def observe(self) -> Tensor:
        """Observe every device at the current slot, `[run, env, device, feature]`, Eq. 32."""
        c = self.constants
        shape = (self.runs, self.envs, self.devices, 1)
        columns = [bound.expand(shape) for bound in (*reversed(c.transmit_power), *reversed(c.cpu_frequency))]
        columns += [
            self._episode_gain_db[self.slot],
            self.battery.unsqueeze(-1),
            self._episode_harvest[self.slot].unsqueeze(-1),
            c.bandwidth.expand(shape),
        ]
        if self.readings.observation == "augmented":
            previous = self._previous_frame_rate
            if previous is None:
                previous = c.frame_rate[0].expand(*shape[:-1], self.chunks)
            elapsed = torch.full(shape, self.slot / self.slots, dtype=self.dtype, device=self.device)
            columns += [self._mean_accuracy, self._mean_smoothness, previous, elapsed]
        return torch.cat(columns, dim=-1)

    def decode(self, action: Tensor) -> dict[str, Tensor]:
        """Turn actor outputs into decision variables that satisfy C1-C5, Eq. 26-30, 34-35.

        Args:
            action: `[run, env, device, 5 K]`, per chunk (offload, frame rate, resolution, power, frequency).
        Returns:
            the five variables by the names of `tasks.VARIABLES`, each `[run, env, device, chunk]`.
        """
        c = self.constants
        signal = action.unflatten(-1, (self.chunks, len(tasks.VARIABLES)))
        ranges = (c.frame_rate, c.resolution, c.transmit_power, c.cpu_frequency)
        values = [tasks.offload_decision(signal[..., 0])]
        values += [tasks.scale_to_range(signal[..., i + 1], *bounds) for i, bounds in enumerate(ranges)]
        return dict(zip(tasks.VARIABLES, values, strict=True))

    def rates(self, slot: int, offload: Tensor, transmit_power: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the upload rate and the worst-case secrecy rate of every chunk, Eq. 5 and 12, in bit/s."""
        c = self.constants
        gain = channel.from_decibel(self._episode_gain_db[slot])
        _, maximum, minimum = (gains[slot] for gains in self._episode_heard)
        access = self.readings.access
        upload = channel.upload_rate(c.bandwidth, offload, transmit_power, gain, c.noise_power, access)
        listening = transmit_power if self.readings.listening_power == "user" else c.eavesdropper_power
        secret = secrecy.secrecy_rate(
            upload, c.bandwidth, listening, maximum, minimum,
            offload, transmit_power, c.eavesdropper_noise_power, access,
        )  # fmt: skip
        return upload, secret

    def _execute(self, requested: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
        """Offloading as executed, and which requests were secure as requested (§3.5)."""
        c, access = self.constants, self.readings.access

        def secure(offload: Tensor) -> Tensor:
            return secrecy.is_secure(self.rates(self.slot, offload, power)[1])

        if not self.fixed_work:
            return secrecy.executed_offload(requested, secure)
        first_pass = secure(requested) & (requested > 0)
        offload = first_pass.to(requested.dtype)
        if access == "full_band":
            sent = power * channel.from_decibel(self._episode_gain_db[self.slot])
            listening = power if self.readings.listening_power == "user" else c.eavesdropper_power
            _, maximum, minimum = (gains[self.slot] for gains in self._episode_heard)
            noises = c.noise_power, c.eavesdropper_noise_power
            offload = settled_offload(offload, sent, listening * maximum, power * minimum, *noises)
        return offload, first_pass

    def step(self, action: Tensor) -> Slot:
        """Play one slot in every env.

        Args:
            action: `[run, env, device, 5 K]` in [-1, 1] (clipped), per chunk in the order of `tasks.VARIABLES`.
        Returns:
            all quantities of the slot; the next observation comes from `observe()`.
        Raises:
            RuntimeError: no episode is under way, or it is over (call `reset`).
            ConfigError: an action of another shape.
        """
        c = self.constants
        if self.battery is None:
            raise RuntimeError("slot 1: call reset first")
        expected = (self.runs, self.envs, self.devices, self.action_size)
        if action.shape != expected:
            raise ConfigError(f"action of shape {tuple(action.shape)}: {expected} (run, env, device, 5 K)")
        if self.slot >= self.slots:
            raise RuntimeError(f"slot {self.slot + 1} of {self.slots}: the episode is over, call reset")
        variables = self.decode(action.to(self.dtype))
        requested, power = variables["offload"], variables["transmit_power"]
        frame_rate, cpu_frequency = variables["frame_rate"], variables["cpu_frequency"]
        offload, secure_request = self._execute(requested, power)
        upload, secret = self.rates(self.slot, offload, power)
        size = tasks.chunk_size(c.bits_per_pixel, frame_rate, variables["resolution"])
        chunk_latency = latency.total_latency(
            latency.local_latency(offload, size, c.cycles_per_bit, cpu_frequency),
            latency.offload_latency(offload, size, upload, c.cycles_per_bit, c.server_frequency),
        )
        chunk_energy = energy.total_energy(
            energy.local_energy(offload, c.energy_coefficient, cpu_frequency, size, c.cycles_per_bit),
            energy.offload_energy(offload, power, size, upload),
        )
        accuracy, smoothness, video_quality = self._quality(frame_rate, variables["resolution"])
        cost = quality.compute_cost(c.cost_weights, chunk_latency, chunk_energy)
        penalty = quality.battery_penalty(self.battery_threshold, self.battery)
        harvest = self._episode_harvest[self.slot]
        self.battery = energy.next_battery(self.battery, chunk_energy, harvest, self.battery_capacity)
        self._previous_frame_rate = frame_rate
        self.slot += 1
        return Slot(
            requested=requested,
            secure_request=secure_request,
            offload=offload,
            frame_rate=frame_rate,
            resolution=variables["resolution"],
            transmit_power=power,
            cpu_frequency=cpu_frequency,
            upload_rate=upload,
            secrecy_rate=secret,
            latency=chunk_latency,
            energy=chunk_energy,
            accuracy=accuracy,
            smoothness=smoothness,
            quality=video_quality,
            compute_cost=cost,
            penalty=penalty,
            battery=self.battery,
            reward=quality.device_reward(video_quality, cost, penalty),
            cost=self._cost(chunk_energy, requested, secure_request),
        )

    def _cost(self, chunk_energy: Tensor, requested: Tensor, secure_request: Tensor) -> Tensor:
        c = self.constants
        insecure = requested * (~secure_request).to(requested.dtype)
        return (chunk_energy + c.insecure_request_cost * insecure).sum(dim=-1)

    def _quality(self, frame_rate: Tensor, resolution: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c = self.constants
        slot = self.slot + 1
        accuracy = c.accuracy(resolution)
        smoothness = quality.smoothness(
            quality.frame_smoothness(frame_rate, c.frame_rate[1]),
            quality.frame_change(frame_rate, self._previous_frame_rate, self.readings.frame_change),
        )
        self._mean_accuracy = quality.running_mean(self._mean_accuracy, accuracy, slot)
        self._mean_smoothness = quality.running_mean(self._mean_smoothness, smoothness, slot)
        video_quality = quality.recognition_quality(c.quality_weights, self._mean_accuracy, self._mean_smoothness)
        return accuracy, smoothness, video_quality
