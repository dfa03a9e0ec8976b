"""Train an algorithm in its notebook, with learning curves that grow while it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from mecpaper import config
from mecpaper.pipeline.notebook import watch
from mecpaper.store import results
from mecpaper.training.cluster import train


def trained(algorithm: str, draw: Callable[[pd.DataFrame], Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train the experiments of an algorithm that are not stored, and return the results of all.

    Args:
        algorithm: key of the algorithm; its scenarios are those of `experiments` in params.yaml.
        draw: makes a picture of the learning curves so far.
    Returns:
        Learning curves and final measures, a row per point or run.
    Raises:
        The errors of `mecpaper.training.cluster.train`.
    """
    root = config.find_root()
    experiments = [experiment for experiment in config.named(config.load()) if experiment.algorithm == algorithm]

    def picture() -> Any:
        curves = results.growing_curves(root, experiments)
        return None if curves.empty else draw(curves)

    train(experiments, root, progress=watch(picture))
    curves, summary = (results.read_experiments(root, experiments, table) for table in ("curves", "summary"))
    return curves, summary
