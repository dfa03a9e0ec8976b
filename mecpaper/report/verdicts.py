"""Draw verdicts: the picture of all claims with their statements, and a grid of answers."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from mecpaper.report.figures import COLUMN, STYLE, new_figure
from mecpaper.report.labels import VERDICTS
from mecpaper.report.naming import wrapped

REACH = 40.0
"""Largest effect that the picture of claims shows, in margins; larger ones stand at its edge."""

GAP = 0.9
"""Space between two claims, in rows."""


def draw_claims(axes: Axes, statements: pd.DataFrame, verdicts: pd.DataFrame) -> None:
    """Draw a row for each statement, claim below claim, with all effects in units of their margins.

    A dot and a line are the effect and its interval, the shaded band is the margin, a tick the printed size, a bar
    behind them what the optimum says. The letter at the right is the claim's verdict.

    Args:
        axes: axes to draw on.
        statements: data/runs/statements.csv, or some of its claims.
        verdicts: data/runs/verdicts.csv.
    """
    verdicts = verdicts.set_index("id")
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.7)
    axes.axvspan(-1.0, 1.0, color="0.9", linewidth=0, zorder=0)
    axes.axvline(0.0, color="0.4", linewidth=0.6, zorder=1)
    row, ticks = 0.0, {}
    for number, group in statements.groupby("claim", sort=False):
        ticks[row + (len(group) - 1) / 2.0] = f"{number}  {str(verdicts.loc[number, 'place']).split(',')[0]}"
        mark = VERDICTS[str(verdicts.loc[number, "verdict"])]
        _letter(axes, row + (len(group) - 1) / 2.0, mark.letter, mark.color)
        for entry in group.itertuples():
            _draw_statement(axes, row, entry)
            row += 1.0
        axes.axhline(row - 0.5 + GAP / 2.0, color="0.85", linewidth=0.5, zorder=0)
        row += GAP
    axes.set(xlim=(-REACH, REACH), ylim=(row - GAP, -1.0))
    axes.set_xticks([-10, -1, 0, 1, 10], ["-10", "-1", "0", "1", "10"], fontsize=7)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("effect in margins, positive for the paper", fontsize=7)


def _letter(axes: Axes, row: float, letter: str, color: str) -> None:
    box = {"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "0.4", "linewidth": 0.4, "alpha": 0.5}
    axes.annotate(
        letter, (1.04, row), xycoords=("axes fraction", "data"), ha="center", va="center", fontsize=7, bbox=box
    )


def _draw_statement(axes: Axes, row: float, entry: Any) -> None:
    letter: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 7, "color": "0.4"}
    axes.annotate(str(entry.id).lstrip("0123456789"), (0.008, row), **letter)

    def place(value: float) -> float:
        return float(np.clip(value / entry.margin, -REACH, REACH))

    mark = VERDICTS[entry.answer]
    if np.isfinite(entry.optimum_effect):
        low, high = place(entry.optimum_lower), place(entry.optimum_upper)
        axes.plot([low, high], [row, row], color="0.65", linewidth=3.2, solid_capstyle="projecting", zorder=1)
    if np.isfinite(entry.lower):
        axes.plot([place(entry.lower), place(entry.upper)], [row, row], color="0.15", linewidth=0.9, zorder=2)
        axes.plot(place(entry.effect), row, mark.marker, color=mark.color, **_EDGE, zorder=3, clip_on=False)
    if np.isfinite(entry.printed):
        axes.plot(place(entry.printed), row, "|", color="0.0", markersize=6.5, markeredgewidth=1.2, zorder=4)


_EDGE: dict[str, Any] = {"markersize": 3.6, "markeredgecolor": "0.1", "markeredgewidth": 0.5}


def marks(answers: list[str]) -> list[Any]:
    """Make the entries of a legend for those answers that occur among these."""
    return [
        Line2D([], [], marker=mark.marker, color=mark.color, linestyle="", label=f"{mark.letter}  {name}", **_EDGE)
        for name, mark in VERDICTS.items()
        if name in answers
    ]


def key(answers: list[str]) -> list[Any]:
    """Make the entries of the legend below the picture of claims.

    Args:
        answers: those that occur among statements and claims.
    """
    entries = marks(answers)
    entries.append(Line2D([], [], color="0.15", linewidth=0.9, label="interval over seeds"))
    entries.append(Line2D([], [], color="0.65", linewidth=3.2, label="at the optimum"))
    entries.append(Line2D([], [], marker="|", color="0", linestyle="", markeredgewidth=1.2, label="size as printed"))
    entries.append(Patch(facecolor="0.9", label="no practical size"))
    return entries


def picture(statements: pd.DataFrame, verdicts: pd.DataFrame) -> bytes:
    """Draw one claim as SVG, for a page of its own; arguments as for `draw_claims`."""
    figure, (axes,) = new_figure(6.0, 1.1 + 0.2 * len(statements))
    draw_claims(axes, statements, verdicts)
    axes.set_yticks([])
    figure.legend(handles=key([*statements["answer"]]), loc="outside lower center", ncols=3, fontsize=7)
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def effects(statements: pd.DataFrame, label: str) -> Figure:
    """Draw statements of one unit below each other: the difference that each is about, its interval, and the margin.

    Args:
        statements: rows of data/runs/statements.csv with an effect.
        label: what the effects are, with their unit.
    """
    figure, (axes,) = new_figure(COLUMN, 1.0 + 0.5 * len(statements))
    repeated = statements["text"].duplicated(keep=False).tolist()
    for row, entry in enumerate(statements.itertuples()):
        mark = VERDICTS[str(entry.answer)]
        axes.fill_betweenx([row - 0.2, row + 0.2], -entry.margin, entry.margin, color="0.9", linewidth=0)
        axes.plot([entry.lower, entry.upper], [row, row], color="0.15", linewidth=1.2)
        axes.plot(entry.effect, row, mark.marker, color=mark.color, markeredgecolor="0.1", markersize=6)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 7}
        place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        meaning = getattr(entry, "meaning", None)
        said = f"{entry.text}, {meaning}" if repeated[row] and isinstance(meaning, str) else str(entry.text)
        axes.annotate(wrapped(said, 58), (0.0, row - 0.45), **place)
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(len(statements), 1) - 0.5, -0.8)
    axes.set_xlabel(wrapped(f"{label}; line: interval, grey: no practical size", 50), fontsize=8)
    figure.legend(handles=marks([*statements["answer"]]), loc="outside lower center", ncols=2, fontsize=7)
    return figure


def draw_grid(axes: Axes, table: pd.DataFrame, rows: str, columns: str) -> None:
    """Draw answers as a grid of coloured squares, each with its letter; a small letter is an answer of the optimum.

    Args:
        axes: axes to draw on.
        table: columns `rows`, `columns`, verdict and by, which is "optimum" for small letters.
        rows, columns: columns of the table for the rows and columns of the grid, in the table's order.
    """
    import seaborn as sns

    letters = [
        VERDICTS[entry.verdict].letter.lower() if entry.by == "optimum" else VERDICTS[entry.verdict].letter
        for entry in table.itertuples()
    ]
    table = table.assign(letter=letters, number=table["verdict"].map({name: n for n, name in enumerate(VERDICTS)}))
    numbers, shown = (
        table.pivot(index=rows, columns=columns, values=values).loc[table[rows].unique(), table[columns].unique()]
        for values in ("number", "letter")
    )
    colors = [mark.color for mark in VERDICTS.values()]
    style: dict[str, Any] = {"linewidths": 0.5, "linecolor": "0.6", "annot_kws": {"size": 7}}
    scale = {"cmap": colors, "vmin": -0.5, "vmax": len(colors) - 0.5}
    sns.heatmap(numbers, annot=shown, fmt="", cbar=False, ax=axes, **scale, **style)
    axes.grid(False)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0, labelrotation=0, labelsize=7)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=mark.color, edgecolor="0.6", label=f"{mark.letter}  {name}")
        for name, mark in VERDICTS.items()
        if name in set(table["verdict"])
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=7)
