"""The algorithms of Section 5.1, one file each, with the same outline: sizes, act, learn, tensors.

`act` is the noise-free policy; `learn` is one update of Algorithm 1 on a mini-batch, for every run and agent
at once; `tensors` names all that a checkpoint must hold. `ALGORITHMS` is how the rest finds them.
"""

from mecpaper.algorithms.cpo_maddpg import CPOMADDPG
from mecpaper.algorithms.maddpg import MADDPG
from mecpaper.algorithms.random import Random

ALGORITHMS = {"cpo_maddpg": CPOMADDPG, "maddpg": MADDPG, "random": Random}
"""Key in params.yaml -> class."""
