"""The same game elsewhere: BenchMARL's MADDPG, on TorchRL, trains through the adapter, with the cost in info.

BenchMARL fixes versions of its own, so `make benchmarl` makes an environment for it and runs a short training. Then:

    build/benchmarl/bin/python examples/benchmarl_maddpg.py --episodes 100

It prints the mean reward and energy per device and slot of each iteration, beside the limit. Nothing there keeps the
limit: that needs an algorithm that reads the cost.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarl.algorithms import MaddpgConfig
from benchmarl.environments.pettingzoo.common import PettingZooClass
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from tensordict import TensorDictBase
from torchrl.envs import EnvBase, MarlGroupMapType, PettingZooWrapper

from mecpaper import config
from mecpaper.env.parallel import SecureOffloading

GAME = config.load().game
GROUP = "devices"


class WithCost(SecureOffloading):
    """The game with a cost in every info: TorchRL learns from the first infos what later ones hold."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        observations, _ = super().reset(seed, options)
        return observations, {agent: {"cost": 0.0} for agent in self.agents}

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        *rest, infos = super().step(actions)
        return *rest, {agent: {"cost": info["cost"]} for agent, info in infos.items()}


class Offloading(PettingZooClass):
    """The game's description for BenchMARL: one group of all devices, continuous actions."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        group = MarlGroupMapType.ALL_IN_ONE_GROUP.get_group_map([f"device_{n}" for n in range(GAME.devices)])
        groups = {GROUP: next(iter(group.values()))}
        return lambda: PettingZooWrapper(WithCost(GAME), group_map=groups, device=device, seed=seed)

    def supports_continuous_actions(self) -> bool:
        return True

    def has_render(self, env: EnvBase) -> bool:
        return False

    def max_steps(self, env: EnvBase) -> int:
        return GAME.slots


class Report(Callback):
    """Print what every batch of new episodes earned and spent."""

    def on_batch_collected(self, batch: TensorDictBase) -> None:
        reward, cost = batch["next", GROUP, "reward"].mean(), batch["next", GROUP, "info", "cost"].mean()
        limit = GAME.cost_limit_fraction * GAME.alike().battery_capacity
        print(f"reward {reward:.3f}, energy {cost:.3f} J, limit {limit:g} J", flush=True)


def main() -> None:
    """Train for some episodes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=100)
    episodes = parser.parse_args().episodes
    settings = ExperimentConfig.get_from_yaml()
    settings.share_policy_params, settings.gamma, settings.polyak_tau = False, 0.1, 0.01
    settings.loggers, settings.create_json, settings.evaluation = [], False, False
    settings.max_n_iters, settings.max_n_frames = episodes, None
    settings.off_policy_n_envs_per_worker, settings.off_policy_collected_frames_per_batch = 1, GAME.slots
    settings.off_policy_train_batch_size, settings.off_policy_n_optimizer_steps = 32, GAME.slots // 2 or 1
    settings.off_policy_memory_size, settings.save_folder = 20_000, tempfile.mkdtemp()
    algorithm, model = MaddpgConfig.get_from_yaml(), MlpConfig.get_from_yaml()
    task = Offloading("offloading", {})
    Experiment(task, algorithm, model, seed=1, config=settings, critic_model_config=model, callbacks=[Report()]).run()


if __name__ == "__main__":
    main()
