"""Where the results of training lie, and how they are read and written. No torch here.

A cell (algorithm, scenario; all seeds) has a folder `data/runs/<algorithm>/<scenario>/` with `cell.json` (what
was trained, as a fingerprint and in full), `curves.csv`, `summary.csv` and, for a learner, `policy.safetensors`.
`cell.json` is written last, so a folder with it is complete; the checksums of the others are in `SHA256SUMS`.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from mecpaper.config import fingerprint

SUMMARY_COLUMNS = (
    "algorithm", "scenario", "seed", "scale", "episodes", "updates", "reward", "ecpr_f", "ecpr_m", "sor",
    "offload_share", "request_share", "local_energy", "offload_energy", "insecure_offloads", "energy", "cost_limit",
    "latency", "accuracy", "penalty", "battery", "frame_rate", "resolution", "transmit_power", "cpu_frequency",
    "multiplier", "seconds",
)  # fmt: skip

CHECKSUMS = "SHA256SUMS"
"""Name of the file that lists the checksums of a cell's other files."""

UNFINISHED = ".part"
"""Ending of a file that is being written; git and dvc ignore it."""


class DamagedError(RuntimeError):
    """A result that was changed since it was written, told in one line."""


class StorageError(OSError):
    """A file or folder that cannot be written, told in one line."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(folder, error) from None


def prepare_folder(folder: Path) -> None:
    """Make a folder, remove what killed writers left in it, and see that a file can be written there.

    To be called before long work whose results go there, by the only process that writes there.

    Raises:
        StorageError: it cannot be written to.
    """
    make_folder(folder)
    for left in folder.glob(f".*{UNFINISHED}"):
        left.unlink(missing_ok=True)
    probe = folder / f".probe{UNFINISHED}"
    write_atomically(probe, b"")
    probe.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, whenever the process dies.

    Raises:
        StorageError: no room, no permission; the old file is as it was.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _storage_error(path, error) from None


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}); what was there is unchanged, start again when this is mended"
    )


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, six significant digits, missing values empty, atomically."""
    write_atomically(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def cell_folder(root: Path, algorithm: str, scenario: str) -> Path:
    """Folder of a cell's results."""
    return root / "data" / "runs" / algorithm / scenario


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of a cell's files to `SHA256SUMS`, in the form that `sha256sum --check` reads."""
    write_atomically(folder / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items()))


def _digests(folder: Path) -> dict[str, str]:
    others = ("cell.json", CHECKSUMS)
    files = sorted(path for path in folder.iterdir() if path.name not in others and path.suffix != UNFINISHED)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_cell(folder: Path) -> dict[str, Any] | None:
    """What a finished cell was trained from, or None where the folder holds no finished cell.

    Raises:
        DamagedError: one of the cell's files is not what training wrote.
    """
    try:
        cell: dict[str, Any] = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
        listed = (folder / CHECKSUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except ValueError:
        raise _damaged(folder / "cell.json") from None
    if cell.get("fingerprint") != fingerprint({key: value for key, value in cell.items() if key != "fingerprint"}):
        raise _damaged(folder / "cell.json")
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in listed.splitlines())}
    found = _digests(folder)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise _damaged(folder / name)
    return cell


def _damaged(path: Path) -> DamagedError:
    return DamagedError(
        f"{path}: not what training wrote; restore it (git checkout -- {path.name}), "
        f"or delete the folder {path.parent.name} to train this cell again"
    )


def read_tables(root: Path, name: str) -> pd.DataFrame:
    """One kind of table of all finished cells, in one frame.

    Args:
        root: the project's folder.
        name: "curves" or "summary".
    Raises:
        FileNotFoundError: there is no finished cell.
        DamagedError: one of the files is not what training wrote.
    """
    folders = sorted(path.parent for path in (root / "data" / "runs").glob("*/*/cell.json"))
    if not folders:
        raise FileNotFoundError(f"data/runs of {root.name}: no finished cell, run the training stages first")
    for folder in folders:
        read_cell(folder)
    return pd.concat([pd.read_csv(folder / f"{name}.csv") for folder in folders], ignore_index=True)


def collect(root: Path) -> pd.DataFrame:
    """Write data/runs/summary.csv, one row per algorithm, scenario and seed, and return it."""
    table = read_tables(root, "summary")[list(SUMMARY_COLUMNS)]
    write_table(root / "data" / "runs" / "summary.csv", table)
    return table


if __name__ == "__main__":
    from mecpaper.config import find_root

    collect(find_root())
