"""What an episode is made of: gains, what the eavesdropper is thought to hear, and harvests, drawn or measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from mecpaper.config import GameConfig, Readings
from mecpaper.env.constants import Constants
from mecpaper.system import secrecy


class Episode(NamedTuple):
    """Gains, sets of estimated gains and harvests of an episode."""

    gain_db: Tensor  # [slot + 1, run, env, device, chunk]
    heard: tuple[Tensor, Tensor, Tensor]  # as `secrecy.estimated_gain_set`, of the same shape
    harvest: Tensor  # [slot + 1, run, env, device], J


@dataclass(frozen=True)
class Windows:
    """Random windows of traces (D44).

    Device n plays device n mod M of a file with M devices. Devices 0 to M - 1 share a window, so that what was measured
    at the same time acts at the same time; each further turn of M devices has a window of its own. The start is uniform
    among those that leave T slots. The observation after the last slot repeats the file's last row if there is no more.

    Args:
        gain_db, eavesdropper_gain_db: `[row, device, chunk]`, dB; chunk may be 1 for all.
        harvest: `[row, device]`, J.
        slots: T.
    """

    gain_db: Tensor
    harvest: Tensor
    eavesdropper_gain_db: Tensor | None
    slots: int

    @classmethod
    def of(cls, config: GameConfig, device: torch.device, dtype: torch.dtype) -> Windows | None:
        """Make the windows of a game; None if it has no traces."""
        traces = config.traces
        if traces is None:
            return None

        def tensor(values: NDArray) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        heard = traces.eavesdropper_gain_db
        return cls(
            tensor(traces.gain_db), tensor(traces.harvest), None if heard is None else tensor(heard), config.slots
        )

    def cut(self, uniform: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Cut a window for every env.

        Args:
            uniform: `[run, env, device]`, draws from [0, 1); that of the first device of each turn counts.
        Returns:
            gain_db, eavesdropper_gain_db and harvest, `[slot + 1, run, env, device, .]`.
        """
        rows, measured = self.harvest.shape
        device = torch.arange(uniform.shape[-1], device=uniform.device)
        starts = rows - self.slots + 1
        start = (uniform[..., device - device % measured] * starts).long().clamp(max=starts - 1)
        time = torch.arange(self.slots + 1, device=uniform.device).view(-1, 1, 1, 1)
        place = ((start + time).clamp(max=rows - 1), device % measured)
        heard = self.eavesdropper_gain_db
        return self.gain_db[place], None if heard is None else heard[place], self.harvest[place]


def begin_episode(uniform: Tensor, constants: Constants, readings: Readings, windows: Windows | None) -> Episode:
    """Turn the random numbers of an episode into its gains and harvests, Eq. 8, 10, 11.

    Args:
        uniform: draws from [0, 1), `[slot + 1, run, env, device, 3 K + 1]`.
        constants, readings: of the games.
        windows: traces in the place of drawn gains and harvests, if there are any.
    """
    c = constants
    gain, other_gain, error = uniform[..., :-1].chunk(3, dim=-1)
    heard_db = None
    if windows is None:
        gain_db = secrecy.draw_gain(gain, *c.gain_db)
        spread = 2.0 * uniform[..., -1] if readings.harvest == "uniform" else torch.ones_like(uniform[..., -1])
        harvest = spread * c.harvest.squeeze(-1)
    else:
        gain_db, heard_db, harvest = windows.cut(gain[0, ..., 0])
        gain_db = gain_db.expand_as(gain)
    if heard_db is None and readings.eavesdropper_gain == "independent":
        heard_db = secrecy.draw_gain(other_gain, *c.gain_db)
    heard_db = gain_db if heard_db is None else heard_db.expand_as(gain)
    heard = secrecy.estimated_gain_set(heard_db, error, c.gain_error, readings.gain_error, readings.gain_set)
    return Episode(gain_db, heard, harvest)
