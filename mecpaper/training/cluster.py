"""Train experiments on the workers of a Dask scheduler if `DASK_SCHEDULER_ADDRESS` is set, else in this process.

Workers that see the project's folder train into it and share its checkpoints: if a worker dies, another resumes its
experiment. Other workers train in a temporary folder and send the files back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import torch

from mecpaper.config import Experiment, fingerprint
from mecpaper.store import results
from mecpaper.store.files import write_atomically
from mecpaper.training import experiments as local
from mecpaper.training.checkpoint import code_version
from mecpaper.training.loop import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
"""Environment variable with the scheduler's address, such as tcp://10.0.0.5:8786."""

PATIENCE = 60.0
"""Seconds to wait for the scheduler, and between two lines of progress while no worker answers."""


class ClusterError(RuntimeError):
    """A problem with the scheduler or its workers; failed experiments are listed in one line."""


def train(experiments: Sequence[Experiment], root: Path, progress: Progress | None = None) -> list[Experiment]:
    """Train the experiments whose results are not stored, into data/runs.

    On a cluster it waits for workers as long as the scheduler lives, since a queue may hold them back for hours.

    Args:
        experiments: experiments to train.
        root: the project's folder.
        progress: see `mecpaper.training.loop.Progress`; counts programs on a cluster, each minute at least, episodes
            here.
    Returns:
        The experiments that were trained.
    Raises:
        ClusterError: no scheduler answers, or no longer, a worker has another version, or experiments failed; it is
            raised after the others have been trained, and their results are kept. Without a cluster the errors are
            those of `mecpaper.training.experiments.train`.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        return local.train(experiments, root, progress=progress)
    wanted = results.missing(experiments, root, policies=True)
    if not wanted:
        return []
    with _connected(address) as client, _token(root) as token:

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total, f"programs on the cluster, {len(client.ncores()) or 'waiting for'} workers")

        _await_worker(client, partial(report, 0, len(wanted)))
        batched = any(client.run(torch.cuda.is_available).values())
        return _fan_out(client, local.groups(wanted, batched), root, token, report)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            f"{ADDRESS_VARIABLE} = {address!r}: needs the extra, pip install 'mecpaper[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ClusterError(f"{ADDRESS_VARIABLE} = {address!r}: no scheduler answers ({error})") from None
    with client:
        try:
            yield client
        except (OSError, CancelledError) as error:
            if client.status == "running":
                raise
            raise ClusterError(f"{ADDRESS_VARIABLE} = {address!r}: the scheduler has gone; start again") from error


def _await_worker(client: Client, report: Callable[[], None]) -> None:
    """Wait for the first worker as long as the scheduler lives, and report each minute."""
    while True:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
            return
        except TimeoutError:
            report()


@contextmanager
def _token(root: Path) -> Iterator[Path]:
    """Write a file by which workers recognise the project's folder, and remove it at the end."""
    path = root / "build" / "cluster" / uuid4().hex
    write_atomically(path, "")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fan_out(
    client: Client, jobs: list[list[Experiment]], root: Path, token: Path, report: Callable[[int, int], None]
) -> list[Experiment]:
    """Submit a task per job, largest game first, and store each result as soon as it arrives."""
    from distributed import KilledWorker

    futures = {}
    for group in sorted(jobs, key=lambda job: -job[0].game.devices):
        key = fingerprint([experiment.key for experiment in group])
        names = "+".join(experiment.scenario for experiment in group)
        task = f"{group[0].algorithm}-{names}-{key}"
        futures[client.submit(_train_there, group, code_version(), str(root), token.name, key=task)] = group
    trained: list[Experiment] = []
    failed: list[str] = []
    for count, future in enumerate(_as_they_end(futures, lambda done: report(done, len(jobs))), start=1):
        group = futures[future]
        label = ", ".join(experiment.name for experiment in group)
        try:
            files = future.result()
        except KilledWorker:
            failed.append(f"{label}: every worker that tried it died")
        except CancelledError:
            raise
        except Exception as error:
            failed.append(f"{label}: {type(error).__name__}: {error}")
        else:
            for experiment in group if files else ():
                results.begin(results.folder_of(root, experiment))
            for name, content in files.items():
                write_atomically(root / name, content)
            trained += group
        report(count, len(jobs))
    if failed:
        raise ClusterError("; ".join(failed))
    return trained


def _as_they_end(futures: Iterable[Future], report: Callable[[int], None]) -> Iterator[Future]:
    """Iterate over futures as they end; report how many have, whenever none does for a minute."""
    from distributed import wait

    waiting, count = set(futures), 0
    while waiting:
        try:
            ended, waiting = wait(waiting, PATIENCE, "FIRST_COMPLETED")
        except TimeoutError:
            report(count)
            continue
        count += len(ended)
        yield from ended


def _train_there(group: list[Experiment], version: str, root: str, token: str) -> dict[str, bytes]:
    """Train a group on a worker, with one thread or on its GPU, from the checkpoint of an earlier worker if any.

    Args:
        group: experiments of one batched program.
        version: of the sender's code and torch.
        root, token: the sender's project folder, and the name of a file in it that exists here if the folder is shared.
    Returns:
        The files to write, in order: the one that completes a folder comes last; none if the folder is shared.
    """
    torch.set_num_threads(1)
    if code_version() != version:
        raise ClusterError("this worker has another version of mecpaper or torch")
    if (Path(root) / "build" / "cluster" / token).exists():
        local.train(group, Path(root), processes=1)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        done = local.train(group, Path(folder), processes=1)
        files = [path for one in done for path in results.folder_of(Path(folder), one).iterdir()]
        files.sort(key=lambda path: path.name == results.MARK)
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}
