"""Draw figures from tidy data; `save` writes SVG, PDF and PNG with reproducible bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
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
from mecpaper.report.naming import name_level, wrapped
from mecpaper.report.naming import name_lines as name_lines
from mecpaper.report.statistics import interval, running_mean
from mecpaper.store.files import write_atomically

# The figures are those of the paper, not of the user's matplotlibrc.
matplotlib.rcdefaults()

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mecpaper",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "legend.frameon": False,
}

COLUMN = 3.5
"""Width of a printed column in inches; at this width no text is below 7 points, no index below 6."""

SHARES = ("ecpr_f", "ecpr_m", "sor", "offload_share")
"""Measures between 0 and 1, whose axes begin at 0, so that panels can be compared."""

MARKERS = "osD^vXP*<>"
"""Markers of algorithms, in the order of `ALGORITHMS`."""


def new_figure(width: float = 6.0, height: float = 3.6, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Make an empty figure in the project's style, outside pyplot, and its axes row by row; sizes in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def stacked(panels: int) -> tuple[Figure, list[Axes]]:
    """Make an empty figure as wide as a printed column, with panels one below the other; see `new_figure`."""
    return new_figure(COLUMN, 1.0 + 2.0 * panels, rows=panels)


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

    Dashes and a few markers, at other episodes for each group, tell the lines apart without colour. A single group also
    has a thin line for each seed.

    Args:
        axes: axes to draw on.
        curves: columns `by`, seed, episode and the measure; one row per point and seed.
        measure: column to draw.
        smoothing: points in the running mean of each seed's curve.
        confidence: confidence level of the band.
        names: value of `by` -> its name in the legend; drawn in this order.
        by: column with the groups.
    """
    for place, ((group, name), style) in enumerate(zip(names.items(), ALGORITHMS.values(), strict=False)):
        if group not in set(curves[by]):
            continue
        table = curves[curves[by] == group].pivot(index="seed", columns="episode", values=measure)
        smooth, episodes, before = (
            running_mean(table, smoothing),
            table.columns.to_numpy(),
            axes.dataLim.frozen().get_points(),
        )
        mean, lower, upper = interval(smooth, confidence)
        if curves[by].nunique() == 1:
            axes.plot(episodes, smooth.T, color=style.color, linewidth=0.6, alpha=0.6)
        step = max(len(episodes) // 5, 1)
        marks: dict[str, Any] = {"markersize": 3.5, "markevery": (place * step // len(names), step)}
        marks |= {"marker": MARKERS[place % len(MARKERS)], "color": style.color}
        axes.plot(episodes, mean, linestyle=style.dashes, linewidth=1.2, label=name, **marks)
        axes.fill_between(episodes, lower, upper, color=style.color, alpha=0.2, linewidth=0)
        _scale(axes, before, episodes, smooth, (lower, upper))
    axes.set_xlabel("training episode")
    axes.set_ylabel(wrapped(AXES[measure], 24))
    axes.margins(x=0.01)
    if measure in SHARES:
        axes.set_ylim(bottom=0.0)


def draw_seeds(axes: Axes, curves: pd.DataFrame, measure: str) -> None:
    """Draw one thin line per seed without smoothing, to show what the mean hides, and the mean as a thick one.

    Args:
        axes: axes to draw on.
        curves: curves of one algorithm; columns seed, episode and the measure.
        measure: column to draw.
    """
    for _, run in curves.groupby("seed"):
        axes.plot(run["episode"], run[measure], linewidth=0.7, color="#0173b2", alpha=0.6)
    axes.plot(curves.groupby("episode")[measure].mean(), linewidth=1.6, color="0.1")
    axes.set_xlabel("training episode")
    axes.set_ylabel(wrapped(AXES[measure].split(",")[0], 24))


def draw_levels(axes: Axes, summary: pd.DataFrame, x: str, measure: str, confidence: float, label: str = "") -> None:
    """Draw final measures over a setting: for each algorithm the mean with its interval, and every seed as a dot.

    Algorithms stand side by side at each value of the setting; no line joins them, since it would join shifted points.

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
        shift = 0.14 * step * (place - (len(present) - 1) / 2.0)
        runs = summary[summary["algorithm"] == algorithm.key].dropna(subset=[measure])
        if runs.empty:
            continue
        color, before = algorithm.color, axes.dataLim.frozen().get_points()
        axes.plot(runs[x] + shift, runs[measure], ".", color=color, markersize=3, alpha=0.5)
        points = [(level + shift, *interval(group[measure], confidence)) for level, group in runs.groupby(x)]
        at, mean, lower, upper = np.array(points, dtype=float).T
        reach = np.where(np.isfinite(upper), upper - mean, np.nan)
        style: dict[str, Any] = {"color": color, "linestyle": "", "elinewidth": 1.2, "capsize": 2}
        axes.errorbar(
            at, mean, reach, marker=MARKERS[place % len(MARKERS)], markersize=4, label=algorithm.label, **style
        )
        _scale(axes, before, runs[x] + shift, runs[measure], (lower, upper))
    axes.set_xticks(levels)
    axes.set_xlabel(label or x)
    axes.set_ylabel(wrapped(AXES[measure], 24))
    if measure in SHARES:
        axes.set_ylim(bottom=0.0)


def draw_groups(axes: Axes, runs: pd.DataFrame, measure: str, confidence: float, references: dict[str, float]) -> None:
    """Draw final measures of groups of runs below each other: every seed as a dot, and the mean with its interval.

    Args:
        axes: axes to draw on.
        runs: columns runs (the group), algorithm and the measure; one row per run. Groups are drawn in the order of
            the rows.
        measure: column to draw.
        confidence: confidence level of Student's interval.
        references: values to mark by a line, by name.
    """
    names = list(runs["runs"].unique())
    for place, name in enumerate(names):
        group = runs[runs["runs"] == name]
        color = ALGORITHMS[group["algorithm"].iloc[0]].color
        mean, _, upper = interval(group[measure], confidence)
        before, y = axes.dataLim.frozen().get_points(), np.full(len(group), place)
        axes.plot(group[measure], y, ".", color=color, markersize=4, alpha=0.5)
        reach = upper - mean if np.isfinite(upper) else None
        axes.errorbar(mean, place, xerr=reach, marker="o", markersize=4, color=color, linewidth=1.2, capsize=2)
        axes.dataLim.set_points(before)
        axes.update_datalim(np.column_stack([group[measure].dropna(), y[: group[measure].count()]]))
    for style, (name, value) in zip(("--", ":"), references.items(), strict=False):
        axes.axvline(value, color="0.3", linewidth=0.8, linestyle=style, label=name)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(AXES[measure])
    if references:
        axes.legend(fontsize=7)


def mark(axes: Axes, value: float, text: str, at: float | None = None, below: bool = False) -> None:
    """Draw a reference value as a thin line with its name: one of the paper, or of a policy that does not learn.

    Args:
        axes: axes to draw on.
        value: height of the line; NaN, as of a plan that was not searched for, draws nothing.
        text: its name.
        at: level of the setting to which the value belongs; by default the line spans the axes.
        below: whether the name stands below the line at its right end, not above it at its left end, if there is room.
    """
    if np.isnan(value):
        return
    where: dict[str, Any] = {"color": "0.35", "linewidth": 0.9, "linestyle": (0, (6, 3)), "zorder": 1.5}
    if at is None:
        axes.axhline(value, **where)
    else:
        axes.plot([at - 0.35, at + 0.35], [value, value], **where)
    name_level(axes, value, text, None if at is None else at - 0.35, below)


def late(curves: pd.DataFrame) -> pd.DataFrame:
    """Select the last 60 % of a training, where the differences at the end can be seen."""
    return curves[curves["episode"] >= 0.4 * curves["episode"].max()]


def state(
    figure: Figure,
    runs: pd.DataFrame,
    measure: str,
    names: Mapping[Any, str],
    by: str = "algorithm",
    whose: str = "",
    smoothing: int = 0,
) -> None:
    """Write above a figure what is seen: between which values the groups end, and which they are.

    Args:
        figure: figure to describe.
        runs: final measures, a row per run, or curves; columns `by` and the measure. Means are compared.
        measure: column to state.
        names: value of `by` -> its name; groups without runs are left out.
        by: column with the groups.
        whose: learner that all runs are of, if they are of one.
        smoothing: points of a curve's running mean, whose last value is meant; 0 for final measures.
    """
    if measure not in runs:  # nothing was trained
        return
    if smoothing:
        runs = runs.sort_values("episode").groupby(["algorithm", "scenario", "seed"]).tail(smoothing)
    means = runs.groupby(by)[measure].mean().reindex(list(names)).dropna().sort_values(kind="stable")
    if means.empty:
        return
    what, unit = re.split(r"[,:(]| per ", AXES[measure])[0].strip(), " J" if measure == "energy" else ""
    what = f"{whose}'s {what}" if whose else what[0].upper() + what[1:]
    ends = [f"{round(mean, 2) + 0.0:.2f}{unit}" for mean in means]
    words = [names[group] for group in means.index]
    text = f"{what} ends between {ends[0]} ({words[0]}) and {ends[-1]} ({words[-1]})"
    if ends[0] == ends[-1]:
        text = f"{what} ends at {ends[0]} with {', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"
    elif by == "algorithm" and NAMES["cpo_maddpg"] in words[1:-1]:
        text += f"; CPO-MADDPG: {ends[words.index(NAMES['cpo_maddpg'])]}"
    figure.suptitle(wrapped(text, int(14.5 * figure.get_figwidth())), fontsize=8)


def describe(figure: Figure, runs: pd.DataFrame, confidence: float, smoothing: int = 0) -> None:
    """Write below a figure its scale, seeds and interval, and for curves the smoothing.

    Args:
        figure: figure to describe.
        runs: the data drawn, curves or final measures; columns algorithm, scenario, seed and scale.
        confidence: confidence level of the interval.
        smoothing: points in the running mean of a curve; 0 for final measures.
    """
    if runs.empty:
        return
    seeds = runs.groupby(["algorithm", "scenario"])["seed"].nunique()
    count = str(seeds.min()) if seeds.min() == seeds.max() else f"{seeds.min()}-{seeds.max()}"
    if smoothing:
        step = int(np.diff(np.sort(runs["episode"].unique())).min()) if runs["episode"].nunique() > 1 else 0
        what = f"{count} seeds, noise-free evaluation every {step} episodes. Line: mean over seeds of running means of "
        what += f"{smoothing} points; band: its {confidence:.0%} interval (Student's)"
        what += "; thin lines: seeds." if len(seeds) == 1 else "."
    else:
        what = f"{count} seeds (dots), noise-free evaluation of the final policies. "
        what += f"Mean over seeds with its {confidence:.0%} interval (Student's)."
    text = wrapped(f"scale {runs['scale'].iloc[0]}, {what}", int(16.0 * figure.get_figwidth()))
    figure.supxlabel(text, fontsize=7, color="0.35")


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
