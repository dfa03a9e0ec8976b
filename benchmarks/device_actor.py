"""Cost of a trained actor on a device: the size of its file, and the time of one decision.

The actor of one device of CPO-MADDPG at the default setting, exported by `mecpaper.policies.export`, decides on one
observation after another in ONNX Runtime: normalisation, network and the decision in physical units. The other side is
the same actor in torch, as the package calls stored policies, up to the action in [-1, 1]. Both map an array to an
array, on one thread. The time of a decision is the median over the calls of a block, so that pauses of the machine do
not count. The size is the maximum over all devices' files. Measured on the machine named below, not on a camera.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import onnxruntime
import torch

from benchmarks.common import Options, Side, figure, interleaved, observations, ratio
from mecpaper.config import Config, resolve
from mecpaper.env.game import Game
from mecpaper.policies.export import actor_model, stored_policy

SITUATIONS = 1000
"""Random observations, within their range, that are decided on in turn."""


def typical(work: Callable[[int], Any]) -> Side:
    """A side that calls `work` with 0, 1, 2, ... and counts the median time of a call for each of them."""

    def side(calls: int) -> float:
        times = []
        for number in range(calls):
            started = time.perf_counter()
            work(number)
            times.append(time.perf_counter() - started)
        return calls * statistics.median(times)

    return side


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Microseconds of a decision on both sides, kB of a file, and the maximum difference of an action."""
    torch.set_num_threads(1)
    experiment = resolve(config, "cpo_maddpg", "default")
    policy, game = stored_policy(options.root, experiment), experiment.game
    models = [actor_model(policy, device, game).SerializeToString() for device in range(policy.devices)]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(models[0], settings, providers=["CPUExecutionProvider"])
    alone = replace(policy, layers=tuple(w[:1] for w in policy.layers), centre=policy.centre[:1], half=policy.half[:1])
    single = Game([game.changed(devices=1)])
    act = alone.policy(single)
    rows = observations(single, SITUATIONS, generator=torch.Generator().manual_seed(0))[0, :, 0].numpy()

    def in_runtime(number: int) -> Any:
        row = number % SITUATIONS
        return session.run(None, {"observation": rows[row : row + 1]})

    @torch.inference_mode()
    def in_torch(number: int) -> Any:
        row = number % SITUATIONS
        return act(torch.from_numpy(rows[row : row + 1]).view(1, 1, 1, -1), torch.empty(0)).numpy()

    difference = max(abs(in_runtime(row)[0] - in_torch(row)[0, 0]).max() for row in range(SITUATIONS))
    sides = {"ONNX Runtime": typical(in_runtime), "torch": typical(in_torch)}
    seconds = interleaved(sides, options.repetitions, options.seconds)
    torch.set_num_threads(options.threads)
    return {
        "figures": [figure(f"one decision, {name}", "us", [1e6 * s for s in part]) for name, part in seconds.items()],
        "ratios": [ratio("ONNX Runtime : torch", seconds["torch"], seconds["ONNX Runtime"])],
        "values": [
            ["file of one device", f"{max(len(model) for model in models) / 1e3:.1f} kB"],
            ["weights and biases", f"{sum(w[0].numel() for w in policy.layers):,}"],
            ["maximum difference of an action", f"{difference:.1e}"],
            ["onnxruntime", onnxruntime.__version__],
        ],
    }
