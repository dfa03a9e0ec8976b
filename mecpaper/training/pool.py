"""Training on one machine with a process per core: one thread each, one progress for all, a clean end on Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import torch

from mecpaper.config import Experiment
from mecpaper.training.loop import Progress, StoppedError

Train = Callable[[list[Experiment], Path, Progress], list[Experiment]]
"""Trains the experiments of one program into a folder, and returns those that were trained."""

REFRESH = 0.5
"""Seconds between two reports of progress."""

_stop: Any = None
_reports: Any = None
_working = threading.Lock()
"""Of a worker: the flag that ends it, and where its progress goes, set once by `_begin`; held while it trains."""


def train_in_processes(
    train: Train, groups: Sequence[list[Experiment]], root: Path, processes: int, progress: Progress | None = None
) -> list[Experiment]:
    """Train programs side by side.

    When one fails or the user interrupts, the others stop after the round they are in and save their checkpoints.

    Args:
        train: a function of a module; the workers import it.
        groups: experiments of each program.
        root: the project's folder.
        processes: number of workers.
        progress: called with the episodes done and in all, of all programs, and how many experiments are done.
    Returns:
        the experiments that were trained.
    Raises:
        Exception: whatever `train` raises, of the first program that fails.
    """
    context = multiprocessing.get_context("spawn")
    stop, reports = context.Event(), context.Queue()
    largest_first = sorted(groups, key=_size, reverse=True)
    total = sum(group[0].scale.episodes for group in groups)
    done: dict[str, int] = {}
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(stop, reports)) as pool:
        futures = [pool.submit(_work, train, group, root) for group in largest_first]
        try:
            waiting = set(futures)
            while waiting:
                finished, waiting = wait(waiting, REFRESH, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                _take(reports, done)
                if progress is not None:
                    count = sum(len(group) for group, one in zip(largest_first, futures, strict=True) if one.done())
                    every = sum(len(group) for group in groups)
                    episodes = total if not waiting else sum(done.values())
                    progress(episodes, total, f"{count} of {every} experiments, {min(processes, len(waiting))} running")
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    return [experiment for future in futures for experiment in future.result()]


def _size(group: list[Experiment]) -> float:
    """Estimate the work of a program: updates by devices, of all its runs. MAPPO's updates are counted as if it
    replayed."""
    game, scale = group[0].game, group[0].scale
    updates = scale.episodes / scale.episodes_at_once * game.slots / scale.slots_per_update
    return sum(len(one.seeds) for one in group) * game.devices * updates


def _take(reports: Any, done: dict[str, int]) -> None:
    """Take what the workers have reported: episodes done, by the name of a program's first experiment."""
    while True:
        try:
            name, episodes = reports.get_nowait()
        except queue.Empty:
            return
        done[name] = episodes


def _begin(stop: Any, reports: Any) -> None:
    """Prepare a worker: the parent alone handles Ctrl-C, and says when to stop."""
    global _stop, _reports
    _stop, _reports = stop, reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is gone, however it went: after the round under way, if it trains."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    _stop.set()
    with _working:
        os._exit(1)


def _work(train: Train, group: list[Experiment], root: Path) -> list[Experiment]:
    def report(done: int, total: int, label: str) -> None:
        _reports.put((group[0].name, done))
        if _stop.is_set():
            raise StoppedError(f"{group[0].name}: stopped; the same command resumes it")

    with _working:
        return train(group, root, report)
