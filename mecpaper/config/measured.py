"""Measurements that params.yaml names by their file: traces of gain and harvest, and accuracy by resolution. No torch.

A file is read when the configuration is checked. Its numbers travel with the configuration, also to other machines, and
what identifies it in fingerprints and in stored results is its name and the hash of its content.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from mecpaper.config.fields import shown
from mecpaper.config.root import find_file, is_torn, remedy

if TYPE_CHECKING:
    import pandas as pd

HEADER = 1
"""Line of the header; rows are counted as lines of the file."""

GAIN_DB, HARVEST_J = (-200.0, 60.0), (0.0, 1e6)
"""Smallest and largest gain, dB, and harvest, J."""


class Measured:
    """What was read from a CSV file; equal to another if name and content are.

    Not a dataclass, which pydantic would take apart where it copies a configuration.

    Args:
        name: of the file, without its folder.
        digest: the first 16 hexadecimal digits of the content's SHA-256.
    """

    def __init__(self, name: str, digest: str) -> None:
        self.name, self.digest = name, digest

    def __repr__(self) -> str:
        return f"{self.name} (sha256 {self.digest})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


class Traces(Measured):
    """Measured gains and harvests of some devices in consecutive slots.

    Args:
        name, digest: as for `Measured`.
        gain_db: `[slot, device, chunk]`, or with one column for all chunks `[slot, device, 1]`, dB over the noise.
        harvest: `[slot, device]`, J.
        eavesdropper_gain_db: as `gain_db`; None if the file has none.
    """

    def __init__(
        self, name: str, digest: str, gain_db: NDArray, harvest: NDArray, eavesdropper_gain_db: NDArray | None
    ) -> None:
        super().__init__(name, digest)
        self.gain_db, self.harvest, self.eavesdropper_gain_db = gain_db, harvest, eavesdropper_gain_db

    def check(self, slots: int, chunks: int) -> None:
        """Check that a game can be played with them. Raises ValueError."""
        if len(self.gain_db) < slots:
            raise ValueError(f"traces = {self}: {len(self.gain_db)} slots, at least {slots} (slots) are required")
        for name, gain in (("gain_db", self.gain_db), ("eavesdropper_gain_db", self.eavesdropper_gain_db)):
            if gain is not None and gain.shape[2] not in (1, chunks):
                raise ValueError(
                    f"traces = {self}: {name}_1 to {name}_{gain.shape[2]}; {chunks} of them (chunks), or one {name}"
                )


class AccuracyCurve(Measured):
    r"""Measured parsing accuracy between which piecewise cubic polynomials lie, monotone where the points are (PCHIP).

    Args:
        name, digest: as for `Measured`.
        resolution: `[point]`, pixel, rising.
        accuracy: `[point]`, from 0 to 1.
    """

    def __init__(self, name: str, digest: str, resolution: NDArray, accuracy: NDArray) -> None:
        from scipy.interpolate import PchipInterpolator

        super().__init__(name, digest)
        self.resolution, self.accuracy = resolution, accuracy
        self.coefficients = PchipInterpolator(resolution, accuracy).c
        """`[4, point - 1]`, of the polynomials in $r - r_i$ above each point, the highest power first."""

    def check(self, minimum: float, maximum: float) -> None:
        """Check that it covers a range of resolutions. Raises ValueError."""
        first, last = self.resolution[0], self.resolution[-1]
        if minimum < first or maximum > last:
            raise ValueError(
                f"accuracy_curve = {self}: from {first:g} to {last:g} pixel, "
                f"resolution = [{minimum:g}, {maximum:g}] must lie within"
            )


def read_traces(path: Path) -> Traces:
    """Read a trace file: columns slot, device, gain_db (or gain_db_1, gain_db_2, ...: one per chunk) and harvest_j, and
    if wanted eavesdropper_gain_db in the same way.

    Rows may have any order. Devices are 0, 1, 2, ...; slots are consecutive, and the same for every device.

    Raises:
        ValueError: one line with row, column, value and what is allowed.
    """
    table, digest = _read(path)
    names = {name: _columns(table, name) for name in ("gain_db", "eavesdropper_gain_db")}
    required = ["slot", "device", *(names["gain_db"] or ["gain_db"]), "harvest_j"]
    _check_columns(table, required, names["eavesdropper_gain_db"])
    slot, device = (_numbers(table, name, 0, 1e9, "", whole=True).astype(int) for name in ("slot", "device"))
    harvest = _numbers(table, "harvest_j", *HARVEST_J, " J")
    gains = {
        key: np.stack([_numbers(table, name, *GAIN_DB, " dB") for name in listed], axis=-1) if listed else None
        for key, listed in names.items()
    }
    devices, slots = device.max() + 1, slot.max() - slot.min() + 1
    place = (slot - slot.min()) * devices + device
    order = np.argsort(place, kind="stable")
    again = np.flatnonzero(np.diff(place[order]) == 0)
    if len(again):
        row = order[again[0] + 1]
        raise ValueError(f"row {row + HEADER + 1}, slot = {slot[row]}: given twice for device {device[row]}")
    if len(place) < slots * devices:
        gap = int(np.flatnonzero(np.append(place[order], slots * devices) != np.arange(len(place) + 1))[0])
        before = f"row {order[gap - 1] + HEADER + 1}" if gap else "the header"
        raise ValueError(
            f"column slot: no row for slot {gap // devices + slot.min()} of device {gap % devices} (see {before}); "
            "every device from 0 on has every slot"
        )

    def shaped(values: NDArray | None) -> Any:
        return None if values is None else values[order].reshape(slots, devices, *values.shape[1:])

    return Traces(path.name, digest, *map(shaped, (gains["gain_db"], harvest, gains["eavesdropper_gain_db"])))


def read_accuracy(path: Path) -> AccuracyCurve:
    """Read an accuracy curve: columns resolution (pixel, rising from row to row) and accuracy (from 0 to 1).

    Raises:
        ValueError: one line with row, column, value and what is allowed.
    """
    table, digest = _read(path)
    _check_columns(table, ["resolution", "accuracy"])
    resolution = _numbers(table, "resolution", 1, 1e5, " pixel")
    accuracy = _numbers(table, "accuracy", 0, 1, "")
    if len(table) < 2:
        raise ValueError("1 row: at least 2 points of the curve")
    for row in np.flatnonzero(np.diff(resolution) <= 0)[:1] + 1:
        raise _wrong(table, row, "resolution", f"above {resolution[row - 1]:g}, that of the row before")
    return AccuracyCurve(path.name, digest, resolution, accuracy)


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV file as text, and the hash of its bytes. Raises ValueError."""
    # Not above, since a model without measurements needs no pandas.
    import pandas as pd

    try:
        content = path.read_bytes()
        how = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False}
        table = pd.read_csv(io.BytesIO(content), **how)  # noqa: TID251
    except OSError as error:
        raise ValueError("no such file" if isinstance(error, FileNotFoundError) else f"{error.strerror}") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"not a CSV file in UTF-8 ({str(error).strip()})") from None
    if is_torn(path):
        raise ValueError(f"row {len(table) + 1}: torn, the end of the file is missing")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("more values in a row than names in the header")
    if table.empty:
        raise ValueError("no rows below the header")
    return table, hashlib.sha256(content).hexdigest()[:16]


def _columns(table: pd.DataFrame, name: str) -> list[str]:
    """List the column of a gain for all chunks, or its columns for chunk 1, 2, ..."""
    numbered = [column for column in table.columns if re.fullmatch(rf"{name}_\d+", column)]
    return [name] if name in table.columns else [f"{name}_{k + 1}" for k in range(len(numbered))]


def _check_columns(table: pd.DataFrame, required: list[str], optional: list[str] | None = None) -> None:
    for name in required:
        if name not in table.columns:
            raise ValueError(f"column {name}: required, but missing; the header has {', '.join(table.columns)}")
    for name in table.columns:
        if name not in [*required, *(optional or [])]:
            raise ValueError(f"column {name}: unknown; {', '.join(required)} are read")


def _numbers(
    table: pd.DataFrame, column: str, minimum: float, maximum: float, unit: str, whole: bool = False
) -> NDArray:
    """Convert a column to numbers in a range. Raises ValueError."""
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    fits = (values >= minimum) & (values <= maximum) & (not whole or values == np.floor(values))
    for row in np.flatnonzero(~fits)[:1]:
        kind = "a whole number" if whole else "a number"
        raise _wrong(table, row, column, f"{kind} from {minimum:g} to {maximum:g}{unit}")
    return values


def _wrong(table: pd.DataFrame, row: int, column: str, allowed: str) -> ValueError:
    return ValueError(f"row {row + HEADER + 1}, {column} = {shown(table[column].iloc[row])}: {allowed}")


@cache
def _unchanged(read: Callable[[Path], Any], path: Path, modified: int, size: int) -> Any:
    """Read a file once, as long as it is the same."""
    return read(path)


def _from_file(kind: type[Measured], read: Callable[[Path], Any]) -> PlainValidator:
    """Make a validator that reads the file that a key names."""

    def validate(value: Any) -> Any:
        if value is None or isinstance(value, kind):
            return value
        if not isinstance(value, str) or not value:
            raise PydanticCustomError("file", "the name of a CSV file, or null")
        try:
            path = find_file(value)
            about = path.stat() if path.is_file() else None
            return _unchanged(read, path.absolute(), about.st_mtime_ns, about.st_size) if about else read(path)
        except (ValueError, OSError) as error:
            problem = "; ".join(filter(None, (" ".join(str(error).split()), remedy(find_file(value)))))
            raise PydanticCustomError("file", "{problem}", {"problem": problem}) from None

    return PlainValidator(validate)


_as_text = PlainSerializer(lambda value: None if value is None else str(value), when_used="json")

FROM_TRACES = (_from_file(Traces, read_traces), _as_text)
FROM_ACCURACY = (_from_file(AccuracyCurve, read_accuracy), _as_text)
"""What `Annotated` adds to a key that names such a file: reading it, and its name and hash in JSON."""
