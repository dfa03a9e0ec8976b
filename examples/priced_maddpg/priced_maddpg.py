"""An algorithm outside the package: MADDPG that pays a fixed price for energy, in place of a learned multiplier.

    pip install --no-build-isolation --no-deps -e examples/priced_maddpg
    mecpaper train priced_maddpg,maddpg default --scale smoke --set priced_maddpg.price=0.5 --out runs/priced
    mecpaper compare runs/priced runs/priced

The entry point in pyproject.toml gives it its name. It then has a section in params.yaml, which may be missing, and
appears wherever algorithms are listed; the claims stay those of the paper's algorithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mecpaper.algorithms.learner import Diagnostics
from mecpaper.algorithms.maddpg import MADDPG
from mecpaper.algorithms.replay import Batch
from mecpaper.config import ConfigError, LearningConfig
from mecpaper.env import Game


class PricedMADDPG(MADDPG):
    """MADDPG on the reward less the energy times `priced_maddpg.price`, by default 0."""

    def __init__(
        self, game: Game, learning: LearningConfig, own: Sequence[Any], seeds: Sequence[int], slots_per_update: int = 1
    ) -> None:
        super().__init__(game, learning, own, seeds, slots_per_update)
        self.price = getattr(own[0], "price", 0.0)
        if not isinstance(self.price, int | float) or not 0 <= self.price <= 100:
            raise ConfigError(f"priced_maddpg.price = {self.price!r}: a number from 0 to 100")

    def update(self, batch: Batch) -> Diagnostics:
        """Make one update on a mini-batch whose rewards have paid."""
        return self.learn(batch._replace(reward=batch.reward - self.price * batch.cost))
