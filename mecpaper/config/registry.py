"""Registry of the algorithms: those of Section 5.1, and the user's own. Every other list derives from it. No torch.

An installed package adds a learner by an entry point of the group "mecpaper.algorithms", whose name is the key and
whose value the class: `priced_maddpg = "priced_maddpg:PricedMADDPG"`. See examples/priced_maddpg. Without a package
the same is a line under `algorithms` in params.yaml, whose folder is then one where Python looks for modules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from mecpaper.config.fields import ConfigError
from mecpaper.config.learners import (
    CPOMADDPGConfig,
    LMADDPGConfig,
    MADDPGConfig,
    MAPPOConfig,
    MATD3Config,
    OwnConfig,
    RandomConfig,
    UsersConfig,
)
from mecpaper.config.plain import read_yaml
from mecpaper.config.root import find_root


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
        printed: whether it is one of the paper's, which its claims are about.
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
    printed: bool = True

    def learner_class(self) -> Any:
        """Import the learner's class. Raises ConfigError."""
        try:
            found = resolve_name(self.learner)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"algorithms.{self.key} = {self.learner!r}: cannot be imported ({error})") from None
        if not hasattr(found, "play_round"):
            raise ConfigError(f"algorithms.{self.key} = {self.learner!r}: a class derived from a learner is required")
        return found


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

_COLORS = ("#fbafe4", "#ece133", "#56b4e9", "#ca9161")


NAME, LEARNER = r"[a-z][a-z0-9_]*", r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
"""Patterns of the key of a user's own algorithm, and of its class as "module:Class"."""


def _users() -> Iterator[Algorithm]:
    """Find the user's own learners, without importing them; a key of Section 5.1 is not taken."""
    found = {point.name: point.value for point in entry_points(group="mecpaper.algorithms")} | _in_params()
    for key in {entry.key for entry in _ENTRIES} & set(found):
        del found[key]
    for place, (key, learner) in enumerate(sorted(found.items())):
        label, color = learner.rpartition(":")[2], _COLORS[place % len(_COLORS)]
        yield Algorithm(key, label, color, (0, (3, 1, 1, 1)), UsersConfig, learner, printed=False)


def _in_params() -> dict[str, str]:
    """Read `algorithms` of the project's params.yaml, as far as it is valid; the configuration refuses the rest."""
    data: Any = None
    with suppress(ConfigError, OSError, UnicodeDecodeError):
        path = find_root() / "params.yaml"
        text = path.read_text(encoding="utf-8")
        if re.search(r"\balgorithms\"?:(?!\s*\{\})", text):
            data = read_yaml(text, path.name)
    named = data.get("algorithms") if isinstance(data, dict) else None
    if not isinstance(named, dict):
        return {}
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    fits = {name: isinstance(name, str) and re.fullmatch(NAME, name) for name in named}
    return {name: learner for name, learner in named.items() if fits[name] and isinstance(learner, str)}


ALGORITHMS: dict[str, Algorithm] = {entry.key: entry for entry in (*_ENTRIES, *_users())}
"""Key -> algorithm, in the order of legends and tables."""
