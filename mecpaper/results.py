"""Where the results of training lie, and how they are read and written. No torch here.

A cell (algorithm, scenario; all seeds) has a folder `data/runs/<algorithm>/<scenario>/` with `cell.json` (what
was trained, as a fingerprint and in full), `curves.csv`, `summary.csv` and, for a learner, `policy.safetensors`.
`cell.json` is written last, so a folder with it is complete.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

SUMMARY_COLUMNS = (
    "algorithm", "scenario", "seed", "scale", "episodes", "updates", "reward", "ecpr_f", "ecpr_m", "sor",
    "offload_share", "request_share", "local_energy", "offload_energy", "insecure_offloads", "energy", "cost_limit",
    "latency", "accuracy", "penalty", "battery", "frame_rate", "resolution", "transmit_power", "cpu_frequency",
    "multiplier", "seconds",
)  # fmt: skip


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, whenever the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, six significant digits, missing values empty, atomically."""
    write_atomically(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def cell_folder(root: Path, algorithm: str, scenario: str) -> Path:
    """Folder of a cell's results."""
    return root / "data" / "runs" / algorithm / scenario


def read_cell(folder: Path) -> dict[str, Any] | None:
    """What a finished cell was trained from, or None where the folder holds no finished cell."""
    try:
        return json.loads((folder / "cell.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def read_tables(root: Path, name: str) -> pd.DataFrame:
    """One kind of table of all finished cells, in one frame.

    Args:
        root: the project's folder.
        name: "curves" or "summary".
    """
    folders = sorted(path.parent for path in (root / "data" / "runs").glob("*/*/cell.json"))
    if not folders:
        raise FileNotFoundError(f"data/runs of {root.name}: no finished cell, run the training stages first")
    return pd.concat([pd.read_csv(folder / f"{name}.csv") for folder in folders], ignore_index=True)


def collect(root: Path) -> pd.DataFrame:
    """Write data/runs/summary.csv, one row per algorithm, scenario and seed, and return it."""
    table = read_tables(root, "summary")[list(SUMMARY_COLUMNS)]
    write_table(root / "data" / "runs" / "summary.csv", table)
    return table


if __name__ == "__main__":
    from mecpaper.config import find_root

    collect(find_root())
