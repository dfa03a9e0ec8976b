"""Tidy data in, figure out: no torch, no reading of files. `save` writes SVG, PDF and PNG, the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mecpaper.report.statistics import bootstrap_interval, running_mean
from mecpaper.store.results import write_atomically

ORDER = ("cpo_maddpg", "lmaddpg", "maddpg", "matd3", "mappo", "random")
NAMES = {
    "cpo_maddpg": "CPO-MADDPG",
    "lmaddpg": "LMADDPG",
    "maddpg": "MADDPG",
    "matd3": "MATD3",
    "mappo": "MAPPO",
    "random": "Random",
}
PALETTE = dict(zip(ORDER, sns.color_palette("colorblind", len(ORDER)), strict=True))
DASHES = dict(zip(ORDER, ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))), strict=True))
"""Colour-blind palette and a line style each, so that colour is never the only difference."""

SCENARIOS = {
    "default": "default",
    "harvest_05": "harvest 0.05",
    "harvest_15": "harvest 0.15",
    "battery_10": "dynamic multiplier",
    "battery_10+multiplier_half": "multiplier held at 0.5",
    "critics_separate": "separate critics",
    "critic_multi_output": "multi-output critic",
    "critic_linear_heads": "linear heads",
    "replay_reward": "priority by reward error",
    "replay_uniform": "uniform replay",
    "cost_discount_none": r"$\gamma_c = 0$",
    "cost_discount_same": r"$\gamma_c = \gamma_r$",
}
"""Scenario -> its name in a legend."""

VERDICT_LETTERS = {"reproduced": "R", "contradicted": "C", "unresolved": "U", "untestable": "-"}
VERDICT_COLORS = {
    "reproduced": "#0173b2",
    "contradicted": "#de8f05",
    "unresolved": "#d5d5d5",
    "untestable": "#ffffff",
}

MEASURES = {
    "reward": "reward per device and slot, $R_n(t)$",
    "ecpr_f": "ECPR-f: device-slots with $E > C_{limit}$",
    "ecpr_m": "ECPR-m: energy above $C_{limit}$ / all energy",
    "sor": "safe offload rate (executed / requested)",
    "offload_share": "share of chunks offloaded",
    "energy": "energy per device and slot (J)",
    "multiplier": r"Lagrange multiplier $\lambda$",
    "latency": "latency per chunk (s)",
    "accuracy": "parsing accuracy per chunk, Eq. 16",
}

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


def new_figure(width: float = 6.0, height: float = 3.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure in the project's style, not known to pyplot, and its axes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def draw_curves(
    axes: Axes,
    curves: pd.DataFrame,
    measure: str,
    smoothing: int,
    confidence: float,
    resamples: int,
    names: dict[str, str] = NAMES,
    by: str = "algorithm",
) -> None:
    """Learning curves: for each algorithm, or other group, the mean over seeds with its bootstrap band.

    Args:
        axes: where to draw.
        curves: columns `by`, seed, episode and the measure; one row per point and seed.
        measure: which column.
        smoothing: points in the running mean of each seed's curve.
        confidence, resamples: of the band (see `mecpaper.report.statistics`).
        names: value of `by` -> its name in the legend; drawn in this order.
        by: column that tells the groups apart.
    """
    styles = zip(PALETTE.values(), DASHES.values(), strict=True)
    for (group, name), (color, dashes) in zip(names.items(), styles, strict=False):
        if group not in set(curves[by]):
            continue
        table = curves[curves[by] == group].pivot(index="seed", columns="episode", values=measure)
        smooth = running_mean(table.to_numpy(), smoothing)
        mean, lower, upper = bootstrap_interval(smooth, confidence, resamples)
        episodes = table.columns.to_numpy()
        axes.plot(episodes, mean, color=color, linestyle=dashes, label=name)
        axes.fill_between(episodes, lower, upper, color=color, alpha=0.2, linewidth=0)
    axes.set_xlabel("training episode")
    axes.set_ylabel(MEASURES[measure])
    axes.margins(x=0.01)


def draw_seeds(axes: Axes, curves: pd.DataFrame, measure: str) -> None:
    """One thin line per seed, unsmoothed: what a mean would hide.

    Args:
        axes: where to draw.
        curves: of one algorithm; columns seed, episode and the measure.
        measure: which column.
    """
    for seed, run in curves.groupby("seed"):
        axes.plot(run["episode"], run[measure], linewidth=0.9, label=f"seed {seed}")
    axes.set_xlabel("training episode")
    axes.set_ylabel(MEASURES[measure].split(",")[0])
    axes.legend(fontsize=7)


def draw_levels(
    axes: Axes, summary: pd.DataFrame, x: str, measure: str, confidence: float, resamples: int, label: str = ""
) -> None:
    """Final measures over a setting: for each algorithm the mean with its bootstrap interval, and every seed as a dot.

    Args:
        axes: where to draw.
        summary: columns algorithm, seed, `x` and the measure; one row per run.
        x: column of the setting, numbers.
        measure: which column.
        confidence, resamples: of the interval (see `mecpaper.report.statistics`).
        label: of the horizontal axis.
    """
    levels = np.sort(summary[x].unique())
    step = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
    present = [name for name in ORDER if name in set(summary["algorithm"])]
    for place, algorithm in enumerate(present):
        shift = 0.09 * step * (place - (len(present) - 1) / 2.0)
        runs = summary[summary["algorithm"] == algorithm].dropna(subset=[measure])
        points = []
        for level, group in runs.groupby(x):
            mean, lower, upper = bootstrap_interval(group[measure].to_numpy(), confidence, resamples)
            points.append((level + shift, mean, mean - lower, upper - mean))
        color = PALETTE[algorithm]
        axes.plot(runs[x] + shift, runs[measure], ".", color=color, markersize=3, alpha=0.5)
        if points:
            at, mean, below, above = np.array(points, dtype=float).T
            style: dict[str, Any] = {"color": color, "linestyle": DASHES[algorithm], "linewidth": 1.2, "capsize": 2}
            axes.errorbar(at, mean, [below, above], marker="o", markersize=3.5, label=NAMES[algorithm], **style)
    axes.set_xticks(levels)
    axes.set_xlabel(label or x)
    axes.set_ylabel(MEASURES[measure])


def draw_verdicts(axes: Axes, table: pd.DataFrame, rows: str, columns: str) -> None:
    """Verdicts as a grid of coloured cells, each with its letter, so that colour is never the only difference.

    Args:
        axes: where to draw.
        table: columns `rows`, `columns` and verdict.
        rows, columns: what lies along either side; in the order of the table.
    """
    below, across = list(dict.fromkeys(table[rows])), list(dict.fromkeys(table[columns]))
    for entry in table.to_dict("records"):
        x, y = across.index(entry[columns]), below.index(entry[rows])
        color = VERDICT_COLORS[entry["verdict"]]
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=color, edgecolor="0.6", linewidth=0.5))
        ink = "white" if entry["verdict"] == "reproduced" else "0.15"
        axes.text(x, y, VERDICT_LETTERS[entry["verdict"]], ha="center", va="center", fontsize=8, color=ink)
    axes.set_xlim(-0.6, len(across) - 0.4)
    axes.set_ylim(len(below) - 0.4, -0.6)
    axes.set_xticks(range(len(across)), [str(name) for name in across])
    axes.set_yticks(range(len(below)), [str(name) for name in below])
    axes.grid(False)
    axes.tick_params(length=0)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=color, edgecolor="0.6", label=f"{VERDICT_LETTERS[name]}  {name}")
        for name, color in VERDICT_COLORS.items()
        if name in set(table["verdict"])
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, fontsize=7)


def legend(figure: Figure, axes: Axes) -> None:
    """The lines' names in a row above all axes, where they cover no data."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize=7)


def mark_reported(axes: Axes, value: float, text: str) -> None:
    """A number the paper prints, as a thin line with its place."""
    axes.axhline(value, color="0.35", linewidth=0.8, linestyle=(0, (6, 3)))
    axes.annotate(
        text, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5, color="0.3"
    )


def describe_levels(figure: Figure, summary: pd.DataFrame, confidence: float) -> None:
    """Say under a figure of final measures what it was made from: scale, seeds, interval."""
    seeds = summary.groupby(["algorithm", "scenario"])["seed"].nunique()
    count = str(seeds.min()) if seeds.min() == seeds.max() else f"{seeds.min()}-{seeds.max()}"
    figure.supxlabel(
        f"scale {summary['scale'].iloc[0]}, {count} seeds (dots), noise-free evaluation of the final policies.\n"
        f"Mean over seeds with its {confidence:.0%} bootstrap interval.",
        fontsize=6.5,
        color="0.35",
    )


def describe(figure: Figure, curves: pd.DataFrame, smoothing: int, confidence: float) -> None:
    """Say under the figure what it was made from: scale, seeds, band, smoothing."""
    scale, seeds = curves["scale"].iloc[0], curves.groupby(["algorithm", "scenario"])["seed"].nunique()
    count = str(seeds.min()) if seeds.min() == seeds.max() else f"{seeds.min()}-{seeds.max()}"
    step = int(np.diff(np.sort(curves["episode"].unique())).min()) if curves["episode"].nunique() > 1 else 0
    figure.supxlabel(
        f"scale {scale}, {count} seeds, noise-free evaluation every {step} episodes.\n"
        f"Line: mean over seeds of running means of {smoothing} points; band: {confidence:.0%} bootstrap over seeds.",
        fontsize=6.5,
        color="0.35",
    )


def save(figure: Figure, folder: Path, name: str) -> dict[str, Path]:
    """Write a figure as SVG, PDF and PNG; drawing the same data again gives the same bytes.

    Args:
        figure: what to write.
        folder: where.
        name: file name without ending, such as "fig04".
    Returns:
        ending -> path.
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
