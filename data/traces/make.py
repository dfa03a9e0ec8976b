"""Make the synthetic files of this folder, always the same: python data/traces/make.py."""

from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper.env.logs import convert
from mecpaper.store.files import write_atomically, write_table

SEED = 2026
SECONDS, LOGS = 300, 4


def drive(random: np.random.Generator) -> pd.DataFrame:
    """Make a drive past three sites: path loss over a way, slow shadowing, fast fading, and some lost samples."""
    time = np.arange(SECONDS)
    shadowing = np.zeros(SECONDS)
    for t in time[1:]:
        shadowing[t] = 0.95 * shadowing[t - 1] + random.normal(0.0, 1.2)
    distance = 80.0 + 250.0 * np.abs(np.sin(np.pi * (time / 100.0 + random.random())))
    rsrp = -76.0 - 22.0 * np.log10(distance / 80.0) + shadowing + random.normal(0.0, 1.0, SECONDS)
    sinr = 16.0 + 0.55 * (rsrp + 84.0) + random.normal(0.0, 0.8, SECONDS)
    stamps = pd.date_range("2026-01-15 08:00:00", periods=SECONDS, freq="s").strftime("%Y.%m.%d_%H.%M.%S")
    table = pd.DataFrame({"Timestamp": stamps, "RSRP": rsrp.round(0).astype(int).astype(str)})
    table["SINR"] = [
        f"{value:.1f}" if kept else "-" for value, kept in zip(sinr, random.random(SECONDS) > 0.02, strict=True)
    ]
    return table


def main(folder: Path) -> None:
    """Write the logs, the trace that the four drives convert to, and an accuracy curve."""
    random = np.random.default_rng(SEED)
    logs = [folder / f"kpi_{n}.csv" for n in range(LOGS)]
    for path in logs:
        write_table(path, drive(random))
    rate = np.exp(np.log(30.0) + np.convolve(random.normal(0.0, 1.2, SECONDS + 9), np.full(10, 0.15), "valid"))
    rows = [f"{t + 0.5:.1f} {value:.3f}" for t, value in enumerate(rate)]
    write_atomically(folder / "throughput.txt", "\n".join(rows) + "\n")
    table = convert(logs, "kpi", harvest=0.0, mean_db=9.0)
    # Harvest as of a small solar panel, the same for all cameras; clouds take three quarters of it for some time.
    cloudy = np.convolve(random.normal(0.0, 1.0, SECONDS + 19), np.ones(20), "valid") > 4.0
    sun = (0.8 + 0.5 * np.sin(np.arange(SECONDS) / 23.0)) * np.where(cloudy, 0.25, 1.0)
    write_table(folder / "drive.csv", table.assign(harvest_j=sun[table["slot"]].round(3)))
    resolution = np.arange(320, 721, 80)
    accuracy = 0.93 / (1.0 + np.exp(-(resolution - 440.0) / 70.0))
    write_table(folder / "accuracy.csv", pd.DataFrame({"resolution": resolution, "accuracy": accuracy.round(3)}))


if __name__ == "__main__":
    main(Path(__file__).parent)
