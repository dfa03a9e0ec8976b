"""Registry of the algorithms of Section 5.1; every other list of algorithms derives from it. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from mecpaper.config.learners import (
    CPOMADDPGConfig,
    LMADDPGConfig,
    MADDPGConfig,
    MAPPOConfig,
    MATD3Config,
    OwnConfig,
    RandomConfig,
)


@dataclass(frozen=True)
class Algorithm:
    """What the rest of the package needs to know about an algorithm.

    Args:
        key: its name in params.yaml, in file names and in tables.
        label: its name as the paper writes it.
        color: colour of its lines and markers, from seaborn's colour-blind palette.
        dashes: line style, so that lines differ in more than colour.
        section: class of its section in params.yaml.
        learner: its class as "module:Class", imported on first use, so that tables need no torch.
        constrained: whether it uses the constraint of Eq. 39.
        search: key under `tuning` of the candidates of its search.
        learns: whether it learns at all.
    """

    key: str
    label: str
    color: str
    dashes: Any
    section: type[OwnConfig]
    learner: str
    constrained: bool = False
    search: str = "off_policy"
    learns: bool = True

    def learner_class(self) -> Any:
        """Import the learner's class."""
        return resolve_name(self.learner)


_ENTRIES = (
    Algorithm(
        "cpo_maddpg",
        "CPO-MADDPG",
        "#0173b2",
        "-",
        CPOMADDPGConfig,
        "mecpaper.algorithms.cpo_maddpg:CPOMADDPG",
        constrained=True,
    ),
    Algorithm(
        "lmaddpg", "LMADDPG", "#de8f05", "--", LMADDPGConfig, "mecpaper.algorithms.lmaddpg:LMADDPG", constrained=True
    ),
    Algorithm("maddpg", "MADDPG", "#029e73", "-.", MADDPGConfig, "mecpaper.algorithms.maddpg:MADDPG"),
    Algorithm("matd3", "MATD3", "#d55e00", ":", MATD3Config, "mecpaper.algorithms.matd3:MATD3"),
    Algorithm("mappo", "MAPPO", "#cc78bc", (0, (5, 1)), MAPPOConfig, "mecpaper.algorithms.mappo:MAPPO", search="mappo"),
    Algorithm(
        "random",
        "Random",
        "#949494",
        (0, (1, 1)),
        RandomConfig,
        "mecpaper.algorithms.random_baseline:Random",
        learns=False,
    ),
)

ALGORITHMS: dict[str, Algorithm] = {entry.key: entry for entry in _ENTRIES}
"""Key -> algorithm, in the order of legends and tables."""
