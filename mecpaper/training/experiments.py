"""Experiments to files: what is stored stays, what was cut off resumes, one trainer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save

from mecpaper.config import Experiment
from mecpaper.store import results
from mecpaper.store.files import make_folder, prepare_folder, write_atomically, write_table
from mecpaper.training.loop import Progress, Training

PATIENCE = 10.0
"""Seconds to wait for another trainer of an experiment: a kernel whose notebook was killed notices within a few."""


class BusyError(RuntimeError):
    """An experiment that another process is training."""


def groups(experiments: Sequence[Experiment], batched: bool) -> list[list[Experiment]]:
    """Sort experiments into programs: on a GPU (`batched`) all that fit together, else each by itself."""
    found: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        found.setdefault(experiment.batch_key if batched else experiment.name, []).append(experiment)
    return list(found.values())


def train(
    experiments: Sequence[Experiment],
    root: Path,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> list[Experiment]:
    """Train experiments into data/runs, but not those that are stored already.

    On a GPU all that fit together are one batched program; on a CPU, where that gains nothing, one after another.

    Args:
        experiments: which.
        root: the project's folder.
        device: where to compute; by default the GPU if there is one.
        progress: see `mecpaper.training.loop.Progress`.
    Returns:
        those that were trained.
    Raises:
        BusyError: another process is training one of them.
        DamagedError: a stored file was changed since it was written.
        CheckpointError: the checkpoint to resume from is damaged or of another version.
        NotFiniteError: a number stopped being finite.
        StorageError: a result cannot be written.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    trained = []
    for group in groups(results.missing(experiments, root), device.type == "cuda"):
        with _alone(root, group):
            # Another process may have finished them since.
            group = results.missing(group, root)
            if group:
                _train_group(Training(group, device), root, progress)
                trained += group
    return trained


@contextmanager
def _alone(root: Path, experiments: Sequence[Experiment]) -> Iterator[None]:
    """Hold the locks of experiments; the system frees them when the process ends, however it ends."""
    folder = root / "build" / "locks"
    make_folder(folder)
    with ExitStack() as stack:
        for name in sorted(experiment.name for experiment in experiments):
            try:
                stack.enter_context(FileLock(folder / f"{name.replace('/', '-')}.lock", timeout=PATIENCE))
            except Timeout:
                raise BusyError(
                    f"{name}: another process is training this experiment; wait for it or stop it"
                ) from None
        yield


def _train_group(training: Training, root: Path, progress: Progress | None) -> None:
    """Train a group and write each experiment's results, the file that completes its folder last."""
    folders = [(experiment, results.folder_of(root, experiment)) for experiment in training.experiments]
    stem = f"{training.first.algorithm}-{training.first.scenario}-{training.key}"
    checkpoint = root / "build" / "checkpoints" / f"{stem}.safetensors"
    for folder in (*(folder for _, folder in folders), checkpoint.parent):
        prepare_folder(folder)
    for _, folder in folders:
        (folder / results.MARK).unlink(missing_ok=True)
    try:
        training.run(checkpoint, progress)
    finally:
        if training.curve:
            for experiment, folder in folders:
                write_table(folder / "curves.csv", training.curves(experiment))
    summaries = training.summaries()
    for experiment, folder in folders:
        write_table(folder / "summary.csv", summaries[summaries["scenario"] == experiment.scenario])
        if experiment.keeps_policy:
            write_atomically(folder / "policy.safetensors", save(training.policy(experiment)))
        results.complete(folder, experiment.numbers)
    checkpoint.unlink(missing_ok=True)
