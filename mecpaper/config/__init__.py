"""Settings: what stands in params.yaml, checked, and resolved to experiments. No torch.

`load` reads the file, `resolve` makes the frozen `Experiment` that storing, training and measuring work from. No
default hides in the code: every number stands in the file, and a wrong one is refused in one line.
"""

from mecpaper.config.experiment import RESULTS_VERSION, Experiment, fingerprint, named, resolve
from mecpaper.config.fields import ConfigError, Section, parse
from mecpaper.config.game import GameConfig, Readings
from mecpaper.config.learners import LearningConfig, OwnConfig
from mecpaper.config.project import find_root, load
from mecpaper.config.registry import ALGORITHMS, Algorithm
from mecpaper.config.schema import Config, ScaleConfig

__all__ = [
    "ALGORITHMS",
    "RESULTS_VERSION",
    "Algorithm",
    "Config",
    "ConfigError",
    "Experiment",
    "GameConfig",
    "LearningConfig",
    "OwnConfig",
    "Readings",
    "ScaleConfig",
    "Section",
    "find_root",
    "fingerprint",
    "load",
    "named",
    "parse",
    "resolve",
]
