"""The same small search for every learner, on seeds from which no result comes.

`search` trains what is missing from data/runs/tuning.csv; finished rows are kept by the key of their experiment.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from mecpaper.config import ALGORITHMS, Config, Experiment, load, parse, resolve
from mecpaper.config.schema import ScaleConfig
from mecpaper.store.files import write_table
from mecpaper.training.loop import Training

COLUMNS = ["reward", "energy", "cost_limit", "ecpr_f", "sor", "offload_share", "updates"]


def candidates(config: Config) -> dict[tuple[str, str], Experiment]:
    """Return (algorithm, candidate) -> the default experiment in which the algorithm's section says what the candidate
    says, and nothing else under `learning`; with the seeds and the pace of the search."""
    found = {}
    for algorithm in (key for key, entry in ALGORITHMS.items() if entry.learns):
        for name, changes in config.tuning.candidates(algorithm).items():
            base = resolve(config, algorithm, "default", config.tuning.seeds)
            learning, own = config.learner_with(algorithm, {algorithm: {"learning": {}} | changes})
            pace = {"slots_per_update": config.tuning.slots_per_update}
            scale = parse(ScaleConfig, base.scale.model_dump() | pace, "tuning")
            found[algorithm, name] = replace(base, learning=learning, own=own, scale=scale)
    return found


def trial(experiment: Experiment, name: str) -> pd.DataFrame:
    """Train and measure one candidate: a row per seed."""
    torch.set_num_threads(1)
    training = Training(experiment)
    training.run()
    table = training.summaries()[["seed", *COLUMNS]]
    table.insert(0, "candidate", name)
    table.insert(0, "algorithm", experiment.algorithm)
    return table.assign(key=experiment.key)


def choose(trials: pd.DataFrame, algorithm: str, energy_margin: float) -> str:
    """Choose the winner of a search by the rule that params.yaml states under `tuning`.

    Args:
        trials: columns algorithm, candidate, reward, energy, cost_limit; a row per seed.
        algorithm: whose search.
        energy_margin: how far above C_limit a constrained learner's mean energy may be, as a share.
    Returns:
        the candidate's name; "base" if none holds the limit.
    """
    means = trials[trials["algorithm"] == algorithm].groupby("candidate")[["reward", "energy", "cost_limit"]].mean()
    if ALGORITHMS[algorithm].constrained:
        means = means[means["energy"] <= (1.0 + energy_margin) * means["cost_limit"]]
    return str(means["reward"].idxmax()) if len(means) else "base"


def search(root: Path) -> pd.DataFrame:
    """Bring data/runs/tuning.csv up to date, a row per algorithm, candidate and seed, and return it."""
    path = root / "data" / "runs" / "tuning.csv"
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["key"])
    wanted = candidates(load(root / "params.yaml"))
    tables = {label: known[known["key"] == experiment.key] for label, experiment in wanted.items()}
    missing = [label for label, table in tables.items() if table.empty]
    with ProcessPoolExecutor(min(len(missing), os.cpu_count() or 1) or 1) as pool:
        jobs = {label: pool.submit(trial, wanted[label], label[1]) for label in missing}
        for label, job in jobs.items():
            tables[label] = job.result()
            write_table(path, pd.concat([table for table in tables.values() if len(table)]))
    return pd.concat(tables.values(), ignore_index=True)
