"""The algorithms of Section 5.1, one file each, with the same outline: construction, learn, what a checkpoint holds.

`act` is the noise-free policy; `learn` is one update of Algorithm 1 on a mini-batch, for every run and agent
at once (MAPPO has `learn_round`, on the episodes just played); `tensors` names all that a checkpoint must hold.
`ALGORITHMS` is how the rest finds them.
"""

from mecpaper.algorithms.cpo_maddpg import CPOMADDPG
from mecpaper.algorithms.lmaddpg import LMADDPG
from mecpaper.algorithms.maddpg import MADDPG
from mecpaper.algorithms.mappo import MAPPO
from mecpaper.algorithms.matd3 import MATD3
from mecpaper.algorithms.random_baseline import Random

ALGORITHMS = {
    "cpo_maddpg": CPOMADDPG,
    "lmaddpg": LMADDPG,
    "maddpg": MADDPG,
    "matd3": MATD3,
    "mappo": MAPPO,
    "random": Random,
}
"""Key in params.yaml -> class."""
