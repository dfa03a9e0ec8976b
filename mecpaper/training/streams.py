"""Training on one GPU with several programs side by side, each on a stream of its own.

A program of few runs keeps a small part of a GPU busy, so that programs overlap; a thread plays each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import torch

from mecpaper.config import Experiment
from mecpaper.training.loop import Progress, StoppedError

PROGRAMS = 6
"""Maximum number of programs side by side; more were no faster on one H200, where it was tried by hand."""


def train_on_streams(
    train: Callable[[list[Experiment], Progress], list[Experiment]],
    groups: Sequence[list[Experiment]],
    device: torch.device,
    progress: Progress | None = None,
) -> list[Experiment]:
    """Train programs side by side.

    When one fails, the others stop after the round they are in and save their checkpoints.

    Args:
        train: trains the experiments of one program, and returns those that were trained.
        groups: experiments of each program.
        device: GPU to share; on a CPU the threads share its cores.
        progress: called with the episodes done and in all, of all programs, and how many programs are done.
    Returns:
        the experiments that were trained.
    Raises:
        Exception: whatever `train` raises, of the first program that fails.
    """
    total = sum(group[0].scale.episodes for group in groups)
    done: dict[str, int] = {}
    stop, reporting = threading.Event(), threading.Lock()

    def work(group: list[Experiment]) -> list[Experiment]:
        def report(episodes: int, _: int, label: str) -> None:
            with reporting:
                done[group[0].name] = episodes
                if progress is not None:
                    progress(sum(done.values()), total, f"{len(groups)} programs; {label}")
            if stop.is_set():
                raise StoppedError(f"{group[0].name}: stopped; the same command resumes it")

        stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        with torch.cuda.stream(stream):
            return train(group, report)

    with ThreadPoolExecutor(PROGRAMS) as pool:
        futures = [pool.submit(work, group) for group in groups]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    return [experiment for future in futures for experiment in future.result()]
