"""Cells on the workers of a Dask scheduler, where `DASK_SCHEDULER_ADDRESS` names one; otherwise here, one by one.

`python -m mecpaper.training.cluster` trains every cell of params.yaml that is missing; `make repro` then finds them done.
Workers that see the project's folder train into it and share its checkpoints, so that a cell whose worker died is
taken up by another where it stopped. Workers elsewhere train in a folder of their own and send the files back.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch

from mecpaper.config import Config, ConfigError, find_root, fingerprint, load, parse
from mecpaper.store import results
from mecpaper.training.experiments import groups, missing, train_cells
from mecpaper.training.loop import Progress, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
"""Environment variable with the scheduler's address, such as tcp://10.0.0.5:8786."""

PATIENCE = 60.0
"""Seconds to wait for the scheduler and for its first worker."""


class ClusterError(RuntimeError):
    """What went wrong between here and the workers, told in one line for each cell."""


def train(
    config: Config, cells: Mapping[str, Sequence[str]], root: Path, progress: Progress | None = None
) -> list[tuple[str, str]]:
    """Train cells into data/runs, but not those that are there already.

    Args:
        config: the whole configuration.
        cells: algorithm -> scenarios.
        root: the project's folder.
        progress: see `mecpaper.training.loop.Progress`; on a cluster it counts cells, here episodes.
    Returns:
        algorithm and scenario of what was trained.
    Raises:
        ClusterError: no scheduler or worker answers, a worker has another version, or cells failed; the others are
            trained first, and their results are kept.
        and what `mecpaper.training.experiments.train_cells` raises.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        return [
            (key, name)
            for key, names in cells.items()
            for name in train_cells(config, key, names, root, progress=progress)
        ]
    wanted = {algorithm: missing(config, algorithm, names, root) for algorithm, names in cells.items()}
    if not any(wanted.values()):
        return []
    with _connected(address) as client, _token(root) as token:
        batched = any(client.run(torch.cuda.is_available).values())
        jobs = [(key, names) for key, part in wanted.items() for names in groups(config, key, part, batched)]
        return _fan_out(client, config, jobs, root, token, progress)


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
    results.write_atomically(path, "")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fan_out(
    client: Client,
    config: Config,
    jobs: list[tuple[str, list[str]]],
    root: Path,
    token: Path,
    progress: Progress | None,
) -> list[tuple[str, str]]:
    """Submit a task per job, largest game first, and put each result in its place as soon as it comes."""
    from distributed import KilledWorker, as_completed

    jobs = sorted(jobs, key=lambda job: -config.scenario(job[1][0]).devices)
    data = config.model_dump()
    futures = {}
    for algorithm, names in jobs:
        expected = fingerprint([describe(config, algorithm, name) for name in names])
        key = f"{algorithm}-{'+'.join(names)}-{expected}"
        future = client.submit(_train_there, data, algorithm, names, expected, str(root), token.name, key=key)
        futures[future] = (algorithm, names)
    trained: list[tuple[str, str]] = []
    failed: list[str] = []
    for count, future in enumerate(as_completed(futures), start=1):
        algorithm, names = futures[future]
        try:
            files = future.result()
        except KilledWorker:
            failed.append(f"{algorithm}, {', '.join(names)}: each worker that tried it died")
        except Exception as error:
            failed.append(f"{algorithm}, {', '.join(names)}: {type(error).__name__}: {error}")
        else:
            for name in names if files else ():
                (results.cell_folder(root, algorithm, name) / "cell.json").unlink(missing_ok=True)
            for name, content in files.items():
                results.write_atomically(root / name, content)
            trained += [(algorithm, name) for name in names]
        if progress is not None:
            progress(count, len(jobs), "cells on the cluster")
    if failed:
        raise ClusterError("; ".join(failed))
    return trained


def _train_there(
    data: dict[str, Any], algorithm: str, scenarios: list[str], expected: str, root: str, token: str
) -> dict[str, bytes]:
    """What a worker does: train cells with one thread or on its GPU, but not those that a dead worker has finished.

    Args:
        data: the configuration as plain data.
        algorithm, scenarios: which cells.
        expected: fingerprint of their descriptions where the work comes from.
        root, token: the project's folder there, and the name of a file that tells whether it is the same here.
    Returns:
        the files to be written, `cell.json` last; none if the folder is shared.
    """
    torch.set_num_threads(1)
    config = parse(Config, data)
    if fingerprint([describe(config, algorithm, name) for name in scenarios]) != expected:
        raise ClusterError("this worker has another version of mecpaper or torch")
    if (Path(root) / "build" / "cluster" / token).exists():
        train_cells(config, algorithm, scenarios, Path(root))
        return {}
    with tempfile.TemporaryDirectory() as folder:
        done = train_cells(config, algorithm, scenarios, Path(folder))
        files = [path for name in done for path in results.cell_folder(Path(folder), algorithm, name).iterdir()]
        files.sort(key=lambda path: path.name == "cell.json")
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main() -> int:
    """Train all cells of params.yaml; failures are told on standard error."""
    from tqdm import tqdm

    root = find_root()
    try:
        with tqdm(unit="cell" if os.environ.get(ADDRESS_VARIABLE) else "episode") as bar:

            def report(done: int, total: int, label: str) -> None:
                bar.total, bar.n = total, done
                bar.set_description(label)

            config = load(root / "params.yaml")
            trained = train(config, {str(key): names for key, names in config.cells.items()}, root, report)
    except (ConfigError, ClusterError, RuntimeError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{len(trained)} cells trained into {root / 'data' / 'runs'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
