"""The same small hyperparameter search for every learner, on seeds that no result uses.

`search` trains the candidates that data/runs/tuning.csv does not have; rows are identified by their experiment's key.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit

from mecpaper.config import ALGORITHMS, Config, Experiment, load, parse, resolve
from mecpaper.config.schema import ScaleConfig
from mecpaper.config.tables import read_table
from mecpaper.store.files import write_table
from mecpaper.training.experiments import cores
from mecpaper.training.loop import Training
from mecpaper.training.memory import processes_that_fit

COLUMNS = ["reward", "energy", "cost_limit", "ecpr_f", "sor", "offload_share", "updates"]


def candidates(config: Config) -> dict[tuple[str, str], Experiment]:
    """Make the experiments of the search, by algorithm and candidate.

    Each is the default experiment with the candidate's changes in place of the algorithm's own changes to `learning`,
    and with the seeds and the number of updates of the search.
    """
    found = {}
    for algorithm in (key for key, entry in ALGORITHMS.items() if entry.learns):
        for name, changes in config.tuning.candidates(algorithm).items():
            base = resolve(config, algorithm, "default", config.tuning.seeds)
            learning, own = config.learner_with(algorithm, {algorithm: {"learning": {}} | changes})
            share = getattr(config.tuning.share, ALGORITHMS[algorithm].search)
            points = max(1, round(share * base.scale.episodes / base.scale.curve_every))
            pace = {"episodes": points * base.scale.curve_every}
            scale = parse(ScaleConfig, base.scale.model_dump() | pace, "tuning")
            found[algorithm, name] = replace(base, learning=learning, own=own, scale=scale)
    return found


def trial(experiment: Experiment, name: str) -> pd.DataFrame:
    """Train and measure one candidate; return a row per seed."""
    torch.set_num_threads(1)
    training = Training(experiment)
    training.run()
    table = training.summaries()[["seed", *COLUMNS]]
    table.insert(0, "candidate", name)
    table.insert(0, "algorithm", experiment.algorithm)
    return table.assign(key=experiment.key)


def choose(trials: pd.DataFrame, algorithm: str, energy_margin: float) -> str:
    """Choose the winner of a search by the rule in params.yaml under `tuning`.

    Args:
        trials: columns algorithm, candidate, seed, reward, energy, cost_limit.
        algorithm: the algorithm to choose for.
        energy_margin: share by which the mean energy of a constrained learner may exceed C_limit.
    Returns:
        The candidate's name; "base" if none keeps the limit, or the gain over it may be chance. If base does not keep
        the limit, the best that does.
    """
    trials = trials[trials["algorithm"] == algorithm]
    means = trials.groupby("candidate")[["reward", "energy", "cost_limit"]].mean()
    if ALGORITHMS[algorithm].constrained:
        means = means[means["energy"] <= (1.0 + energy_margin) * means["cost_limit"]]
    if means.empty or "base" not in means.index:
        return str(means["reward"].idxmax()) if len(means) else "base"
    best = str(means["reward"].idxmax())
    rewards = trials.pivot(index="seed", columns="candidate", values="reward")
    gain = rewards[best] - rewards["base"]
    half = stdtrit(len(gain) - 1, 0.975) * gain.std() / len(gain) ** 0.5 if len(gain) > 1 else np.inf
    return best if gain.mean() > half else "base"


def search(root: Path) -> pd.DataFrame:
    """Update data/runs/tuning.csv, with a row per algorithm, candidate and seed, and return it.

    Raises:
        ConfigError: a candidate does not fit in memory.
    """
    path = root / "data" / "runs" / "tuning.csv"
    known = read_table(path, optional=True)
    wanted = candidates(load(root / "params.yaml"))
    tables = {label: known[known["key"] == experiment.key] for label, experiment in wanted.items()}
    missing = [label for label, table in tables.items() if table.empty]
    processes = processes_that_fit([[wanted[label]] for label in missing], min(len(missing), cores()))
    with ProcessPoolExecutor(max(1, processes)) as pool:
        jobs = {label: pool.submit(trial, wanted[label], label[1]) for label in missing}
        for label, job in jobs.items():
            tables[label] = job.result()
            write_table(path, pd.concat([table for table in tables.values() if len(table)]))
    return pd.concat(tables.values(), ignore_index=True)
