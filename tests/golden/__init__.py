"""Golden numbers: every algorithm and every switch trained for a few dozen updates on a small game.

`python -m tests.golden` measures them and writes `numbers.json`; `test_golden.py` compares. The game and the numbers of
the training are in `settings.yaml`, not in `params.yaml`: golden numbers pin the code, and the numbers that a result
depends on are part of its fingerprint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mecpaper import config
from mecpaper.config import Config
from mecpaper.env.streams import Stream, generators
from mecpaper.training.loop import Training

FOLDER = Path(__file__).parent
NUMBERS = FOLDER / "numbers.json"

Numbers = dict[str, list[float]]
"""Quantity -> one number per seed, or the entries of one action per seed."""


def settings() -> Config:
    """Settings of the golden trainings; `experiments` there lists them all."""
    return config.load(FOLDER / "settings.yaml")


def names(chosen: Config) -> list[str]:
    """Every golden training as "algorithm/scenario"."""
    return [f"{algorithm}/{scenario}" for algorithm, listed in chosen.experiments.items() for scenario in listed]


@torch.no_grad()
def measure(chosen: Config, name: str, device: str = "cpu") -> Numbers:
    """Train one of `names` and collect what came out.

    Returns:
        losses, gradient norms, multipliers and measures at the last point of the learning curve, the final measures,
        and the first device's greedy action on a first observation.
    """
    algorithm, _, scenario = name.partition("/")
    torch.set_num_threads(1)
    training = Training(config.resolve(chosen, algorithm, scenario), device)
    with torch.enable_grad():
        training.run()
    curve, final = training.curves(), training.summaries()
    last = curve[curve["episode"] == curve["episode"].max()]
    found: dict[str, Any] = {f"curve.{key}": last[key] for key in last.columns[5:]}
    found |= {
        f"final.{key}": final[key] for key in ("reward", "energy", "ecpr_m", "offload_share", "sor", "multiplier")
    }
    observation = training.final_game.reset(generators(training.seeds, Stream.REPLAY))
    shape = (*observation.shape[:-1], training.game.action_size)
    uniform = torch.linspace(0.0, 1.0, shape[-1], dtype=observation.dtype, device=device).expand(shape)
    action = training.learner.act(observation, uniform)[:, 0, 0]
    found |= {f"action.{run}": values for run, values in enumerate(action.double().cpu().numpy())}
    return {key: [float(f"{value:.9g}") for value in np.asarray(values, float)] for key, values in found.items()}


def differences(stored: Numbers, found: Numbers, relative: float) -> list[str]:
    """Name quantities that differ by more than a share of their largest number, with both; NaN equals NaN."""
    lines = [f"{key}: only {'stored' if key in stored else 'found'}" for key in sorted(stored.keys() ^ found.keys())]
    for key in sorted(stored.keys() & found.keys()):
        before, now = np.array(stored[key]), np.array(found[key])
        allowed = relative * np.nanmax(np.abs(before), initial=1e-6)
        if before.shape != now.shape:
            lines.append(f"{key}: {len(before)} numbers stored, {len(now)} found")
        elif not np.allclose(now, before, rtol=0.0, atol=allowed, equal_nan=True):
            lines.append(f"{key}: {before.tolist()} stored, {now.tolist()} found")
    return lines


def read() -> dict[str, Any]:
    """Stored numbers: "version", the RESULTS_VERSION they belong to, and "numbers" by name."""
    return json.loads(NUMBERS.read_text(encoding="utf-8"))


def text(version: int, numbers: dict[str, Numbers]) -> str:
    """The file's content: a line per quantity, so that a change is read in a diff."""
    parts = [
        f'  "{name}": {{\n' + ",\n".join(f'   "{key}": {json.dumps(values)}' for key, values in found.items()) + "\n  }"
        for name, found in numbers.items()
    ]
    return f'{{\n "version": {version},\n "numbers": {{\n' + ",\n".join(parts) + "\n }\n}\n"
