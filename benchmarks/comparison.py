"""Time of a whole comparison at the default setting: five learners, ten seeds, 20,200 updates of each.

`mecpaper.training.experiments.train` trains the scenario `long` of every learner as `mecpaper train` does, a process
per core, into a folder that is removed, but with a seventeenth of the episodes. Warm-up, updates and curve points keep
their shares, so the whole takes at most seventeen times as long; starts of processes and the final measurements, which
are there once however long a training is, are counted as often. Nothing else may run on the machine.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import Options, figure
from mecpaper.config import ALGORITHMS, Config, resolve
from mecpaper.config.changes import with_changes
from mecpaper.training.experiments import cores, train

SHARE = 17
"""One in so many episodes; divides the points of the curve."""


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Minutes of the whole, as many times as there are repetitions."""
    names = [name for name, entry in ALGORITHMS.items() if entry.learns]
    whole = [resolve(config.model_copy(update={"scale": "study"}), name, "long") for name in names]
    episodes = whole[0].scale.episodes // SHARE
    short = with_changes(config, [f"scales.study.efforts.long.episodes={episodes}", "scale=study"])
    minutes = []
    for _ in range(options.repetitions):
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            train([resolve(short, name, "long") for name in names], Path(folder))
            minutes.append(SHARE * (time.perf_counter() - started) / 60)
    seeds = ", ".join(f"{one.algorithm}: {len(one.seeds)} seeds, {one.learning.precision}" for one in whole)
    values = [["trained", seeds], ["processes", str(min(cores(), len(names)))]]
    return {"figures": [figure("the whole comparison", "min", minutes)], "ratios": [], "values": values}
