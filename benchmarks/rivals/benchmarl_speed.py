"""BenchMARL's MADDPG (on TorchRL's DDPGLoss), one `_optimizer_loop` per request. Runs in the environment of
benchmarl.txt.

Arguments: threads, agents, observation, action, batch.

Two experiments: `share_param_critic` true (one critic with one value for all agents) and false (a critic for each
agent). Networks are BenchMARL's `Mlp` of 256-128-64 with ReLU on the joint input; actors are separate. An experiment
needs an environment; it is given one of random numbers, from which the ready batch is collected once. The replay
buffer is then replaced by that batch, so that no sampling is timed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import torch
from benchmarl.algorithms import MaddpgConfig
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.envs import EnvBase

from benchmarks.rivals import answering, serve

GROUP = "agents"


class RandomEnv(EnvBase):
    """Observations and rewards are random numbers; an episode never ends by itself."""

    def __init__(self, envs: int, agents: int, observation: int, action: int) -> None:
        super().__init__(device="cpu", batch_size=[envs])
        shape = (envs, agents)
        self.shape_of_observation = (*shape, observation)
        parts = {"observation": Unbounded((*shape, observation))}
        self.observation_spec = Composite({GROUP: Composite(parts, shape=shape)}, shape=(envs,))
        parts = {"action": Bounded(-1, 1, (*shape, action))}
        self.action_spec = Composite({GROUP: Composite(parts, shape=shape)}, shape=(envs,))
        self.reward_spec = Composite({GROUP: Composite({"reward": Unbounded((*shape, 1))}, shape=shape)}, shape=(envs,))

    def _reset(self, tensordict: TensorDictBase | None = None, **_: object) -> TensorDict:
        seen = TensorDict(
            {"observation": 2.0 * torch.rand(self.shape_of_observation) - 1.0}, self.reward_spec[GROUP].shape
        )
        ends = {name: torch.zeros(*self.batch_size, 1, dtype=torch.bool) for name in ("done", "terminated")}
        return TensorDict({GROUP: seen, **ends}, self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        result = self._reset()
        result[GROUP, "reward"] = torch.randn(*self.reward_spec[GROUP].shape, 1)
        return result

    def _set_seed(self, seed: int | None) -> None:
        torch.manual_seed(0 if seed is None else seed)


class RandomTask(TaskClass):
    """The environment's description for BenchMARL."""

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: int | None, device: object) -> Callable:
        return partial(RandomEnv, num_envs, **self.config)

    def supports_continuous_actions(self) -> bool:
        return True

    def supports_discrete_actions(self) -> bool:
        return False

    def max_steps(self, env: EnvBase) -> int:
        return 50

    def has_render(self, env: EnvBase) -> bool:
        return False

    def group_map(self, env: EnvBase) -> dict[str, list[str]]:
        return {GROUP: [f"agent_{n}" for n in range(self.config["agents"])]}

    def observation_spec(self, env: EnvBase) -> Composite:
        return env.full_observation_spec_unbatched

    def action_spec(self, env: EnvBase) -> Composite:
        return env.full_action_spec_unbatched

    def info_spec(self, env: EnvBase) -> None:
        return None

    def state_spec(self, env: EnvBase) -> None:
        return None

    def action_mask_spec(self, env: EnvBase) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "random"


class Ready:
    """Replaces the replay buffer and always returns the same batch."""

    def __init__(self, batch: TensorDictBase) -> None:
        self.batch = batch

    def sample(self) -> TensorDictBase:
        return self.batch.copy()

    def update_tensordict_priority(self, data: TensorDictBase) -> None:
        """Uniform replay has none."""


def experiment(share_critic: bool, batch: int, sizes: dict[str, int]) -> Experiment:
    """An experiment that is set up and has its batch."""
    config = ExperimentConfig.get_from_yaml()
    config.share_policy_params = False
    config.lr, config.gamma, config.polyak_tau, config.clip_grad_val = 1e-3, 0.6, 0.01, 1.0
    config.loggers, config.create_json, config.evaluation, config.render = [], False, False, False
    config.off_policy_n_envs_per_worker, config.off_policy_collected_frames_per_batch = 8, 8 * batch
    config.off_policy_train_batch_size, config.off_policy_memory_size = batch, 8 * batch
    config.save_folder = tempfile.mkdtemp()
    model = MlpConfig(num_cells=[256, 128, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.ReLU)
    algorithm = MaddpgConfig(
        share_param_critic=share_critic, loss_function="l2", delay_value=True, use_tanh_mapping=True
    )
    made = Experiment(RandomTask("random", sizes), algorithm, model, seed=0, config=config)
    data = next(iter(made.collector)).exclude(*made._get_excluded_keys(GROUP))
    made.replay_buffers[GROUP].extend(made.algorithm.process_batch(GROUP, data).reshape(-1))
    made.replay_buffers[GROUP] = Ready(made.replay_buffers[GROUP].sample())
    return made


def main() -> None:
    answer = answering()
    threads, agents, observation, action, batch = (int(value) for value in sys.argv[1:6])
    torch.set_num_threads(threads)
    sizes = {"agents": agents, "observation": observation, "action": action}
    cases = {name: experiment(share, batch, sizes) for name, share in (("shared", True), ("separate", False))}
    about = {name: version(name) for name in ("benchmarl", "torchrl")} | {"torch": torch.__version__}
    serve(answer, about, {name: partial(made._optimizer_loop, GROUP) for name, made in cases.items()})


if __name__ == "__main__":
    main()
