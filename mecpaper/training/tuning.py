"""The same small search for every learner, on seeds from which no result comes.

`python -m mecpaper.training.tuning` trains what is missing from data/runs/tuning.csv; finished rows are kept by fingerprint.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mecpaper import config
from mecpaper.config import Config, fingerprint
from mecpaper.store import results
from mecpaper.training.loop import Training, describe

LEARNERS = ("cpo_maddpg", "lmaddpg", "maddpg", "matd3", "mappo")
CONSTRAINED = ("cpo_maddpg", "lmaddpg")
COLUMNS = ["reward", "energy", "cost_limit", "ecpr_f", "sor", "offload_share", "updates"]


def candidates(settings: Config, algorithm: str) -> dict[str, dict[str, Any]]:
    """Name -> what it changes, for an algorithm."""
    return settings.tuning.mappo if algorithm == "mappo" else settings.tuning.off_policy


def with_candidate(settings: Config, algorithm: str, name: str) -> Config:
    """The configuration in which an algorithm's section says what the candidate says, and else what it says bare."""
    data = settings.model_dump()
    data["run"] |= {"slots_per_update": settings.tuning.slots_per_update}
    data["run"] |= {"seeds": settings.tuning.seeds}
    data[algorithm] |= {"learning": {}} | candidates(settings, algorithm)[name]
    return config.parse(Config, data)


def trial(settings: Config, algorithm: str, name: str) -> pd.DataFrame:
    """Train and measure one candidate: a row per seed."""
    torch.set_num_threads(1)
    changed = with_candidate(settings, algorithm, name)
    training = Training(changed, algorithm, "default")
    training.run()
    table = training.summaries()[["seed", *COLUMNS]]
    table.insert(0, "candidate", name)
    table.insert(0, "algorithm", algorithm)
    table["fingerprint"] = fingerprint(describe(changed, algorithm, "default"))
    return table


def choose(trials: pd.DataFrame, algorithm: str, energy_margin: float) -> str:
    """The winner of a search: the rule that params.yaml states under `tuning`.

    Args:
        trials: columns algorithm, candidate, reward, energy, cost_limit; a row per seed.
        algorithm: whose search.
        energy_margin: how far above C_limit a constrained learner's mean energy may be, as a share.
    Returns:
        the candidate's name; "base" if none holds the limit.
    """
    means = trials[trials["algorithm"] == algorithm].groupby("candidate")[["reward", "energy", "cost_limit"]].mean()
    if algorithm in CONSTRAINED:
        means = means[means["energy"] <= (1.0 + energy_margin) * means["cost_limit"]]
    return str(means["reward"].idxmax()) if len(means) else "base"


def search(settings: Config, root: Path) -> pd.DataFrame:
    """Bring data/runs/tuning.csv up to date, a row per algorithm, candidate and seed, and return it."""
    path = root / "data" / "runs" / "tuning.csv"
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["fingerprint"])
    wanted = {
        (algorithm, name): fingerprint(describe(with_candidate(settings, algorithm, name), algorithm, "default"))
        for algorithm in LEARNERS
        for name in candidates(settings, algorithm)
    }
    tables = {key: known[known["fingerprint"] == value] for key, value in wanted.items()}
    missing = [key for key, table in tables.items() if table.empty]
    with ProcessPoolExecutor(min(len(missing), os.cpu_count() or 1) or 1) as pool:
        jobs = {key: pool.submit(trial, settings, *key) for key in missing}
        for key, job in jobs.items():
            tables[key] = job.result()
            results.write_table(path, pd.concat([table for table in tables.values() if len(table)]))
    return pd.concat(tables.values(), ignore_index=True)


if __name__ == "__main__":
    search(config.load(), config.find_root())
