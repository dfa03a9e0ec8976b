r"""Convert public kinds of measured logs to traces of gain relative to noise (D44).

In the game, a sender of power p is received with $p\, g / \sigma^2$ and $\sigma^2 = 1$: its gain in dB is the ratio of
signal to noise at 1 W. A log has that ratio at the power of its own sender, which is seldom known; `mean_db` moves all
gains to the level of a game and keeps their fluctuation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecpaper.config import ConfigError
from mecpaper.config.measured import GAIN_DB
from mecpaper.config.root import is_torn, remedy

NOISE_DBM = -122.2
"""Thermal noise in a subcarrier of 30 kHz at 290 K, -129.2 dBm, and a noise figure of 7 dB; RSRP is per subcarrier."""

LOWEST_DB = -30.0
"""Gain where a log has no throughput."""

LONGEST_GAP = 10
"""Slots without a measurement in a row that are filled by linear interpolation."""

NAMES = {"time": ("timestamp", "time", "seconds"), "sinr": ("sinr", "snr"), "rsrp": ("rsrp",)}
"""Quantity -> columns of a drive test that may hold it, without a leading `SS-` or `NR_`, in any case."""

Series = tuple[NDArray, NDArray]
"""Seconds, and the gain in dB at each."""


def convert(
    paths: Sequence[Path],
    kind: str,
    harvest: float,
    slot: float = 1.0,
    mean_db: float | None = None,
    bandwidth: float = 20e6,
) -> pd.DataFrame:
    """Convert logs to a trace file's table; each log becomes a device, and all are cut to the shortest.

    Args:
        paths: the logs.
        kind: "kpi" for drive tests: a CSV file with a time (seconds or date) and SINR (dB) or else RSRP (dBm); or
            "throughput": rows of seconds and Mbit/s, without a header.
        harvest: energy per slot, J; logs have none.
        slot: duration of a slot, s; measurements in a slot are averaged in dB.
        mean_db: mean of all gains, dB; None leaves the level of the logs.
        bandwidth: of the link whose throughput was measured, Hz.
    Returns:
        Columns slot, device, gain_db, harvest_j.
    Raises:
        ConfigError: one line with file, row or column, and what is required.
    """
    read: dict[str, Callable[[Path], Series]] = {
        "kpi": read_kpi,
        "throughput": partial(read_throughput, bandwidth=bandwidth),
    }

    def series_of(path: Path) -> NDArray:
        try:
            return _in_slots(path, *read[kind](path), slot)
        except ConfigError as error:
            raise ConfigError("; ".join(filter(None, (str(error), remedy(path))))) from None

    series = [series_of(path) for path in paths]
    count = min(map(len, series))
    gain = np.stack([values[:count] for values in series], axis=1)
    gain += 0.0 if mean_db is None else mean_db - gain.mean()
    for value in (gain.min(), gain.max()):
        if not GAIN_DB[0] <= value <= GAIN_DB[1]:
            low, high = GAIN_DB
            raise ConfigError(
                f"gain = {value:.1f} dB: from {low:g} to {high:g}; a mean gain moves all to a game's level"
            )
    places = {"slot": np.repeat(np.arange(count), len(paths)), "device": np.tile(np.arange(len(paths)), count)}
    return pd.DataFrame(places | {"gain_db": gain.ravel().round(2), "harvest_j": harvest})


def read_kpi(path: Path) -> Series:
    """Read a drive test: SINR is the gain; without a column of it, RSRP above `NOISE_DBM`. Other text is no value.

    Raises:
        ConfigError: as for `convert`.
    """
    table = _read(path)
    found: dict[str, str] = {}
    for column in table.columns:
        plain = re.sub(r"^(ss|nr)[-_ ]?", "", column.strip().lower())
        found |= {key: column for key, names in NAMES.items() if plain in names and key not in found}
    level = found.get("sinr", found.get("rsrp"))
    if "time" not in found or level is None:
        raise ConfigError(
            f"{path}: a column Timestamp and one of SINR, RSRP; the header has {', '.join(table.columns)}"
        )
    seconds = pd.to_numeric(table[found["time"]], errors="coerce")
    if seconds.isna().all():
        text = table[found["time"]].str.replace(r"^(\d+)\.(\d+)\.(\d+)_(\d+)\.(\d+)\.", r"\1-\2-\3 \4:\5:", regex=True)
        dates = pd.to_datetime(text, errors="coerce")
        seconds = (dates - dates.min()).dt.total_seconds()
    for row in np.flatnonzero(seconds.isna())[:1]:
        raise ConfigError(f"{path}: row {row + 2}, {found['time']} = {table[found['time']].iloc[row]!r}: no time")
    gain = pd.to_numeric(table[level], errors="coerce") - (0.0 if "sinr" in found else NOISE_DBM)
    kept = gain.notna().to_numpy()
    return seconds.to_numpy(dtype=float)[kept], gain.to_numpy(dtype=float)[kept]


def read_throughput(path: Path, bandwidth: float) -> Series:
    r"""Read a log of throughput R and invert Eq. (5) without interference: $g = 2^{R/W} - 1$, at least `LOWEST_DB`.

    Raises:
        ConfigError: as for `convert`.
    """
    table = _read(path, header=None, sep=r"[\s,]+", engine="python").apply(pd.to_numeric, errors="coerce")
    if table.shape[1] != 2:
        raise ConfigError(f"{path}: {table.shape[1]} columns; two, seconds and Mbit/s")
    seconds, rate = table.to_numpy(dtype=float).T
    for row in np.flatnonzero(~(np.isfinite(seconds) & (rate >= 0)))[:1]:
        raise ConfigError(f"{path}: row {row + 1}: seconds and Mbit/s, two numbers, the second not negative")
    with np.errstate(divide="ignore"):
        gain = 10.0 * np.log10(np.expm1(np.log(2.0) * rate * 1e6 / bandwidth))
    return seconds, gain.clip(min=LOWEST_DB)


def _read(path: Path, **how: object) -> pd.DataFrame:
    try:
        if is_torn(path):
            raise ValueError("torn, the end of the file is missing")
        return pd.read_csv(path, dtype=str, keep_default_na=False, **how)  # noqa: TID251
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: no table ({' '.join(str(error).split())})") from None


def _in_slots(path: Path, seconds: NDArray, gain: NDArray, slot: float) -> NDArray:
    """Average measurements in slots from the first one on, and fill short gaps. Raises ConfigError."""
    if not len(seconds):
        raise ConfigError(f"{path}: no measurement in it")
    place = np.floor((seconds - seconds.min()) / slot).astype(int)
    mean = pd.Series(gain).groupby(place).mean()
    for at in np.flatnonzero(np.diff(mean.index) > LONGEST_GAP + 1)[:1]:
        first, last = (seconds.min() + mean.index[at + end] * slot for end in (0, 1))
        raise ConfigError(
            f"{path}: nothing measured from {first:g} to {last:g} s; at most {LONGEST_GAP} slots of {slot:g} s are "
            "filled"
        )
    return np.asarray(mean.reindex(range(place.max() + 1)).interpolate())
