"""Tidy data in, figure out: no torch, no reading of files. `save` writes SVG, PDF and PNG, the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mecpaper.results import write_atomically
from mecpaper.stats import bootstrap_interval, running_mean

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

MEASURES = {
    "reward": "average reward per device and slot, $R_n(t)$",
    "ecpr_f": "ECPR-f: device-slots with $E > C_{limit}$",
    "ecpr_m": "ECPR-m: energy above $C_{limit}$ / all energy",
    "sor": "safe offload rate (executed / requested)",
    "offload_share": "share of chunks offloaded",
    "energy": "energy per device and slot (J)",
    "multiplier": r"Lagrange multiplier $\lambda$",
}

STYLE = {
    "font.size": 9,
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
    axes: Axes, curves: pd.DataFrame, measure: str, smoothing: int, confidence: float, resamples: int
) -> None:
    """Learning curves: for each algorithm the mean over seeds with its bootstrap band.

    Args:
        axes: where to draw.
        curves: columns algorithm, seed, episode and the measure; one row per point and seed.
        measure: which column.
        smoothing: points in the running mean of each seed's curve.
        confidence, resamples: of the band (see `mecpaper.stats`).
    """
    for algorithm in (name for name in ORDER if name in set(curves["algorithm"])):
        table = curves[curves["algorithm"] == algorithm].pivot(index="seed", columns="episode", values=measure)
        smooth = running_mean(table.to_numpy(), smoothing)
        mean, lower, upper = bootstrap_interval(smooth, confidence, resamples)
        episodes = table.columns.to_numpy()
        color = PALETTE[algorithm]
        axes.plot(episodes, mean, color=color, linestyle=DASHES[algorithm], label=NAMES[algorithm])
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


def legend(figure: Figure, axes: Axes) -> None:
    """The lines' names in a row above all axes, where they cover no data."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize=7)


def mark_reported(axes: Axes, value: float, text: str) -> None:
    """A number the paper prints, as a thin line with its place."""
    axes.axhline(value, color="0.35", linewidth=0.8, linestyle=(0, (6, 3)))
    axes.annotate(
        text, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5, color="0.3"
    )


def describe(figure: Figure, curves: pd.DataFrame, smoothing: int, confidence: float) -> None:
    """Say under the figure what it was made from: scale, seeds, band, smoothing."""
    scale, seeds = curves["scale"].iloc[0], curves.groupby("algorithm")["seed"].nunique()
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
