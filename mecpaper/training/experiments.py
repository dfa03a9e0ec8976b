"""Cells from configuration to files: what is trained already stays, what was cut off resumes, one trainer at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save

from mecpaper.config import Config, fingerprint
from mecpaper.store import results
from mecpaper.training.loop import Progress, Training, describe, together

PATIENCE = 10.0
"""Seconds to wait for another trainer of a cell: a kernel whose notebook was killed notices within a few."""


class CellBusyError(RuntimeError):
    """A cell that another process is training, told in one line."""


def missing(config: Config, algorithm: str, scenarios: Sequence[str], root: Path) -> list[str]:
    """Those of an algorithm's cells whose results are not in data/runs, or are of another configuration or version.

    Args:
        config: the whole configuration.
        algorithm, scenarios: which cells.
        root: the project's folder.
    Raises:
        ConfigError: an algorithm or scenario that does not exist.
    """

    def is_finished(name: str) -> bool:
        cell = results.read_cell(results.cell_folder(root, algorithm, name))
        return cell is not None and cell["fingerprint"] == fingerprint(describe(config, algorithm, name))

    return [name for name in scenarios if not is_finished(name)]


def groups(config: Config, algorithm: str, scenarios: Sequence[str], batched: bool) -> list[list[str]]:
    """Scenarios that are trained as one program: on a GPU (`batched`) all that fit together, else each by itself."""
    found: dict[str, list[str]] = {}
    for name in scenarios:
        key = together(describe(config, algorithm, name)) if batched else name
        found.setdefault(key, []).append(name)
    return list(found.values())


def train_cells(
    config: Config,
    algorithm: str,
    scenarios: Sequence[str],
    root: Path,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Train an algorithm's cells into data/runs, but not those that are there already.

    On a GPU all cells that fit together are one batched program; on a CPU, where that gains nothing, one after another.

    Args:
        config: the whole configuration.
        algorithm, scenarios: which cells.
        root: the project's folder.
        device: where to compute; by default the GPU if there is one.
        progress: see `mecpaper.training.loop.Progress`.
    Returns:
        the scenarios that were trained.
    Raises:
        ConfigError: an algorithm or scenario that does not exist.
        CellBusyError: another process is training one of the cells.
        DamagedError: a finished cell's file was changed since it was written.
        CheckpointError: the checkpoint to resume from is damaged or of another version.
        NotFiniteError: a number stopped being finite.
        StorageError: a result cannot be written.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    wanted = missing(config, algorithm, scenarios, root)
    trained = []
    for names in groups(config, algorithm, wanted, device.type == "cuda"):
        with _alone(root, algorithm, names):
            # Another process may have finished them since.
            names = missing(config, algorithm, names, root)
            if names:
                _train_group(Training(config, algorithm, names, device), root, progress)
                trained += names
    return trained


@contextmanager
def _alone(root: Path, algorithm: str, scenarios: Sequence[str]) -> Iterator[None]:
    """Hold the locks of cells; the system frees them when the process ends, however it ends."""
    folder = root / "build" / "locks"
    results.make_folder(folder)
    with ExitStack() as stack:
        for name in sorted(scenarios):
            try:
                stack.enter_context(FileLock(folder / f"{algorithm}-{name}.lock", timeout=PATIENCE))
            except Timeout:
                raise CellBusyError(
                    f"{algorithm}, {name}: another process is training this cell; wait for it or stop it"
                ) from None
        yield


def _train_group(training: Training, root: Path, progress: Progress | None) -> None:
    """Train a group of cells and write each one's results, `cell.json` last."""
    folders = {name: results.cell_folder(root, training.algorithm, name) for name in training.scenarios}
    stem = f"{training.algorithm}-{training.scenarios[0]}-{training.fingerprint}"
    checkpoint = root / "build" / "checkpoints" / f"{stem}.safetensors"
    for folder in [*folders.values(), checkpoint.parent]:
        results.prepare_folder(folder)
    for folder in folders.values():
        (folder / "cell.json").unlink(missing_ok=True)
    try:
        training.run(checkpoint, progress)
    finally:
        if training.curve:
            for name, folder in folders.items():
                results.write_table(folder / "curves.csv", training.curves(name))
    summaries = training.summaries()
    for name, folder in folders.items():
        results.write_table(folder / "summary.csv", summaries[summaries["scenario"] == name])
        if training.learner.learns and name in training.config.policies:
            results.write_atomically(folder / "policy.safetensors", save(training.policy(name)))
        results.write_checksums(folder)
        description = training.descriptions[name]
        content = {"fingerprint": fingerprint(description), **description}
        results.write_atomically(folder / "cell.json", json.dumps(content, indent=1, sort_keys=True) + "\n")
    checkpoint.unlink(missing_ok=True)
