"""Read the project's tables; a damaged one is refused in a line with the file, the row or column, and the way back."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mecpaper.config.fields import ConfigError, shown
from mecpaper.config.root import remedy

_SPENT = "reward energy penalty sor offload_share request_share latency accuracy battery"
_CHOSEN = "frame_rate resolution transmit_power cpu_frequency"
_PLAN = f"restart planned_reward reward_lower reward_upper energy_lower energy_upper {_SPENT} {_CHOSEN}"
_PLAYED = f"ecpr_f ecpr_m local_energy offload_energy insecure_offloads {_SPENT} {_CHOSEN}"
_AT_OPTIMUM = "optimum_effect optimum_lower optimum_upper"

COLUMNS = {
    "claims": "id place text meaning kind reason printed label evidence | margin",
    "deviations": "id place problem reading variants parameter figures trials |",
    "equations": "title place function test notebook reason | equation",
    "notation": "symbol name unit shape code meaning | first_equation",
    "reported": "place algorithm scenario measure unit remark | id value",
    "controls": f"policy label | {_PLAYED}",
    "planner": f"game policy constrained | {_PLAN}",
    "parameter_sweep": f"policy constrained | cycles_per_bit {_PLAN}",
    "untrained_sor": "place scenario | paper untrained",
    "near_best": f"game constrained algorithm | cost_limit energy_share {_PLAYED}",
    "optimum": f"id reading optimum | {_AT_OPTIMUM}",
    "tuning": "algorithm candidate key | seed reward energy cost_limit ecpr_f sor offload_share updates",
    "summary": f"algorithm scenario scale | seed episodes updates cost_limit multiplier seconds {_PLAYED}",
    "curves": "algorithm scenario scale | seed episode updates",
    "reward_curves": "| episode",
    "verdicts": "place claim verdict with_optimum statements reason optimum scale evidence | id",
    "statements": "id text meaning kind margin_reason label answer reason optimum | "
    f"claim margin effect lower upper confidence printed seeds needed p q {_AT_OPTIMUM}",
    "robustness": "reading id verdict by otherwise answer optimum | claim effect lower upper margin seeds",
    "reading_effects": "reading algorithm measure | default effect lower upper seeds",
    "measured_effects": "id effect |",
}
"""Name of a table -> its columns of text, and after the bar those of numbers; all are required, others may follow."""

TRUTHS = "constrained"
"""Column with True or False."""

MAY_BE_EMPTY = ("optimum", "tuning", "near_best", "reading_effects", "measured_effects")
"""Tables that have no rows where only part of the experiments is trained."""

AGAIN = "make it again"
"""What to do about a damaged table that is none of the project's."""


def read_table(path: Path, optional: bool = False, **how: Any) -> pd.DataFrame:
    """Read a table of the project.

    Args:
        path: the CSV file; `COLUMNS` has the columns of the tables with a known name.
        optional: return a table without rows if there is no file.
        how: more arguments of `pandas.read_csv`.
    Raises:
        ConfigError: no file, or a damaged one; one line with the file, the row or column, and how to restore it.
    """
    texts, numbers = (part.split() for part in COLUMNS.get(path.stem, "|").split("|"))
    try:
        content = path.read_bytes()
        check_shape(content, path.stem in MAY_BE_EMPTY)
        table = pd.read_csv(io.BytesIO(content), **how)  # noqa: TID251
        _check_columns(table.reset_index() if "index_col" in how else table, texts, numbers)
    except FileNotFoundError:
        if optional:
            return pd.DataFrame(columns=[*texts, *numbers])
        raise ConfigError(f"{path}: no such file; {remedy(path) or AGAIN}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {_reason(error)}; {remedy(path) or AGAIN}") from None
    return table


def check_shape(content: bytes, may_be_empty: bool = False) -> None:
    """Check that a CSV file is whole: text in UTF-8, ended, and with as many values in each row as in the header.

    Raises:
        ValueError: the row, the header being row 1, and what is wrong with it.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"row {row}: not text in UTF-8") from None
    if not text.strip("\0\r\n "):
        raise ValueError("empty")
    header: list[str] = []
    row = 1
    try:
        for row, values in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=1):
            header = header or values
            if len(values) != len(header):
                raise ValueError(f"row {row}: {len(values)} values, but {len(header)} names in the header")
    except csv.Error as error:
        raise ValueError(f"row {row + 1}: {error}") from None
    if len(set(header)) < len(header):
        raise ValueError("row 1: a column twice")
    if "\0" in text or not text.endswith("\n"):
        raise ValueError(f"row {row}: torn, the end of the file is missing")
    if row == 1 and not may_be_empty:
        raise ValueError("no rows below the header")


def _check_columns(table: pd.DataFrame, texts: list[str], numbers: list[str]) -> None:
    for column in (*texts, *numbers):
        if column not in table.columns:
            raise ValueError(f"column {column}: missing")
    for column in numbers:
        wrong = pd.to_numeric(table[column], errors="coerce").isna() & table[column].notna() & table[column].ne("")
        _refuse(table, column, wrong, "a number")
    if TRUTHS in texts:
        _refuse(table, TRUTHS, ~table[TRUTHS].isin([True, False, "True", "False", "", np.nan]), "True or False")


def _refuse(table: pd.DataFrame, column: str, wrong: pd.Series, allowed: str) -> None:
    for at in np.flatnonzero(wrong)[:1]:
        raise ValueError(f"row {at + 2}, {column} = {shown(table[column].iloc[at])}: {allowed}")


def read_json(path: Path) -> Any:
    """Read a JSON file of the project; errors as for `read_table`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {_reason(error)}; {remedy(path) or AGAIN}") from None


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())
