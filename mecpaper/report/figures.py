"""Draw figures from tidy data; `save` writes SVG, PDF and PNG with reproducible bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from mecpaper.config.registry import ALGORITHMS
from mecpaper.report.labels import AXES
from mecpaper.report.labels import NAMES as NAMES
from mecpaper.report.labels import ORDER as ORDER
from mecpaper.report.statistics import interval, running_mean
from mecpaper.store.files import write_atomically

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 8,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mecpaper",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "legend.frameon": False,
}


def new_figure(width: float = 6.0, height: float = 3.6, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Make an empty figure in the project's style, outside pyplot, and its axes row by row; sizes in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _scale(axes: Axes, before: NDArray, x: ArrayLike, seeds: ArrayLike, ends: Iterable[ArrayLike]) -> None:
    """Set an axis to the range of the seeds' values, and of the interval as far as it extends that range at most once.

    With two seeds Student's interval extends 13 standard errors to either side; showing all of it would flatten the
    measured values.

    Args:
        axes: axes with the seeds and the interval.
        before: data limits before they were drawn.
        x: positions of the points.
        seeds: values of the seeds.
        ends: lower and upper ends of the interval.
    """
    known = np.asarray(seeds, dtype=float)[np.isfinite(seeds)]
    axes.dataLim.set_points(before)
    if not known.size:
        return
    room = np.ptp(known)
    shown = np.concatenate([np.asarray(end, dtype=float)[np.isfinite(end)] for end in ends])
    shown = np.clip(shown, known.min() - room, known.max() + room)
    values = np.concatenate([known, shown])
    axes.update_datalim([(np.min(x), values.min()), (np.max(x), values.max())])


def draw_curves(
    axes: Axes,
    curves: pd.DataFrame,
    measure: str,
    smoothing: int,
    confidence: float,
    names: dict[str, str] = NAMES,
    by: str = "algorithm",
) -> None:
    """Draw learning curves: for each algorithm or other group the mean over seeds, with Student's interval as a band.

    Args:
        axes: axes to draw on.
        curves: columns `by`, seed, episode and the measure; one row per point and seed.
        measure: column to draw.
        smoothing: points in the running mean of each seed's curve.
        confidence: confidence level of the band.
        names: value of `by` -> its name in the legend; drawn in this order.
        by: column with the groups.
    """
    for (group, name), style in zip(names.items(), ALGORITHMS.values(), strict=False):
        if group not in set(curves[by]):
            continue
        table = curves[curves[by] == group].pivot(index="seed", columns="episode", values=measure)
        smooth, episodes, before = (
            running_mean(table, smoothing),
            table.columns.to_numpy(),
            axes.dataLim.frozen().get_points(),
        )
        mean, lower, upper = interval(smooth, confidence)
        axes.plot(episodes, mean, color=style.color, linestyle=style.dashes, label=name)
        axes.fill_between(episodes, lower, upper, color=style.color, alpha=0.2, linewidth=0)
        _scale(axes, before, episodes, smooth, (lower, upper))
    axes.set_xlabel("training episode")
    axes.set_ylabel(AXES[measure])
    axes.margins(x=0.01)


def draw_seeds(axes: Axes, curves: pd.DataFrame, measure: str) -> None:
    """Draw one thin line per seed without smoothing, to show what the mean hides.

    Args:
        axes: axes to draw on.
        curves: curves of one algorithm; columns seed, episode and the measure.
        measure: column to draw.
    """
    for seed, run in curves.groupby("seed"):
        axes.plot(run["episode"], run[measure], linewidth=0.9, label=f"seed {seed}")
    axes.set_xlabel("training episode")
    axes.set_ylabel(AXES[measure].split(",")[0])
    axes.legend(fontsize=7)


def draw_levels(axes: Axes, summary: pd.DataFrame, x: str, measure: str, confidence: float, label: str = "") -> None:
    """Draw final measures over a setting: for each algorithm the mean with its interval, and every seed as a dot.

    Args:
        axes: axes to draw on.
        summary: columns algorithm, seed, `x` and the measure; one row per run.
        x: column with the values of the setting.
        measure: column to draw.
        confidence: confidence level of Student's interval.
        label: label of the horizontal axis.
    """
    levels = np.sort(summary[x].unique())
    step = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
    present = [algorithm for key, algorithm in ALGORITHMS.items() if key in set(summary["algorithm"])]
    for place, algorithm in enumerate(present):
        shift = 0.09 * step * (place - (len(present) - 1) / 2.0)
        runs = summary[summary["algorithm"] == algorithm.key].dropna(subset=[measure])
        if runs.empty:
            continue
        color, before = algorithm.color, axes.dataLim.frozen().get_points()
        axes.plot(runs[x] + shift, runs[measure], ".", color=color, markersize=3, alpha=0.5)
        points = [(level + shift, *interval(group[measure], confidence)) for level, group in runs.groupby(x)]
        at, mean, lower, upper = np.array(points, dtype=float).T
        reach = np.where(np.isfinite(upper), upper - mean, np.nan)
        style: dict[str, Any] = {"color": color, "linestyle": algorithm.dashes, "linewidth": 1.2, "capsize": 2}
        axes.errorbar(at, mean, reach, marker="o", markersize=3.5, label=algorithm.label, **style)
        _scale(axes, before, runs[x] + shift, runs[measure], (lower, upper))
    axes.set_xticks(levels)
    axes.set_xlabel(label or x)
    axes.set_ylabel(AXES[measure])


def legend(figure: Figure, axes: Axes) -> None:
    """Put the legend in a row above all axes, where it covers no data."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize=7)


def mark_reported(axes: Axes, value: float, text: str) -> None:
    """Draw a number from the paper as a thin line, with its source as text."""
    axes.axhline(value, color="0.35", linewidth=0.8, linestyle=(0, (6, 3)))
    axes.annotate(
        text, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5, color="0.3"
    )


def describe(figure: Figure, runs: pd.DataFrame, confidence: float, smoothing: int = 0) -> None:
    """Write below a figure its scale, seeds and interval, and for curves the smoothing.

    Args:
        figure: figure to describe.
        runs: the data drawn, curves or final measures; columns algorithm, scenario, seed and scale.
        confidence: confidence level of the interval.
        smoothing: points in the running mean of a curve; 0 for final measures.
    """
    seeds = runs.groupby(["algorithm", "scenario"])["seed"].nunique()
    count = str(seeds.min()) if seeds.min() == seeds.max() else f"{seeds.min()}-{seeds.max()}"
    if smoothing:
        step = int(np.diff(np.sort(runs["episode"].unique())).min()) if runs["episode"].nunique() > 1 else 0
        what = (
            f"{count} seeds, noise-free evaluation every {step} episodes.\nLine: mean over seeds of running means of "
        )
        what += f"{smoothing} points; band: its {confidence:.0%} interval (Student's)."
    else:
        what = f"{count} seeds (dots), noise-free evaluation of the final policies.\n"
        what += f"Mean over seeds with its {confidence:.0%} interval (Student's)."
    figure.supxlabel(f"scale {runs['scale'].iloc[0]}, {what}", fontsize=6.5, color="0.35")


def save(figure: Figure, folder: Path, name: str) -> dict[str, Path]:
    """Write a figure as SVG, PDF and PNG; the same data always give the same bytes.

    Args:
        figure: figure to write.
        folder: target folder.
        name: file name without suffix, such as "fig04".
    Returns:
        Suffix -> path.
    """
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    paths = {}
    with matplotlib.rc_context(STYLE):
        for ending, entries in metadata.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, dpi=160, metadata=entries)
            paths[ending] = folder / f"{name}.{ending}"
            write_atomically(paths[ending], buffer.getvalue())
    return paths
