"""Labels of measures, algorithms, scenarios and verdicts in figures, tables and pages."""

from __future__ import annotations

from typing import NamedTuple

from mecpaper.config.registry import ALGORITHMS

NAMES = {key: algorithm.label for key, algorithm in ALGORITHMS.items()}
"""Algorithm -> its name in legends and tables, in the order of both."""

ORDER = tuple(NAMES)

AXES = {
    "reward": "reward per device and slot, $R_n(t)$",
    "ecpr_f": "ECPR-f: device-slots with $E > C_{limit}$",
    "ecpr_m": "ECPR-m: energy above $C_{limit}$ / all energy",
    "sor": "safe offload rate (executed / requested)",
    "offload_share": "share of chunks offloaded",
    "energy": "energy per device and slot (J)",
    "multiplier": r"Lagrange multiplier $\lambda$",
    "clipped": "share of ratios outside the band",
    "latency": "latency per chunk (s)",
    "accuracy": "parsing accuracy per chunk, Eq. 16",
}
"""Measure -> axis label."""

MEASURES = {
    "reward": "reward",
    "energy": "energy, J",
    "ecpr_f": "ECPR-f",
    "ecpr_m": "ECPR-m",
    "sor": "SOR",
    "offload_share": "offloaded",
}
"""Measure -> column title."""

SCENARIOS = {
    "default": "default",
    "harvest_05": "harvest 0.05",
    "harvest_15": "harvest 0.15",
    "battery_10+many_seeds": "dynamic multiplier",
    "battery_10+multiplier_half+many_seeds": "multiplier held at 0.5",
    "long": "more updates",
    "critics_separate": "separate critics",
    "critic_multi_output": "multi-output critic",
    "critic_linear_heads": "linear heads",
    "replay_reward": "priority by reward error",
    "replay_uniform": "uniform replay",
    "cost_discount_same": r"$\gamma_c = \gamma_r$",
}
"""Scenario -> its name in legends."""


class Mark(NamedTuple):
    """Mark of a verdict; letter and marker keep colour from being the only difference."""

    letter: str
    color: str
    marker: str


VERDICTS = {
    "reproduced": Mark("R", "#0173b2", "o"),
    "reproduced, smaller than printed": Mark("S", "#8cc5ea", "<"),
    "no difference of practical size": Mark("N", "#ece133", "s"),
    "contradicted": Mark("C", "#de8f05", "X"),
    "mixed": Mark("M", "#cc9fc0", "P"),
    "open": Mark("O", "#d5d5d5", "."),
    "untestable here": Mark("U", "#ffffff", "d"),
}
"""Verdict on a claim or answer to a statement -> its mark."""
