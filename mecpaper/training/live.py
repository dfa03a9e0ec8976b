"""A live log of trainings in a standard format: event files of TensorBoard, or DVCLive."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mecpaper.config import ConfigError, Experiment
from mecpaper.config.tables import read_table
from mecpaper.store import results

KINDS = ("tensorboard", "dvclive")
"""Formats; each is also the name of its package and of the extra that brings it."""

Log = Callable[[str, int, dict[str, float]], None]
"""Takes the name of a run, such as "maddpg/default/seed_1", an episode, and the measures there."""

_OF_THE_RUN = ("algorithm", "scenario", "scale", "seed", "episode")


@contextmanager
def opened(kind: str | None, experiments: Sequence[Experiment], root: Path) -> Iterator[Callable[[], None]]:
    """Open a live log below `build` of the folder that experiments are trained in.

    Args:
        kind: one of `KINDS`; None logs nothing.
        experiments: experiments that a training is about to begin or to resume.
        root: the folder of the results.
    Returns:
        A function that logs the new points of the learning curves; the last points are logged at the end.
    Raises:
        ConfigError: the package is not installed.
    """
    with ExitStack() as stack:
        if kind is None:
            yield lambda: None
            return
        log = (_tensorboard if kind == "tensorboard" else _dvclive)(_folder(kind, root), stack)
        follow = following(experiments, root, log)
        try:
            yield follow
        finally:
            follow()


def line(kind: str, experiments: Sequence[Experiment], root: Path) -> str:
    """Return the command line that shows a live log: all runs in TensorBoard, of DVCLive the page of the first run."""
    folder = _folder(kind, root)
    if kind == "tensorboard":
        return f"tensorboard --logdir {shlex.quote(str(folder))}"
    page = folder / experiments[0].name / f"seed_{experiments[0].seeds[0]}" / "report.html"
    return f"python -m webbrowser {shlex.quote(page.as_uri())}"


def following(experiments: Sequence[Experiment], root: Path, log: Log) -> Callable[[], None]:
    """Make a function that logs what the curves of experiments have gained since its last call.

    Every new point of a curve is in its file before progress is reported, also by another process, so that the files
    are what there is to follow. A file of before the training is not logged until it has changed.
    """
    names = {results.folder_of(root, experiment) / "curves.csv": experiment.name for experiment in experiments}
    seen = {path: _state(path) for path in names}
    logged = dict.fromkeys(names, 0)

    def follow() -> None:
        for path, name in names.items():
            state = _state(path)
            if state == seen[path]:
                continue
            rows = read_table(path)
            for _, row in rows.iloc[logged[path] :].iterrows():
                measures = row.drop(list(_OF_THE_RUN)).dropna().astype(float).to_dict()
                log(f"{name}/seed_{row['seed']}", int(row["episode"]), measures)
            seen[path], logged[path] = state, len(rows)

    return follow


def _folder(kind: str, root: Path) -> Path:
    return root / "build" / kind


def _state(path: Path) -> tuple[int, int] | None:
    """What tells that a file was written again, while it grows."""
    if not path.exists():
        return None
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _tensorboard(folder: Path, stack: ExitStack) -> Log:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("tensorboard") from None
    writers: dict[str, Any] = {}

    def log(run: str, episode: int, measures: dict[str, float]) -> None:
        if run not in writers:
            # A resumed training logs its whole curve again, which hides what an earlier one logged.
            writers[run] = SummaryWriter(str(folder / run), purge_step=episode)
            stack.callback(writers[run].close)
        for name, value in measures.items():
            writers[run].add_scalar(name, value, episode)
        writers[run].flush()

    return log


def _dvclive(folder: Path, stack: ExitStack) -> Log:
    try:
        from dvclive import Live
    except ImportError:
        raise _missing("dvclive") from None
    runs: dict[str, Any] = {}

    def log(run: str, episode: int, measures: dict[str, float]) -> None:
        if run not in runs:
            # It empties the folder. The project's own stages are no part of it.
            runs[run] = Live(str(folder / run), report="html", save_dvc_exp=False, dvcyaml=None)
            stack.callback(runs[run].end)
        runs[run].step = episode
        for name, value in measures.items():
            runs[run].log_metric(name, value)
        runs[run].sync()

    return log


def _missing(kind: str) -> ConfigError:
    return ConfigError(f"--log = {kind}: needs the extra, pip install 'mecpaper[{kind}]'")
