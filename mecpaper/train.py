"""The training loop of Algorithm 1 for any algorithm, all seeds of a cell in one batched program.

A cell resumes from its checkpoint with the same numbers as if it had never stopped, keeps what it finished,
and stops with the step and the tensor named when a number is no longer finite.
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mecpaper import results
from mecpaper.algorithms import ALGORITHMS
from mecpaper.config import Config, ConfigError, fingerprint
from mecpaper.evaluate import evaluate
from mecpaper.game import Game, generators
from mecpaper.replay import Replay, annealed

CHECKPOINT_SECONDS = 45.0
"""Least time between two checkpoints: what a kill can cost, with the episodes in flight."""

STREAMS = {"weights": 0, "game": 1, "noise": 2, "replay": 3}
"""Independent random streams of a run (see `mecpaper.game.generators`)."""

COUNTERS = ("episode", "updates", "slots_since", "seconds")
"""Plain numbers of a training's state; the rest are tensors."""

Progress = Callable[[int, int, str], None]
"""Called with episodes done, episodes in all, and a label."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used, told in one line."""


class NotFiniteError(FloatingPointError):
    """A number stopped being finite; says where."""


def code_version(algorithm: str) -> str:
    """Hash of the source that a trained result depends on; comments and docstrings do not count."""
    package = Path(__file__).parent
    names = ["config.py", "game.py", "networks.py", "replay.py", "evaluate.py", "train.py"]
    names += [f"algorithms/{algorithm}.py", "algorithms/common.py"]
    names += sorted(str(path.relative_to(package)) for path in (package / "system").glob("*.py"))
    digest = hashlib.sha256()
    for name in names:
        tree = ast.parse((package / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                is_text = [isinstance(e, ast.Expr) and isinstance(e.value, ast.Constant) for e in body]
                node.body = [e for e, text in zip(body, is_text, strict=True) if not text]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


class Training:
    """A cell being trained.

    Args:
        config: the whole configuration; its `run` is the scale.
        algorithm, scenario: which cell.
        device: where to compute.
        seeds: others than those of the scale.
    Raises:
        ConfigError: an algorithm or scenario that does not exist.
    """

    def __init__(
        self,
        config: Config,
        algorithm: str,
        scenario: str,
        device: torch.device | str = "cpu",
        seeds: list[int] | None = None,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ConfigError(f"algorithm = {algorithm!r}: one of {', '.join(ALGORITHMS)}")
        self.config, self.scale, self.learning = config, config.run, config.learning
        self.algorithm, self.scenario = algorithm, scenario
        self.seeds = list(self.scale.seeds if seeds is None else seeds)
        games = [config.scenario(scenario)] * len(self.seeds)
        own = getattr(config, algorithm)
        self.description = {
            "algorithm": algorithm,
            "scenario": scenario,
            "seeds": self.seeds,
            "scale": self.scale.model_dump(exclude={"seeds", "planner_restarts"}),
            "evaluation": config.evaluation.model_dump(),
            "game": games[0].model_dump(),
            "learning": config.learning.model_dump(),
            "own": own.model_dump(),
            "code": code_version(algorithm),
            "torch": torch.__version__.split("+")[0],
        }
        self.fingerprint = fingerprint(self.description)
        self.game = Game(games, self.scale.episodes_at_once, device)
        self.curve_game = Game(games, config.evaluation.curve_episodes, device)
        self.final_game = Game(games, config.evaluation.final_episodes, device)
        self.cost_limit = self.game.cost_limit.mean(dim=(1, 2))
        self.learner = ALGORITHMS[algorithm](self.game, self.learning, own, generators(self.seeds, STREAMS["weights"]))
        self.sources = {name: generators(self.seeds, stream) for name, stream in STREAMS.items() if name != "weights"}
        if self.learner.learns:
            self.replay = Replay(
                self.game.runs, self.learning.buffer, self.game.devices, self.game.observation_size,
                self.game.action_size, self.game.device, self.game.dtype, self.learner.prioritised,
            )  # fmt: skip
        self.episode = self.updates = self.slots_since = 0
        self.excess = torch.zeros(self.game.runs, device=self.game.device, dtype=self.game.dtype)
        self.seconds = 0.0
        self.curve: list[dict[str, Tensor]] = []
        self.sums: dict[str, Tensor] = {}

    # -- playing and learning --------------------------------------------------------------------------

    def run(self, checkpoint: Path | None = None, progress: Progress | None = None) -> None:
        """Train to the end, from the checkpoint if there is one.

        Args:
            checkpoint: file to resume from and to save to; removed by the caller when results are safe.
            progress: see `Progress`.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        label = f"{self.algorithm}, {self.scenario}, {len(self.seeds)} seeds"
        saved = started = time.monotonic()
        before = self.seconds
        if not self.curve:
            self._measure_curve()
        while self.episode < self.scale.episodes:
            if progress is not None:
                progress(self.episode, self.scale.episodes, label)
            if self.learner.learns:
                self._play_round()
            self.episode += self.scale.episodes_at_once
            if self.episode % self.scale.curve_every == 0:
                self._measure_curve()
            now = time.monotonic()
            self.seconds = before + now - started
            if checkpoint is not None and now - saved > CHECKPOINT_SECONDS and self.episode < self.scale.episodes:
                self.save(checkpoint)
                saved = time.monotonic()
        if progress is not None:
            progress(self.episode, self.scale.episodes, label)

    def _play_round(self) -> None:
        """Play one episode in every env, learning on the way (Algorithm 1, lines 3-19)."""
        game, done = self.game, self.episode / self.scale.episodes
        observation = game.reset(self.sources["game"])
        explore = self._exploration(done)
        learns = done >= self.learning.warmup_fraction
        picks = torch.stack(
            [torch.rand(game.slots, self.learning.batch, generator=g) for g in self.sources["replay"]], dim=1
        ).to(game.device)
        for t in range(game.slots):
            action = explore(t, observation)
            slot = game.step(action)
            next_observation = game.observe()
            self.replay.add(observation, action, slot.reward, slot.cost, next_observation)
            observation = next_observation
            self._tally("behaviour_reward", slot.reward.mean(dim=(1, 2)))
            self._tally("behaviour_energy", slot.cost.mean(dim=(1, 2)))
            if not learns:
                continue
            self.excess += (slot.cost.mean(dim=2) - self.cost_limit.unsqueeze(1)).sum(dim=1)
            self.slots_since += 1
            if self.slots_since == self.scale.slots_per_update:
                self._learn(picks[t], done, self.excess)
                self.excess.zero_()
                self.slots_since = 0

    def _exploration(self, done: float) -> Callable[[int, Tensor], Tensor]:
        """How actions are chosen in this round: `(slot, observation) -> action`.

        During the warm-up each device keeps one random action for the episode; then the policy's action with
        correlated Gaussian noise (an Ornstein-Uhlenbeck process) is played. Both hold an action long enough for
        the running means of Eq. 15 and 17 to show what it is worth (D35).
        """
        game, sources = self.game, self.sources["noise"]
        shape = (game.slots, game.envs, game.devices, game.action_size)
        if done < self.learning.warmup_fraction:
            held = torch.stack([torch.rand(*shape[1:], generator=g) for g in sources])
            held = (2.0 * held - 1.0).to(game.device, game.dtype)
            return lambda t, observation: held
        draws = torch.stack([torch.randn(*shape, generator=g) for g in sources], dim=1).to(game.device, game.dtype)
        first, last = self.learning.noise
        correlation = self.learning.noise_correlation
        fresh = (1.0 - correlation**2) ** 0.5
        for t in range(1, game.slots):
            draws[t] = correlation * draws[t - 1] + fresh * draws[t]
        noise = annealed((first, last), done) * draws
        return lambda t, observation: (self.learner.act(observation) + noise[t]).clamp(-1.0, 1.0)

    def _learn(self, uniform: Tensor, done: float, excess: Tensor) -> None:
        exponent = self.learner.importance_exponent(done) if self.learner.prioritised else 0.0
        batch = self.replay.sample(uniform, exponent)
        diagnostics = self.learner.learn(batch, done, excess)
        self.updates += 1
        new_priorities = diagnostics.pop("priority", None)
        if new_priorities is not None:
            self.replay.set_priorities(batch.index, new_priorities)
        multiplier = self.learner.multiplier()
        if multiplier is not None:
            greatest = getattr(self.config, self.algorithm).multiplier_max
            diagnostics["multiplier_at_zero"] = (multiplier <= 0).to(multiplier.dtype)
            diagnostics["multiplier_at_max"] = (multiplier >= greatest).to(multiplier.dtype)
        for name, value in diagnostics.items():
            if not torch.isfinite(value).all():
                run = int((~torch.isfinite(value)).nonzero()[0, 0])
                raise NotFiniteError(
                    f"{name} is not finite at update {self.updates} (episode {self.episode + 1}) of "
                    f"{self.algorithm}, {self.scenario}, seed {self.seeds[run]}; the curve so far is kept"
                )
            self._tally(name, value)

    def _tally(self, name: str, value: Tensor) -> None:
        entry = torch.stack([value.double(), torch.ones_like(value, dtype=torch.float64)])
        self.sums[name] = self.sums[name] + entry if name in self.sums else entry

    def _measure_curve(self) -> None:
        """Add a point to the learning curve: greedy measures now, means of the diagnostics since the last."""
        seeds = [self.config.evaluation.seed] * len(self.seeds)
        draws = [seed + self.episode for seed in self.seeds]
        point = evaluate(self.learner.act, self.curve_game, seeds, draws)
        point |= {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        multiplier = self.learner.multiplier()
        if multiplier is not None:
            point["multiplier"] = multiplier.clone()
        stamp = {"episode": float(self.episode), "updates": float(self.updates)}
        point |= {name: torch.full((len(self.seeds),), value) for name, value in stamp.items()}
        self.curve.append({name: value.double().cpu() for name, value in point.items()})

    # -- results ---------------------------------------------------------------------------------------

    def _table(self, points: list[dict[str, Tensor]]) -> pd.DataFrame:
        rows = []
        for point in points:
            for run, seed in enumerate(self.seeds):
                head = {"algorithm": self.algorithm, "scenario": self.scenario, "seed": seed, "scale": self.scale.scale}
                rows.append(head | {name: float(value[run]) for name, value in point.items()})
        return pd.DataFrame(rows)

    def curves(self) -> pd.DataFrame:
        """The learning curve: one row per point and seed; the columns after the first six in alphabetical order."""
        table = self._table(self.curve).astype({"episode": int, "updates": int})
        head = ["algorithm", "scenario", "scale", "seed", "episode", "updates"]
        return table[[*head, *sorted(set(table.columns) - set(head))]]

    def summary(self) -> pd.DataFrame:
        """Final measures of the policy, one row per seed, with the columns of `results.SUMMARY_COLUMNS`."""
        seeds = [self.config.evaluation.seed + 1] * len(self.seeds)
        point = evaluate(self.learner.act, self.final_game, seeds, self.seeds)
        point["cost_limit"] = self.cost_limit
        multiplier = self.learner.multiplier()
        point["multiplier"] = torch.full_like(point["reward"], float("nan")) if multiplier is None else multiplier
        table = self._table([point]).assign(episodes=self.episode, updates=self.updates, seconds=round(self.seconds, 1))
        return table[list(results.SUMMARY_COLUMNS)]

    # -- checkpoints -----------------------------------------------------------------------------------

    def _tensors(self) -> dict[str, Tensor]:
        tensors = dict(self.learner.tensors())
        if self.learner.learns:
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
        """Write the whole state, atomically, as safetensors (which cannot hold code)."""
        counters = {name: getattr(self, name) for name in COUNTERS}
        if self.learner.learns:
            counters |= {"size": self.replay.size, "position": self.replay.position}
        metadata = {"fingerprint": self.fingerprint, "counters": json.dumps(counters)}
        results.write_atomically(path, save(self._tensors(), metadata))

    def load(self, path: Path) -> None:
        """Take up the state of a checkpoint.

        Raises:
            CheckpointError: the file is damaged, or belongs to another configuration or version.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("fingerprint") != self.fingerprint:
                    raise CheckpointError(
                        f"checkpoint {path.name}: of another configuration or version "
                        f"({metadata.get('fingerprint')}, wanted {self.fingerprint}); delete it to start anew"
                    )
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"checkpoint {path.name}: damaged ({reason}); delete it to start anew") from None
        counters = json.loads(metadata["counters"])
        for name in COUNTERS:
            setattr(self, name, counters[name])
        with torch.no_grad():
            self.excess.copy_(stored["excess"])
            for name, tensor in self.learner.tensors().items():
                tensor.copy_(stored[name])
            if self.learner.learns:
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

    def policy(self) -> dict[str, Tensor]:
        """Actors of the first seed in half precision, with the observation's range, for reuse without training."""
        agents = self.game.devices
        layers = {f"layer.{i}": w[:agents].detach().half().cpu() for i, w in enumerate(self.learner.actors.weights)}
        centre, half = (part[0].cpu() for part in self.game.observation_range())
        return {**layers, "observation.centre": centre, "observation.half": half}


def train_cell(
    config: Config,
    algorithm: str,
    scenario: str,
    root: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> bool:
    """Train a cell into data/runs, unless it is there already.

    Args:
        config: the whole configuration.
        algorithm, scenario: which cell.
        root: the project's folder.
        device: where to compute.
        progress: see `Progress`.
    Returns:
        True if anything was trained, False if the finished cell was found.
    """
    training = Training(config, algorithm, scenario, device)
    folder = results.cell_folder(root, algorithm, scenario)
    finished = results.read_cell(folder)
    if finished is not None and finished["fingerprint"] == training.fingerprint:
        return False
    checkpoint = root / "build" / "checkpoints" / f"{algorithm}-{scenario}-{training.fingerprint}.safetensors"
    (folder / "cell.json").unlink(missing_ok=True)
    try:
        training.run(checkpoint, progress)
    except NotFiniteError:
        results.write_table(folder / "curves.csv", training.curves())
        raise
    results.write_table(folder / "curves.csv", training.curves())
    results.write_table(folder / "summary.csv", training.summary())
    if training.learner.learns:
        results.write_atomically(folder / "policy.safetensors", save(training.policy()))
    content = {"fingerprint": training.fingerprint, **training.description}
    results.write_atomically(folder / "cell.json", json.dumps(content, indent=1, sort_keys=True) + "\n")
    checkpoint.unlink(missing_ok=True)
    return True
