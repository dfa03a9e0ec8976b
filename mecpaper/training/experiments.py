"""Train experiments and store their results: skip stored ones, resume interrupted ones, one trainer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save

from mecpaper.config import Experiment
from mecpaper.store import results
from mecpaper.store.card import write_card
from mecpaper.store.files import make_folder, prepare_folder, write_atomically, write_table
from mecpaper.training.loop import Progress, StoppedError, Training
from mecpaper.training.memory import processes_that_fit
from mecpaper.training.pool import train_in_processes
from mecpaper.training.streams import train_on_streams

PATIENCE = 10.0
"""Seconds to wait for another trainer of an experiment; the kernel of a killed notebook ends within a few."""


class BusyError(RuntimeError):
    """An experiment that another process is training."""


def groups(experiments: Sequence[Experiment], batched: bool) -> list[list[Experiment]]:
    """Group experiments into programs: if `batched` (on a GPU) by `batch_key`, otherwise one each."""
    found: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        found.setdefault(experiment.batch_key if batched else experiment.name, []).append(experiment)
    return list(found.values())


def train(
    experiments: Sequence[Experiment],
    root: Path,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> list[Experiment]:
    """Train the experiments whose results are not stored, into data/runs.

    On a GPU, experiments with the same `batch_key` are one batched program; on a CPU, where batching is no faster, each
    is a program of its own, and a process per core, as far as memory allows, trains them side by side. Programs on a
    GPU share it.

    Args:
        experiments: experiments to train.
        root: the project's folder.
        device: device to compute on; by default the GPU if there is one.
        progress: see `mecpaper.training.loop.Progress`; with several processes it counts the episodes of all.
        processes: number of processes on a CPU; by default one per core.
    Returns:
        The experiments that were trained.
    Raises:
        BusyError: another process is training one of them.
        ConfigError: one of them does not fit in memory.
        DamagedError: a stored file has changed since it was written.
        CheckpointError: the checkpoint to resume from is damaged or of another version.
        NotFiniteError: a number is no longer finite.
        StorageError: a result cannot be written.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    programs = groups(results.missing(experiments, root, policies=True), device.type == "cuda")
    if device.type != "cpu":
        return train_on_streams(partial(_train_on, device, root), programs, device, progress)
    workers = processes_that_fit(programs, min(processes or cores(), len(programs)))
    if workers > 1:
        return train_in_processes(train_program, programs, root, workers, progress)
    return [experiment for program in programs for experiment in train_program(program, root, progress, device)]


def _train_on(device: torch.device, root: Path, program: list[Experiment], progress: Progress) -> list[Experiment]:
    return train_program(program, root, progress, device)


def train_program(
    program: list[Experiment], root: Path, progress: Progress | None = None, device: torch.device | str = "cpu"
) -> list[Experiment]:
    """Train the experiments of one program that are not stored; arguments, result and errors as for `train`."""
    if torch.device(device).type == "cpu":
        # On any number of threads the results would differ in their last digits.
        torch.set_num_threads(1)
    with _alone(root, program):
        # Another process may have finished them in the meantime.
        program = results.missing(program, root, policies=True)
        if program:
            _train_group(Training(program, device), root, progress)
    return program


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _alone(root: Path, experiments: Sequence[Experiment]) -> Iterator[None]:
    """Hold the locks of experiments; the operating system releases them when the process ends, even if killed."""
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
    """Train a group and write each experiment's results, `experiment.json` last."""
    folders = [(experiment, results.folder_of(root, experiment)) for experiment in training.experiments]
    stem = f"{training.first.algorithm}-{training.first.scenario}-{training.key}"
    # A folder of its own, since what killed writers left in it is removed.
    checkpoint = root / "build" / "checkpoints" / stem / "state.safetensors"
    for folder in (*(folder for _, folder in folders), checkpoint.parent):
        prepare_folder(folder)
    for _, folder in folders:
        results.begin(folder)
    try:
        training.run(checkpoint, _writing_curves(training, folders, progress))
    except StoppedError:
        # Raised between two rounds, where the state is whole; an interrupt may come anywhere.
        training.save(checkpoint)
        raise
    finally:
        if training.curve:
            _write_curves(training, folders)
    summaries = training.summaries()
    for experiment, folder in folders:
        write_table(folder / "summary.csv", summaries[summaries["scenario"] == experiment.scenario])
        if experiment.keeps_policy:
            write_atomically(folder / results.POLICY, save(training.policy(experiment)))
            write_card(folder, experiment.numbers)
        results.complete(folder, experiment.numbers)
    checkpoint.unlink(missing_ok=True)
    checkpoint.parent.rmdir()


def _writing_curves(training: Training, folders: list[tuple[Experiment, Path]], progress: Progress | None) -> Progress:
    """Wrap `progress` so that every new point of the learning curves is on disk before it is reported."""
    written = 0

    def followed(done: int, total: int, label: str) -> None:
        nonlocal written
        if len(training.curve) > written:
            _write_curves(training, folders)
            written = len(training.curve)
        if progress is not None:
            progress(done, total, label)

    return followed


def _write_curves(training: Training, folders: list[tuple[Experiment, Path]]) -> None:
    for experiment, folder in folders:
        write_table(folder / "curves.csv", training.curves(experiment))
