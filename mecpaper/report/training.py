"""Summarise trainings: curves that grow, every seed's curve, the end of every run, collapsed runs, the multiplier."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from mecpaper.config.schema import FigureConfig
from mecpaper.report import figures
from mecpaper.report.labels import AXES
from mecpaper.report.naming import wrapped
from mecpaper.report.tables import to_markdown

OUTCOME = (
    "reward", "energy", "offload_share", "request_share", "saturated", "critic_loss", "critic_gradient",
    "actor_gradient",
)  # fmt: skip
"""Columns that show whether a run has collapsed: measures of the policy, then diagnostics of its updates."""

SATURATED, POOR = 0.5, 0.25
"""A run has collapsed above this share of saturated outputs, or below this share of the best seed's reward."""

MULTIPLIER = ("multiplier", "multiplier_at_zero", "multiplier_at_max")


def last_points(curves: pd.DataFrame) -> pd.DataFrame:
    """Select the last point of every run: a row per scenario and seed, which are its index."""
    end = curves.groupby(["scenario", "seed"])["episode"].transform("max")
    return curves[curves["episode"] == end].set_index(["scenario", "seed"])


def outcome(curves: pd.DataFrame) -> pd.DataFrame:
    """Average the last points over seeds: a row per scenario, a column for each of `OUTCOME` that the curves have."""
    columns = [name for name in OUTCOME if name in curves]
    return last_points(curves).groupby("scenario", sort=False)[columns].mean()


def collapsed(curves: pd.DataFrame) -> list[str]:
    """List the runs whose final policy offloads nothing, is saturated, or earns far less than the best seed.

    See `SATURATED` and `POOR`; a reward is compared only in scenarios whose best seed earns more than 0.

    Returns:
        Entries such as "users_30 seed 4"; empty if no run has collapsed.
    """
    last = last_points(curves)
    best = last.groupby("scenario")["reward"].transform("max")
    flags = (last["offload_share"] == 0) | ((best > 0) & (last["reward"] < POOR * best))
    if "saturated" in last:
        flags |= last["saturated"] > SATURATED
    return [f"{scenario} seed {seed}" for scenario, seed in last.index[flags]]


def diagnosis(curves: pd.DataFrame) -> str:
    """Write how the runs ended: a table with a row per scenario, and the runs that collapsed, as Markdown."""
    found = collapsed(curves)
    told = f"Collapsed ({len(found)}): {', '.join(found)}." if found else "No run has collapsed."
    rounded = outcome(curves).map("{:.3g}".format).reset_index()
    return f"{to_markdown(rounded)}\n\n{told}"


def multiplier_shares(curves: pd.DataFrame) -> pd.DataFrame:
    """Average the multiplier, and the shares of updates with it at 0 and at its maximum, by scenario.

    Only the second half of the training is used.
    """
    late = curves[curves["episode"] > curves.groupby("scenario")["episode"].transform("max") / 2]
    columns = [name for name in MULTIPLIER if name in late]  # the shares only after a first update
    return late.groupby("scenario", sort=False)[columns].mean().round(3)


def draw_growth(curves: pd.DataFrame) -> Figure:
    """Draw reward and energy of a training under way: a line per scenario, the mean over seeds so far.

    Args:
        curves: columns scenario, episode, reward and energy.
    """
    figure, panels = figures.new_figure(7.2, 2.6, columns=2)
    for axes, measure in zip(panels, ("reward", "energy"), strict=True):
        for _, points in curves.groupby("scenario"):
            axes.plot(points.groupby("episode")[measure].mean(), linewidth=0.9, color="#0173b2")
        axes.set(xlabel="training episode", ylabel=wrapped(AXES[measure], 24))
    names = curves["scenario"].unique()
    panels[0].set_title(f"{len(names)} begun, now {names[-1]}", loc="left", fontsize=8)
    return figure


def draw_runs(
    curves: pd.DataFrame,
    summary: pd.DataFrame,
    measures: Sequence[str] = ("reward", "energy"),
    scenario: str = "default",
) -> Figure:
    """Draw noise-free measures of every seed of a scenario along the training, with C_limit beside the energy.

    Each panel says where the seeds end.

    Args:
        curves: columns scenario, seed, episode and the measures.
        summary: columns scenario and cost_limit.
        measures: a panel for each.
        scenario: scenario to draw.
    """
    figure, panels = figures.new_figure(3.6 * len(measures), 2.6, columns=len(measures))
    shown = curves[curves["scenario"] == scenario]
    ends = last_points(shown)
    for axes, measure in zip(panels, measures, strict=True):
        figures.draw_seeds(axes, shown, measure)
        end = ends[measure]
        axes.set_title(
            f"ends at {end.mean():.2f}, single seeds {end.min():.2f} to {end.max():.2f}", loc="left", fontsize=8
        )
        if measure == "energy":
            limit = summary.loc[summary["scenario"] == scenario, "cost_limit"].mean()
            axes.axhline(limit, color="0.3", linestyle="--")
            axes.annotate("$C_{limit}$", (1, limit), (2, 0), ("axes fraction", "data"), "offset points", va="center")
    return figure


def draw_scenarios(
    curves: pd.DataFrame,
    names: dict[str, str],
    measures: Sequence[str],
    chosen: FigureConfig,
    level: float = float("nan"),
) -> Figure:
    """Draw the curves of CPO-MADDPG in some scenarios, a panel below the other for each measure.

    Args:
        curves: table of curves of CPO-MADDPG.
        names: scenario -> its name in the figure.
        measures: measure of each panel; "late reward" draws the last 60 % of the training.
        chosen: smoothing and confidence.
        level: energy limit to mark, J; by default none.
    """
    figure, panels = figures.stacked(len(measures))
    curves = curves[curves["scenario"].isin(names)]
    for axes, measure in zip(panels, measures, strict=True):
        end = measure.startswith("late ")
        shown, band = figures.late(curves) if end else curves, (chosen.smoothing, chosen.confidence)
        figures.draw_curves(axes, shown, measure.removeprefix("late "), *band, names=names, by="scenario")
        axes.set_title("the last 60 %" if end else "", fontsize=8)
        figures.mark(axes, level, "energy limit", below=True)
        figures.name_lines(axes)
    figures.state(figure, curves, measures[0], names, "scenario", "CPO-MADDPG", chosen.smoothing)
    figures.describe(figure, curves, chosen.confidence, chosen.smoothing)
    return figure
