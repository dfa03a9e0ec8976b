"""Read and write the stored results of experiments.

An experiment has a folder `data/runs/<algorithm>/<scenario>/` with `experiment.json` (the numbers it was trained with,
the results version and the key over both), `curves.csv`, `summary.csv` and, for some scenarios, `policy.safetensors`.
`experiment.json` is written last, so that a folder that has it is complete; `SHA256SUMS` has the checksums of the
other files. Beside a policy, MODEL_CARD.md describes it; docs/columns.csv describes the columns of the tables.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mecpaper.config import RESULTS_VERSION, Config, Experiment, fingerprint, load, named
from mecpaper.config.root import remedy
from mecpaper.config.tables import read_table
from mecpaper.store.card import CARD
from mecpaper.store.files import UNFINISHED, write_atomically, write_table

SUMMARY_COLUMNS = (
    "algorithm", "scenario", "seed", "scale", "episodes", "updates", "reward", "ecpr_f", "ecpr_m", "sor",
    "offload_share", "request_share", "local_energy", "offload_energy", "insecure_offloads", "energy", "cost_limit",
    "latency", "accuracy", "penalty", "battery", "frame_rate", "resolution", "transmit_power", "cpu_frequency",
    "multiplier", "seconds",
)  # fmt: skip

METRICS = ("reward", "energy", "ecpr_f", "ecpr_m", "sor", "offload_share")
"""Measures whose means `collect` writes for `dvc metrics`."""

OF_CURVES = ("episode", "multiplier_at_zero", "multiplier_at_max", "clipped")
"""Columns of curves that a summary does not have, as far as they are read by name."""

MARK, CHECKSUMS, POLICY = "experiment.json", "SHA256SUMS", "policy.safetensors"
"""Names of the file that completes an experiment's folder, of the list of checksums, and of the first run's policy."""


class DamagedError(RuntimeError):
    """A stored result that has changed since it was written."""


def folder_of(root: Path, experiment: Experiment) -> Path:
    """Return the folder of an experiment's results."""
    return root / experiment.folder / experiment.algorithm / experiment.scenario


def find_folders(folder: Path) -> list[Path]:
    """List the folders of complete experiments: a folder itself, and those up to two levels below it."""
    return sorted(path.parent for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}{MARK}"))


def begin(folder: Path) -> None:
    """Make an experiment's folder incomplete; the policy of former numbers must not stand beside new results."""
    for name in (MARK, POLICY, CARD):
        (folder / name).unlink(missing_ok=True)


def complete(folder: Path, numbers: dict[str, Any], version: int = RESULTS_VERSION) -> None:
    """Complete an experiment's folder: write the checksums of its files, then `experiment.json`."""
    write_atomically(folder / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items()))
    content = {"key": fingerprint(numbers, version), "results_version": version, **numbers}
    write_atomically(folder / MARK, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    others = (MARK, CHECKSUMS, CARD)
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    files = [path for path in files if path.name not in others and path.suffix != UNFINISHED]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class Stored:
    """Content of `experiment.json`: key, results version, and the numbers that the results were computed from."""

    key: str
    version: int
    numbers: dict[str, Any]


def read(folder: Path) -> Stored | None:
    """Read `experiment.json` of a folder and verify the checksums; None if the folder is not complete.

    Raises:
        DamagedError: a file differs from what training wrote.
    """
    try:
        content: dict[str, Any] = json.loads((folder / MARK).read_text(encoding="utf-8"))
        listed = (folder / CHECKSUMS).read_text(encoding="utf-8")
        stored = Stored(content.pop("key"), content.pop("results_version"), content)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise _damaged(folder / MARK) from None
    if stored.key != fingerprint(stored.numbers, stored.version):
        raise _damaged(folder / MARK)
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in listed.splitlines())}
    found = _digests(folder)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise _damaged(folder / name)
    return stored


def _damaged(path: Path) -> DamagedError:
    mend = remedy(path) or f"delete {path.parent} to train this experiment again"
    return DamagedError(f"{path}: not what training wrote; {mend}")


def missing(experiments: Sequence[Experiment], root: Path, policies: bool = False) -> list[Experiment]:
    """Select the experiments that have no stored results with their numbers and the current results version.

    Args:
        experiments: experiments to look for.
        root: the project's folder.
        policies: whether results also count as missing without the policy that is to be kept.
    Raises:
        DamagedError: a file differs from what training wrote.
    """
    return [
        e
        for e in experiments
        if (stored := read(folder_of(root, e))) is None or stored.key != e.key or (policies and _lacks_policy(root, e))
    ]


def _lacks_policy(root: Path, experiment: Experiment) -> bool:
    return experiment.keeps_policy and not (folder_of(root, experiment) / POLICY).exists()


def status(config: Config, root: Path) -> list[dict[str, str]]:
    """List every experiment that params.yaml names, and every other folder of results.

    Returns:
        A row for each: "experiment", its name; "state": stored, missing, other configuration, other version, damaged or
        left over; "detail", such as the numbers that differ.
    """
    rows = []
    wanted = {experiment.name: experiment for experiment in named(config)}
    marks = (root / "data" / "runs").glob(f"*/*/{MARK}")
    others = sorted({"/".join(path.parts[-3:-1]) for path in marks} - set(wanted))
    for name in (*wanted, *others):
        experiment = wanted.get(name)
        try:
            stored, detail = read(root / "data" / "runs" / name), ""
        except DamagedError as error:
            stored, state, detail = None, "damaged", str(error)
        else:
            state = "missing" if stored is None else "stored"
        if experiment is None:
            state, detail = "left over", "not named in params.yaml"
        elif stored is not None and stored.numbers != experiment.numbers:
            state, detail = "other configuration", "; ".join(differences(stored.numbers, experiment.numbers))
        elif stored is not None and stored.version != RESULTS_VERSION:
            state, detail = "other version", f"{stored.version}, now {RESULTS_VERSION}: run restamp"
        elif stored is not None and _lacks_policy(root, experiment):
            state, detail = "missing", "only the policy, which is new under policies in params.yaml"
        rows.append({"experiment": name, "state": state, "detail": detail})
    return rows


def differences(stored: Any, other: Any, key: str = "", word: str = "now") -> list[str]:
    """List the numbers that differ, such as "learning.batch = 32, now 64"; the word stands before the other number."""
    if isinstance(stored, dict) and isinstance(other, dict):
        keys = sorted({*stored, *other})
        return [x for k in keys for x in differences(stored.get(k), other.get(k), f"{key}.{k}".strip("."), word)]
    return [] if stored == other else [f"{key} = {stored}, {word} {other}"]


def read_tables(root: Path, name: str) -> pd.DataFrame:
    """Read one kind of table of the stored experiments that params.yaml names, with its numbers, into one data frame.

    Others, left over or of another configuration or version, are ignored; `status` lists them.

    Args:
        root: the project's folder.
        name: "curves" or "summary".
    Raises:
        FileNotFoundError: nothing is stored.
        DamagedError: a file differs from what training wrote.
    """
    wanted = named(load(root / "params.yaml"))
    absent = {experiment.key for experiment in missing(wanted, root)}
    folders = sorted(folder_of(root, experiment) for experiment in wanted if experiment.key not in absent)
    if not folders:
        raise FileNotFoundError(f"data/runs of {root.name}: no stored experiment; run the training stages first")
    return pd.concat([read_table(folder / f"{name}.csv") for folder in folders], ignore_index=True)


def read_folder(folder: Path, name: str) -> pd.DataFrame:
    """Read one kind of table of all complete experiments in a folder of own runs; name and errors as `read_tables`."""
    found = [path for path in find_folders(folder) if read(path)]
    if not found:
        raise FileNotFoundError(f"{folder}: no complete experiment; mecpaper train --out makes some")
    return pd.concat([read_table(path / f"{name}.csv") for path in found], ignore_index=True)


def read_experiments(root: Path, experiments: Sequence[Experiment], name: str) -> pd.DataFrame:
    """Read one kind of table of some experiments into one data frame, in their order.

    Args:
        root: the project's folder.
        experiments: experiments to read; all must be stored. Of none the data frame is empty.
        name: "curves" or "summary".
    Raises:
        FileNotFoundError: an experiment is not stored, or with other numbers.
        DamagedError: a file differs from what training wrote.
    """
    if not experiments:
        return pd.DataFrame(columns=[*SUMMARY_COLUMNS, *OF_CURVES], dtype=float)
    absent = [experiment.name for experiment in missing(experiments, root)]
    if absent:
        raise FileNotFoundError(f"data/runs of {root.name}: {', '.join(absent)} not stored; train first")
    folders = [folder_of(root, experiment) for experiment in experiments]
    return pd.concat([read_table(folder / f"{name}.csv") for folder in folders], ignore_index=True)


def growing_curves(root: Path, experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Read the learning curves of experiments as far as they have come, those of a training under way included.

    Returns:
        The curves in the order of the experiments; empty if none has begun.
    """
    parts = []
    for experiment in experiments:
        path = folder_of(root, experiment) / "curves.csv"
        stored = read(path.parent)
        if path.exists() and (stored is None or stored.key == experiment.key):
            parts.append(read_table(path))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def collect(root: Path) -> pd.DataFrame:
    """Write the final measures of all runs to data/runs/summary.csv, and return them; say what is ignored.

    For DVC also their means over seeds, in metrics.json by algorithm and scenario, and reward_curves.csv: the mean
    reward at the default setting, a row per episode and a column per algorithm.
    """
    table, curves = read_tables(root, "summary")[list(SUMMARY_COLUMNS)], read_tables(root, "curves")
    for row in status(load(root / "params.yaml"), root):
        if row["state"] not in ("stored", "missing"):
            print(f"ignored: {row['experiment']}, {row['state']}: {row['detail']}", file=sys.stderr)
    folder, metrics = root / "data" / "runs", dict[str, dict[str, dict[str, float]]]()
    for (algorithm, scenario), means in table.groupby(["algorithm", "scenario"])[list(METRICS)].mean().iterrows():
        metrics.setdefault(algorithm, {})[scenario] = means.dropna().round(6).to_dict()
    default = curves[curves["scenario"] == "default"]
    write_table(folder / "summary.csv", table)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    write_table(folder / "reward_curves.csv", default.pivot_table("reward", "episode", "algorithm").reset_index())
    return table
