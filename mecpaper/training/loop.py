"""The training loop of Algorithm 1 for any algorithm; all seeds, or several scenarios, in one batched program.

A training resumes from its checkpoint with the same numbers as if it had never stopped, and stops with the step
and the tensor named when a number is no longer finite. How cells become files is the business of `mecpaper.training.experiments`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mecpaper.algorithms import ALGORITHMS
from mecpaper.algorithms.mappo import Rollout
from mecpaper.algorithms.replay import Batch, Replay, annealed
from mecpaper.config import Config, ConfigError, fingerprint
from mecpaper.env.game import Game, Slot, generators
from mecpaper.env.measures import evaluate
from mecpaper.store import results
from mecpaper.training import checkpoint

CHECKPOINT_SECONDS = 45.0
"""Least time between two checkpoints: what a kill can cost, with the episodes in flight."""

CHECKPOINT_SHARE = 0.05
"""Greatest share of the time that goes into writing checkpoints: where files are slow, they become rarer."""

STREAMS = {"weights": 0, "game": 1, "noise": 2, "replay": 3, "smoothing": 4, "chunks": 7}
"""Independent random streams of a run (see `mecpaper.env.game.generators`)."""

COUNTERS = ("episode", "updates", "slots_since", "seconds")
"""Plain numbers of a training's state; the rest are tensors."""

Progress = Callable[[int, int, str], None]
"""Called with episodes done, episodes in all, and a label."""


class NotFiniteError(FloatingPointError):
    """A number stopped being finite; says where."""


RESULTS_VERSION = 1
"""Of what training computes; raised when a golden number moves (tests/test_golden.py)."""


def describe(config: Config, algorithm: str, scenario: str) -> dict[str, Any]:
    """All that the results of a cell depend on, as plain data.

    Raises ConfigError for an algorithm or scenario that does not exist.
    """
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"algorithm = {algorithm!r}: one of {', '.join(ALGORITHMS)}")
    learning, own = config.learner(algorithm, scenario)
    scale = config.scale_of(scenario)
    return {
        "algorithm": algorithm,
        "scenario": scenario,
        "seeds": list(scale.seeds),
        "scale": scale.model_dump(exclude={"seeds", "planner_restarts", "reduced"}),
        "evaluation": config.evaluation.model_dump(),
        "game": config.scenario(scenario).model_dump(),
        "learning": learning.model_dump(),
        "own": own.model_dump(),
        "results_version": RESULTS_VERSION,
    }


class Graphed:
    """A function of tensors that a GPU replays as one recorded graph, free of launch costs; elsewhere just called.

    The function must work in place on the same tensors each time and take tensors of the same shapes.

    Args:
        function: tensors by name -> tensors by name.
        device: where it computes.
    """

    WARMUP = 3

    def __init__(self, function: Callable[..., dict[str, Tensor]], device: torch.device) -> None:
        self.function, self.device, self.calls = function, device, 0

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The function's result; on a GPU it is overwritten by the next call."""
        if self.device.type != "cuda":
            return self.function(**inputs)
        self.calls += 1
        if self.calls <= self.WARMUP:
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                result = self.function(**inputs)
            torch.cuda.current_stream(self.device).wait_stream(side)
            return result
        if self.calls == self.WARMUP + 1:
            self.inputs = {name: value.clone() for name, value in inputs.items()}
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs = self.function(**self.inputs)
        for name, value in inputs.items():
            self.inputs[name].copy_(value)
        self.graph.replay()
        return self.outputs


class Training:
    """Cells of one algorithm being trained together: a run for each scenario and seed.

    Args:
        config: the whole configuration; its `run` is the scale.
        algorithm: which one.
        scenarios: one or several; several must agree in all but what a run may have of its own (see `together`).
        device: where to compute.
        seeds: others than those of the scale.
    Raises:
        ConfigError: an algorithm or scenario that does not exist, or scenarios that do not fit together.
    """

    def __init__(
        self,
        config: Config,
        algorithm: str,
        scenarios: str | Sequence[str],
        device: torch.device | str = "cpu",
        seeds: list[int] | None = None,
    ) -> None:
        self.scenarios = [scenarios] if isinstance(scenarios, str) else list(scenarios)
        scale = config.scale_of(self.scenarios[0])
        if seeds is not None:
            reduced = scale.reduced.model_copy(update={"seeds": seeds})
            scale = scale.model_copy(update={"seeds": seeds, "reduced": reduced})
            config = config.model_copy(
                update={"run": config.run.model_copy(update={"seeds": seeds, "reduced": reduced})}
            )
        self.descriptions = {name: describe(config, algorithm, name) for name in self.scenarios}
        if len({together(description) for description in self.descriptions.values()}) > 1:
            raise ConfigError(f"scenarios = {self.scenarios}: only such as share shapes, readings and learning numbers")
        self.config, self.scale, self.algorithm = config, scale, algorithm
        self.learning, own = config.learner(algorithm, self.scenarios[0])
        self.seeds = list(self.scale.seeds) * len(self.scenarios)
        self.labels = [name for name in self.scenarios for _ in self.scale.seeds]
        games = [config.scenario(name) for name in self.labels]
        self.fingerprint = fingerprint(list(self.descriptions.values()))
        self.game = Game(games, self.scale.episodes_at_once, device)
        self.curve_game = Game(games, config.evaluation.curve_episodes, device)
        self.final_game = Game(games, config.evaluation.final_episodes, device)
        self.cost_limit = self.game.cost_limit.mean(dim=(1, 2))
        extra = {}
        if algorithm == "cpo_maddpg":
            extra["fixed"] = [config.learner(algorithm, name)[1].multiplier_fixed for name in self.labels]
        weights = generators(self.seeds, STREAMS["weights"])
        self.learner = ALGORITHMS[algorithm](self.game, self.learning, own, weights, **extra)
        self.sources = {name: generators(self.seeds, stream) for name, stream in STREAMS.items() if name != "weights"}
        if self.replays:
            self.replay = Replay(
                self.game.runs, self.learning.buffer, self.game.devices, self.game.observation_size,
                self.game.action_size, self.game.device, self.game.dtype, self.learner.prioritised,
            )  # fmt: skip
            # An update's work may depend on its place in a short cycle (MATD3): one recorded graph for each place.
            self.learn = [
                Graphed(partial(self._learn_batch, turn), self.game.device) for turn in range(self.learner.period)
            ]
        self.episode = self.updates = self.slots_since = 0
        self.excess = torch.zeros(self.game.runs, self.game.devices, device=self.game.device, dtype=self.game.dtype)
        self.seconds = 0.0
        self.curve: list[dict[str, Tensor]] = []
        self.sums: dict[str, Tensor] = {}

    @property
    def replays(self) -> bool:
        """Whether the algorithm learns from a replay buffer."""
        return self.learner.learns and not self.learner.on_policy

    # -- playing and learning --------------------------------------------------------------------------

    def run(self, path: Path | None = None, progress: Progress | None = None) -> None:
        """Train to the end, from the checkpoint if there is one.

        Args:
            path: checkpoint to resume from and to save to; removed by the caller when results are safe.
            progress: see `Progress`.
        """
        if path is not None and path.exists():
            self.load(path)
        label = f"{self.algorithm}, {', '.join(self.scenarios)}, {len(self.scale.seeds)} seeds"
        started = time.monotonic()
        due = started + CHECKPOINT_SECONDS
        before = self.seconds
        if not self.curve:
            self._measure_curve()
        while self.episode < self.scale.episodes:
            if progress is not None:
                progress(self.episode, self.scale.episodes, label)
            self._play_round()
            self.episode += self.scale.episodes_at_once
            if self.episode % self.scale.curve_every == 0:
                self._measure_curve()
            now = time.monotonic()
            self.seconds = before + now - started
            if path is not None and now > due and self.episode < self.scale.episodes:
                self.save(path)
                saved = time.monotonic()
                due = saved + max(CHECKPOINT_SECONDS, (saved - now) / CHECKPOINT_SHARE)
        if progress is not None:
            progress(self.episode, self.scale.episodes, label)

    def _play_round(self) -> None:
        """Play one episode in every env, learning on the way."""
        if self.replays:
            self._replay_round()
        elif self.learner.learns:
            self._fresh_round()
        self._check_finite()

    def _replay_round(self) -> None:
        """A round of an algorithm that replays (Algorithm 1, lines 3-19)."""
        game, done, learning = self.game, self.episode / self.scale.episodes, self.learning
        observation = game.reset(self.sources["game"])
        self.learner.anneal(done)
        explore = self._exploration(done)
        exponent = self.learner.importance_exponent(done)
        shape = (game.slots, learning.batch)
        picks = torch.stack([torch.rand(*shape, generator=g) for g in self.sources["replay"]], dim=1).to(game.device)
        for t in range(game.slots):
            action = explore(t, observation)
            slot = game.step(action)
            next_observation = game.observe()
            self.replay.add(observation, action, slot.reward, slot.cost, next_observation)
            observation = next_observation
            self._tally_behaviour(slot)
            if done < learning.warmup_fraction:
                continue
            self.excess += (slot.cost - game.cost_limit).sum(dim=1)
            self.slots_since += 1
            if self.slots_since == self.scale.slots_per_update:
                self._learn(picks[t], exponent, done)
                self.excess.zero_()
                self.slots_since = 0

    def _fresh_round(self) -> None:
        """A round of an algorithm that learns from the episodes just played."""
        game, learner = self.game, self.learner
        observation = game.reset(self.sources["game"])
        noise = self._noise()
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for t in range(game.slots):
            action = learner.explore(observation, noise[t])
            slot = game.step(action)
            parts.append((observation, action, slot.reward))
            observation = game.observe()
            self._tally_behaviour(slot)
        observations, actions, rewards = (torch.stack(part) for part in zip(*parts, strict=True))
        rollout = Rollout(observations, actions, rewards, observation)
        count, epochs = game.slots * game.envs, learner.config.epochs
        order = torch.stack(
            [torch.stack([torch.randperm(count, generator=g) for _ in range(epochs)]) for g in self.sources["replay"]]
        ).to(game.device)
        for diagnostics in learner.learn_round(rollout, order):
            self.updates += 1
            for name, value in diagnostics.items():
                self._tally(name, value)

    def _noise(self) -> Tensor:
        """Standard normal draws that stay over the slots of an episode, `[slot, run, env, agent, 5 K]` (D35)."""
        game, correlation = self.game, self.learning.noise_correlation
        shape = (game.slots if correlation < 1.0 else 1, game.envs, game.devices, game.action_size)
        draws = [torch.randn(*shape, generator=g) for g in self.sources["noise"]]
        noise = torch.stack(draws, dim=1).to(game.device, game.dtype)
        fresh = (1.0 - correlation**2) ** 0.5
        for t in range(1, len(noise)):
            noise[t] = correlation * noise[t - 1] + fresh * noise[t]
        return noise.expand(game.slots, *noise.shape[1:])

    def _exploration(self, done: float) -> Callable[[int, Tensor], Tensor]:
        """How actions are chosen in this round: `(slot, observation) -> action`.

        The policy's action with Gaussian noise that stays (or drifts, an Ornstein-Uhlenbeck process, below correlation
        1), so that an action is held long enough for the running means of Eq. 15 and 17 to show what it is worth. In
        the other reading of D35 each device keeps one uniformly random action per episode during the warm-up.
        """
        game, learning = self.game, self.learning
        if learning.warmup == "uniform" and done < learning.warmup_fraction:
            shape = (game.envs, game.devices, game.action_size)
            held = torch.stack([torch.rand(*shape, generator=g) for g in self.sources["noise"]])
            held = (2.0 * held - 1.0).to(game.device, game.dtype)
            return lambda t, observation: held
        first, last = learning.noise
        noise = annealed((first, last), done) * self._noise()
        return lambda t, observation: (self.learner.act(observation) + noise[t]).clamp(-1.0, 1.0)

    def _learn(self, uniform: Tensor, exponent: float, done: float) -> None:
        """One update of Algorithm 1 on a mini-batch of every run."""
        batch = self.replay.sample(uniform, exponent)
        inputs = {name: getattr(batch, name) for name in ("observation", "action", "reward", "cost")}
        inputs |= {"next_observation": batch.next_observation, "weight": batch.weight, "excess": self.excess}
        if self.learning.permute_chunks:
            shape = (len(batch.action[0]), self.game.chunks)
            draws = torch.stack([torch.rand(*shape, generator=g) for g in self.sources["chunks"]])
            inputs |= self.game.reorder_chunks(
                draws.argsort(dim=-1).to(self.game.device),
                **{name: inputs[name] for name in ("observation", "action", "next_observation")},
            )
        if self.learner.smooths_target:
            size = batch.action.shape[1:]
            noise = torch.stack([torch.randn(*size, generator=g) for g in self.sources["smoothing"]])
            inputs["noise"] = noise.to(self.game.device, self.game.dtype)
        self.updates += 1
        diagnostics = dict(self.learn[self.updates % self.learner.period](**inputs))
        priority = diagnostics.pop("priority", None)
        if priority is not None:
            self.replay.set_priorities(batch.index, priority)
        multiplier = self.learner.multiplier()
        if multiplier is not None:
            greatest = self.learner.config.multiplier_max
            diagnostics["multiplier_at_zero"] = (multiplier <= 0).to(multiplier.dtype).mean(dim=1)
            diagnostics["multiplier_at_max"] = (multiplier >= greatest).to(multiplier.dtype).mean(dim=1)
        for name, value in diagnostics.items():
            self._tally(name, value)

    def _learn_batch(
        self, turn: int, excess: Tensor, noise: Tensor | None = None, **parts: Tensor
    ) -> dict[str, Tensor]:
        return self.learner.learn(Batch(**parts, index=torch.empty(0)), excess, noise=noise, turn=turn)

    def _tally(self, name: str, value: Tensor) -> None:
        entry = torch.stack([value.double(), torch.ones_like(value, dtype=torch.float64)])
        self.sums[name] = self.sums[name] + entry if name in self.sums else entry

    def _tally_behaviour(self, slot: Slot) -> None:
        self._tally("behaviour_reward", slot.reward.mean(dim=(1, 2)))
        self._tally("behaviour_energy", slot.energy.sum(dim=-1).mean(dim=(1, 2)))

    def _check_finite(self) -> None:
        """Stop a run whose diagnostics are no longer numbers; looked at once per round, so that a GPU need not wait."""
        # What learning says comes first: it is the cause, a policy that no longer plays the consequence.
        for name in sorted(self.sums, key=lambda name: name.startswith("behaviour")):
            total = self.sums[name][0]
            if not torch.isfinite(total).all():
                run = int((~torch.isfinite(total)).nonzero()[0, 0])
                raise NotFiniteError(
                    f"{name} is not finite at update {self.updates} or up to a round before (episode "
                    f"{self.episode + 1}) of {self.algorithm}, {self.labels[run]}, seed {self.seeds[run]}; "
                    "the curve so far is kept"
                )

    def _measure_curve(self) -> None:
        """Add a point to the learning curve: greedy measures now, means of the diagnostics since the last."""
        seeds = [self.config.evaluation.seed] * len(self.seeds)
        draws = [seed + self.episode for seed in self.seeds]
        point = evaluate(self.learner.act, self.curve_game, seeds, draws)
        point |= {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        multiplier = self.learner.multiplier()
        if multiplier is not None:
            point["multiplier"] = multiplier.mean(dim=1)
        stamp = {"episode": float(self.episode), "updates": float(self.updates)}
        point |= {name: torch.full((len(self.seeds),), value) for name, value in stamp.items()}
        self.curve.append({name: value.double().cpu() for name, value in point.items()})

    # -- results ---------------------------------------------------------------------------------------

    def _table(self, points: list[dict[str, Tensor]], scenario: str) -> pd.DataFrame:
        rows = []
        for point in points:
            for run, (label, seed) in enumerate(zip(self.labels, self.seeds, strict=True)):
                if label != scenario:
                    continue
                head = {"algorithm": self.algorithm, "scenario": label, "seed": seed, "scale": self.scale.scale}
                rows.append(head | {name: float(value[run]) for name, value in point.items()})
        return pd.DataFrame(rows)

    def curves(self, scenario: str | None = None) -> pd.DataFrame:
        """A cell's learning curve: one row per point and seed; columns after the first six in alphabetical order."""
        table = self._table(self.curve, scenario or self.scenarios[0]).astype({"episode": int, "updates": int})
        head = ["algorithm", "scenario", "scale", "seed", "episode", "updates"]
        return table[[*head, *sorted(set(table.columns) - set(head))]]

    def summaries(self) -> pd.DataFrame:
        """Final measures of the policies, one row per run, with the columns of `results.SUMMARY_COLUMNS`.

        "seconds" is the wall time of the whole batched program over its number of cells.
        """
        seeds = [self.config.evaluation.seed + 1] * len(self.seeds)
        point = evaluate(self.learner.act, self.final_game, seeds, self.seeds)
        point["cost_limit"] = self.cost_limit
        multiplier = self.learner.multiplier()
        nothing = torch.full_like(point["reward"], float("nan"))
        point["multiplier"] = nothing if multiplier is None else multiplier.mean(dim=1)
        table = pd.concat([self._table([point], name) for name in self.scenarios], ignore_index=True)
        seconds = round(self.seconds / len(self.scenarios), 1)
        return table.assign(episodes=self.episode, updates=self.updates, seconds=seconds)[list(results.SUMMARY_COLUMNS)]

    # -- checkpoints -----------------------------------------------------------------------------------

    def _tensors(self) -> dict[str, Tensor]:
        tensors = dict(self.learner.tensors())
        if self.replays:
            filled = slice(0, self.replay.size)
            tensors |= {
                "replay.data": self.replay.data[:, filled],
                "replay.priorities": self.replay.priorities[:, filled],
                "replay.highest": self.replay.highest,
            }
        for name, sources in self.sources.items():
            tensors |= {f"source.{name}.{i}": g.get_state() for i, g in enumerate(sources)}
        tensors["excess"] = self.excess
        tensors |= {f"sum.{name}": value for name, value in self.sums.items()}
        for i, point in enumerate(self.curve):
            tensors |= {f"curve.{i}.{name}": value for name, value in point.items()}
        return {name: value.detach().contiguous().cpu() for name, value in tensors.items()}

    def save(self, path: Path) -> None:
        """Write the whole state, atomically (see `mecpaper.training.checkpoint`)."""
        counters = {name: getattr(self, name) for name in COUNTERS}
        if self.replays:
            counters |= {"size": self.replay.size, "position": self.replay.position}
        checkpoint.write(path, self.fingerprint, counters, self._tensors())

    def load(self, path: Path) -> None:
        """Take up the state of a checkpoint.

        Raises:
            CheckpointError: the file is damaged, or belongs to another configuration or version.
        """
        counters, stored = checkpoint.read(path, self.fingerprint)
        for name in COUNTERS:
            setattr(self, name, counters[name])
        with torch.no_grad():
            self.excess.copy_(stored["excess"])
            for name, tensor in self.learner.tensors().items():
                tensor.copy_(stored[name])
            if self.replays:
                self.replay.size, self.replay.position = counters["size"], counters["position"]
                self.replay.data[:, : self.replay.size] = stored["replay.data"].to(self.game.device)
                self.replay.priorities[:, : self.replay.size] = stored["replay.priorities"].to(self.game.device)
                self.replay.highest.copy_(stored["replay.highest"])
        for name, sources in self.sources.items():
            for i, generator in enumerate(sources):
                generator.set_state(stored[f"source.{name}.{i}"])
        device = self.game.device
        self.sums = {k.removeprefix("sum."): v.to(device) for k, v in stored.items() if k.startswith("sum.")}
        points: dict[int, dict[str, Tensor]] = {}
        for name, value in stored.items():
            if name.startswith("curve."):
                _, index, measure = name.split(".", 2)
                points.setdefault(int(index), {})[measure] = value
        self.curve = [points[i] for i in sorted(points)]

    def policy(self, scenario: str) -> dict[str, Tensor]:
        """Actors of a cell's first seed in half precision, with the observation's range, for reuse without training."""
        run, actors = self.labels.index(scenario), self.learner.actors
        first = slice(run * actors.stacks // actors.runs, (run + 1) * actors.stacks // actors.runs)
        layers = {f"layer.{i}": w[first].detach().half().cpu() for i, w in enumerate(actors.weights)}
        centre, half = (part[run].cpu() for part in self.game.observation_range())
        return {**layers, "observation.centre": centre, "observation.half": half}


def together(description: dict[str, Any]) -> str:
    """What cells must agree in to be trained as one batched program; a run may have its own game constants and fixed
    multiplier."""
    game, own = description["game"], dict(description["own"])
    own.pop("multiplier_fixed", None)
    shape = {key: game[key] for key in ("devices", "chunks", "slots", "readings")}
    return fingerprint(shape, own, description["learning"], description["seeds"], description["scale"])
