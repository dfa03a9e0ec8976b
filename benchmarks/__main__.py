"""Measure all parts, or those named, and write results.json and RESULTS.md.

python -m benchmarks                       all parts; needs an idle machine
python -m benchmarks learning game         some parts; the results of the others are kept
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path

import torch

from benchmarks import (
    cluster,
    comparison,
    device_actor,
    explorer,
    faults,
    game,
    gpu,
    growth,
    learning,
    precision,
    projection,
    report,
    same_reward,
    soak,
    speed,
)
from benchmarks.common import Options, machine
from mecpaper.config import find_root, load
from mecpaper.config.tables import read_json

PARTS = {
    "learning": learning,
    "rivals": speed,
    "game": game,
    "explorer": explorer,
    "device_actor": device_actor,
    "growth": growth,
    "projection": projection,
    "comparison": comparison,
    "gpu": gpu,
    "cluster": cluster,
    "faults": faults,
    "soak": soak,
    "precision": precision,
    "same_reward": same_reward,
}
"""Name -> module with `measure`; its docstring is the explanation in RESULTS.md. The longest comes last."""


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; by default all; gpu needs a CUDA device"
    )
    parser.add_argument("--threads", type=int, default=2, help="of torch, on every side (2)")
    parser.add_argument("--repetitions", type=int, default=5, help="of every measurement; seeds of trainings (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="minimum length of a timed block (1)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the results (benchmarks)")
    own = parser.add_argument_group("same_reward and precision")
    own.add_argument("--scale", default="study", help="of the trainings (study)")
    own.add_argument("--levels", type=float, nargs="+", default=[0.4, 1.0, 1.2], help="of the reward (0.4 1.0 1.2)")
    own.add_argument("--budget-factor", type=float, default=15.0, help="the rival's time over ours (15)")
    own.add_argument("--budget-minutes", type=float, default=30.0, help="the rival's time at most (30)")
    own.add_argument("--slots-per-learn", type=int, nargs="+", default=[], help="of the rival (as the scale has it)")
    return parser.parse_args()


def main() -> None:
    """Measure and write part by part, so that an interruption loses at most one part."""
    chosen = arguments()
    names = chosen.parts or [name for name in PARTS if name != "gpu" or torch.cuda.is_available()]
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        sys.exit(f"part = {unknown[0]!r}: one of {', '.join(PARTS)}")
    root, config = find_root(), load()
    torch.set_num_threads(chosen.threads)
    path = chosen.output / "results.json"
    results = read_json(path) if path.exists() else {}
    options = Options(
        root=root,
        threads=chosen.threads,
        repetitions=chosen.repetitions,
        seconds=chosen.seconds,
        scale=chosen.scale,
        levels=tuple(chosen.levels),
        budget_factor=chosen.budget_factor,
        budget_minutes=chosen.budget_minutes,
        slots_per_learn=tuple(chosen.slots_per_learn),
        earlier=results,
    )
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        state = machine(chosen.threads)
        part = PARTS[name].measure(config, options)
        results[name] = {"machine": state, "text": inspect.getdoc(PARTS[name]), **part}
        results = {key: results[key] for key in PARTS if key in results}
        chosen.output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (chosen.output / "RESULTS.md").write_text(report.render(results), encoding="utf-8")


if __name__ == "__main__":
    main()
