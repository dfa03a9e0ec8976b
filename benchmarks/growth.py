"""Growth of the cost of an update with the number of agents and with the number of batched runs.

Timed is an update of cpo_maddpg on a prepared mini-batch at the default setting, over the number of devices N with one
run, and over the number of runs with N as in params.yaml. The exponent p is the slope of a least-squares line through
(log number, log median time): 1 is proportional, below 1 means that batching pays. The bytes are those of one run's
replay buffer with the settings of params.yaml, for joint transitions of N devices; it is not allocated here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.common import Options, figure, interleaved, make_game, make_work, timed
from mecpaper.algorithms.replay import Replay
from mecpaper.config import Config

ALGORITHM = "cpo_maddpg"
DEVICES = (10, 20, 50, 100, 200)
RUNS = (1, 2, 5, 10, 30, 64)


def exponent(numbers: tuple[int, ...], costs: list[float]) -> float:
    """Slope of the least-squares line in double logarithmic axes."""
    return float(np.polyfit(np.log(numbers), np.log(costs), 1)[0])


def replay_bytes(config: Config, devices: int) -> int:
    """Size of a run's replay buffer."""
    game = make_game(config, devices=devices)
    sizes = game.observation_size, game.action_size
    replay = Replay(1, config.learning.buffer, devices, *sizes, torch.device("meta"), game.dtype, prioritised=True)
    return replay.data.nbytes + replay.priorities.nbytes


def sweep(config: Config, options: Options, numbers: tuple[int, ...], key: str) -> tuple[list[dict], float]:
    """Figures of an update for each number of devices or runs, and the exponent."""
    sides = {}
    for number in numbers:
        game = make_game(config, devices=number) if key == "devices" else make_game(config, runs=number)
        sides[f"{key} = {number}"] = timed(make_work(config, ALGORITHM, game).call)
    seconds = interleaved(sides, options.repetitions, options.seconds)
    figures = [figure(name, "ms per update", [1e3 * value for value in values]) for name, values in seconds.items()]
    return figures, exponent(numbers, [entry["median"] for entry in figures])


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Times of an update, exponents, bytes."""
    of_devices, devices_exponent = sweep(config, options, DEVICES, "devices")
    of_runs, runs_exponent = sweep(config, options, RUNS, "runs")
    shares = [f"{entry['median'] / number:.2f} ms with {number}" for number, entry in zip(RUNS, of_runs, strict=True)]
    values = [
        ["a run's share of an update, with so many runs", ", ".join(shares)],
        [f"exponent in devices, {DEVICES[0]} to {DEVICES[-1]}, 1 run", f"{devices_exponent:.2f}"],
        [f"exponent in runs, {RUNS[0]} to {RUNS[-1]}, {config.game.devices} devices", f"{runs_exponent:.2f}"],
    ]
    values += [
        [f"replay of {config.learning.buffer} joint transitions, {n} devices", f"{replay_bytes(config, n):,} bytes"]
        for n in DEVICES
    ]
    return {"figures": of_devices + of_runs, "ratios": [], "values": values}
