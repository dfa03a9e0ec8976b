"""The constrained Markov game of Section 4.1, Eq. 32-36, and the measures of its policies."""

from mecpaper.env.game import Game, Slot
from mecpaper.env.measures import Measures, Policy, evaluate
from mecpaper.env.streams import Stream, generators

__all__ = ["Game", "Measures", "Policy", "Slot", "Stream", "evaluate", "generators"]
