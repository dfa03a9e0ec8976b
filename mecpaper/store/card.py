"""The model card beside a stored policy: trained on what and by what, its measures, its limits, its licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mecpaper.config.tables import read_table
from mecpaper.store.files import write_atomically

CARD = "MODEL_CARD.md"
"""Name of the file; it says nothing that the other files of the folder do not, and has no checksum."""

SHOWN = {"reward": "", "energy": " J", "cost_limit": " J", "ecpr_f": "", "ecpr_m": "", "sor": "", "offload_share": ""}
"""Measure -> unit."""


def card(numbers: dict[str, Any], summary: pd.DataFrame) -> str:
    """Write the card of the policy of an experiment's first seed.

    Args:
        numbers: what the experiment was trained with, as in experiment.json.
        summary: its final measures, a row per run.
    """
    game, kept = numbers["game"], summary.iloc[0]
    name = f"{numbers['algorithm']}/{numbers['scenario']}"
    measures = [f"{key} {kept[key]:.4g}{unit}" for key, unit in SHOWN.items() if pd.notna(kept[key])]
    low, high = game["gain_db"]
    played = f"gains of {low:g} to\n  {high:g} dB"
    if game.get("traces"):
        played = f"gains and harvests of\n  {game['traces']}"
    played += (
        f", batteries of {game['battery_capacity']} J, a limit of {game['cost_limit_fraction']:g} of them per slot"
    )
    return f"""# {name}

- **What**: actors of {game["devices"]} camera devices, one each unless shared, in half precision, which map what a
  device observes to its decisions on {game["chunks"]} chunks per slot. `mecpaper export` writes them as ONNX files.
- **Trained on**: the simulated game of `experiment.json`: {game["slots"]} slots per episode, {played}.
- **Trained by**: {numbers["algorithm"]}, scale {numbers["scale"]["name"]}: {kept["episodes"]} episodes and
  {kept["updates"]} updates with seed {kept["seed"]}, the first of {len(summary)}.
- **Measures** of this seed, without noise on fresh episodes: {", ".join(measures)}.
- **Limits**: valid in this game alone; `mecpaper eval` warns elsewhere. The limit is one on the mean and may be
  exceeded. The secrecy condition is checked by the system, not by the actors. Never tried on a real device.
- **Licence**: MIT, as the project.
"""


def write_card(folder: Path, numbers: dict[str, Any]) -> None:
    """Write the card of the policy in an experiment's folder."""
    write_atomically(folder / CARD, card(numbers, read_table(folder / "summary.csv")))
