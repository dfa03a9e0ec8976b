"""Configuration: params.yaml as checked, frozen sections, resolved to experiments. No torch.

`load` reads the file; `resolve` makes the frozen `Experiment` that storing, training and measuring work from. The code
has no defaults: every number is in the file, and an invalid one is an error of one line.
"""

from mecpaper.config.changes import check_effect, with_changes
from mecpaper.config.experiment import RESULTS_VERSION, Experiment, fingerprint, named, resolve
from mecpaper.config.fields import ConfigError, Section, parse
from mecpaper.config.game import GameConfig, Readings
from mecpaper.config.learners import LearningConfig, OwnConfig
from mecpaper.config.measured import AccuracyCurve, Traces
from mecpaper.config.project import load
from mecpaper.config.registry import ALGORITHMS, Algorithm
from mecpaper.config.root import find_root
from mecpaper.config.schema import Config, ScaleConfig

__all__ = [
    "ALGORITHMS",
    "RESULTS_VERSION",
    "AccuracyCurve",
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
    "Traces",
    "check_effect",
    "find_root",
    "fingerprint",
    "load",
    "named",
    "parse",
    "resolve",
    "with_changes",
]
