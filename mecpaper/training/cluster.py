"""Experiments on the workers of a Dask scheduler where `DASK_SCHEDULER_ADDRESS` names one, otherwise here in turn.

Workers that see the project's folder train into it and share its checkpoints, so that an experiment whose worker died
is taken up by another where it stopped. Workers elsewhere train in a folder of their own and send the files back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import torch

from mecpaper.config import RESULTS_VERSION, Experiment, fingerprint
from mecpaper.store import results
from mecpaper.store.files import write_atomically
from mecpaper.training import experiments as local
from mecpaper.training.loop import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
"""Environment variable with the scheduler's address, such as tcp://10.0.0.5:8786."""

PATIENCE = 60.0
"""Seconds to wait for the scheduler and for its first worker."""


class ClusterError(RuntimeError):
    """What went wrong between here and the workers, in one line for each experiment."""


def train(experiments: Sequence[Experiment], root: Path, progress: Progress | None = None) -> list[Experiment]:
    """Train experiments into data/runs, but not those that are stored already.

    Args:
        experiments: which.
        root: the project's folder.
        progress: see `mecpaper.training.loop.Progress`; on a cluster it counts experiments, here episodes.
    Returns:
        those that were trained.
    Raises:
        ClusterError: no scheduler or worker answers, a worker has another version, or experiments failed; the others
            are trained first, and their results are kept.
        and what `mecpaper.training.experiments.train` raises.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        return local.train(experiments, root, progress=progress)
    wanted = results.missing(experiments, root)
    if not wanted:
        return []
    with _connected(address) as client, _token(root) as token:
        batched = any(client.run(torch.cuda.is_available).values())
        return _fan_out(client, local.groups(wanted, batched), root, token, progress)


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
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise ClusterError(f"{ADDRESS_VARIABLE} = {address!r}: the scheduler has no workers") from None
        yield client


@contextmanager
def _token(root: Path) -> Iterator[Path]:
    """A file by which a worker knows that it sees the project's folder."""
    path = root / "build" / "cluster" / uuid4().hex
    write_atomically(path, "")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fan_out(
    client: Client, jobs: list[list[Experiment]], root: Path, token: Path, progress: Progress | None
) -> list[Experiment]:
    """Submit a task per job, largest game first, and put each result in its place as soon as it comes."""
    from distributed import KilledWorker, as_completed

    futures = {}
    for group in sorted(jobs, key=lambda job: -job[0].game.devices):
        key = fingerprint([experiment.key for experiment in group])
        names = "+".join(experiment.scenario for experiment in group)
        task = f"{group[0].algorithm}-{names}-{key}"
        futures[client.submit(_train_there, group, _versions(), str(root), token.name, key=task)] = group
    trained: list[Experiment] = []
    failed: list[str] = []
    for count, future in enumerate(as_completed(futures), start=1):
        group = futures[future]
        label = ", ".join(experiment.name for experiment in group)
        try:
            files = future.result()
        except KilledWorker:
            failed.append(f"{label}: each worker that tried it died")
        except Exception as error:
            failed.append(f"{label}: {type(error).__name__}: {error}")
        else:
            for experiment in group if files else ():
                (results.folder_of(root, experiment) / results.MARK).unlink(missing_ok=True)
            for name, content in files.items():
                write_atomically(root / name, content)
            trained += group
        if progress is not None:
            progress(count, len(jobs), "experiments on the cluster")
    if failed:
        raise ClusterError("; ".join(failed))
    return trained


def _versions() -> tuple[int, str]:
    return RESULTS_VERSION, torch.__version__.split("+")[0]


def _train_there(group: list[Experiment], versions: tuple[int, str], root: str, token: str) -> dict[str, bytes]:
    """Train on a worker, with one thread or on its GPU, what a worker that died has not finished.

    Args:
        group: experiments of one program.
        versions: of results and torch where the work comes from.
        root, token: the project's folder there, and the name of a file that tells whether it is the same here.
    Returns:
        the files to be written, the one that completes a folder last; none if the folder is shared.
    """
    torch.set_num_threads(1)
    if _versions() != versions:
        raise ClusterError("this worker has another version of mecpaper or torch")
    if (Path(root) / "build" / "cluster" / token).exists():
        local.train(group, Path(root))
        return {}
    with tempfile.TemporaryDirectory() as folder:
        done = local.train(group, Path(folder))
        files = [path for one in done for path in results.folder_of(Path(folder), one).iterdir()]
        files.sort(key=lambda path: path.name == results.MARK)
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}
