"""Random: every decision variable uniform in its range, offloading with probability one half (§5.1.6)."""

from __future__ import annotations

from torch import Tensor

from mecpaper.algorithms.learner import Learner, Tally


class Random(Learner):
    """The non-learning lower bound of §5.1.6; it allocates no bandwidth, as Eq. 34 has none (D16)."""

    def act(self, observation: Tensor, uniform: Tensor) -> Tensor:
        """Choose actions `[run, batch, agent, 5 K]` in [-1, 1) from draws `uniform` of [0, 1) of that shape."""
        return 2.0 * uniform - 1.0

    def play_round(self, done: float, tally: Tally) -> None:
        """Play nothing: there is nothing to learn."""
