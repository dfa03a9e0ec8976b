"""Rules of the statements in data/paper/claims.csv: `RULES["22a"]` computes the effect of statement 22a.

An effect is positive where the statement holds. Different algorithms are compared by Welch's test, since their seeds
are not paired; settings of one algorithm within a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from string import ascii_lowercase

import numpy as np
import pandas as pd

from mecpaper.claims.effect import Effect, least, paired, welch
from mecpaper.claims.runs import (
    ATTACKERS,
    BASELINES,
    BATTERIES,
    CRITICS,
    DYNAMIC,
    FIXED,
    HARVESTS,
    LEARNERS,
    OURS,
    SEEDED,
    UNCONSTRAINED,
    USERS,
    MissingRuns,
    Runs,
)

Rule = Callable[[Runs], Effect]

FREE = ("maddpg", "matd3")
"""The algorithms that the text names as unconstrained in Sections 5.2.2, 5.2.3 and 5.3.1."""

SPEEDS = ("settled", "delay")
"""Both measures of speed, in episodes; see `mecpaper.report.statistics`."""

CONDITIONS = tuple(dict.fromkeys([*USERS.values(), *BATTERIES.values(), *HARVESTS.values(), *ATTACKERS.values()]))
"""Scenarios of Sections 5.2 to 5.4, in which the paper changes the game and not the algorithm."""


def higher(measure: str, one: str, other: str, scenario: str = "default") -> Rule:
    """Make the rule that a measure of one algorithm is above that of another."""

    def rule(runs: Runs) -> Effect:
        first, second = (runs.values(measure, name, scenario) for name in (one, other))
        return replace(welch(first, second), base=second.mean())

    return rule


def lower(measure: str, one: str, other: str, scenario: str = "default") -> Rule:
    """Make the rule that a measure of one algorithm is below that of another."""

    def rule(runs: Runs) -> Effect:
        first, second = (runs.values(measure, name, scenario) for name in (one, other))
        return replace(welch(second, first), base=second.mean())

    return rule


def highest(measure: str, algorithm: str, others: Collection[str], scenario: str = "default") -> Rule:
    """Make the rule that a measure of an algorithm is above that of all others."""
    return lambda runs: least([higher(measure, algorithm, other, scenario)(runs) for other in others])


def lowest(measure: str, algorithm: str, others: Collection[str], scenario: str = "default") -> Rule:
    """Make the rule that a measure of an algorithm is below that of all others."""
    return lambda runs: least([lower(measure, algorithm, other, scenario)(runs) for other in others])


def falls(measure: str, first: str, second: str, algorithm: str = OURS) -> Rule:
    """Make the rule that a measure of an algorithm falls from one scenario to another, by the seeds that both have."""

    def rule(runs: Runs) -> Effect:
        before, after = (runs.values(measure, algorithm, scenario) for scenario in (first, second))
        return paired(np.subtract(*before.align(after, join="inner")))

    return rule


def rises(measure: str, first: str, second: str, algorithm: str = OURS) -> Rule:
    """Make the rule that a measure of an algorithm rises from one scenario to another."""
    return falls(measure, second, first, algorithm)


def shrinks(larger: str, smaller: str, scenario: str = "default", by: float = 0.0) -> Rule:
    """Make the rule that a measure of CPO-MADDPG is above another by a size, such as the first above the final one."""
    return lambda runs: paired(runs.values(larger, OURS, scenario) - runs.values(smaller, OURS, scenario) - by)


def above(measure: str, bound: float, algorithm: str = OURS, scenario: str = "default") -> Rule:
    """Make the rule that a measure is above a number."""
    return lambda runs: paired(runs.values(measure, algorithm, scenario) - bound)


def below(measure: str, bound: float, algorithm: str = OURS, scenario: str = "default") -> Rule:
    """Make the rule that a measure is below a number."""
    return lambda runs: paired(bound - runs.values(measure, algorithm, scenario))


def steeper(algorithm: str) -> Rule:
    """Make the rule that an algorithm loses more reward from 11 J to 8 J than CPO-MADDPG."""

    def loss(runs: Runs, name: str) -> pd.Series:
        large, small = (runs.values("reward", name, BATTERIES[capacity]) for capacity in (11, 8))
        return np.subtract(*large.align(small, join="inner"))

    return lambda runs: welch(loss(runs, algorithm), loss(runs, OURS))


def _no_insecure_offload(runs: Runs) -> Effect:
    counts = [runs.values("insecure_offloads", *experiment) for experiment in runs.experiments()]
    if not counts:
        raise MissingRuns("no runs")
    # One insecure offload in any run is enough against the statement; there is nothing to average.
    every = pd.concat(counts)
    return paired(np.full(len(every), -every.max()))


def _cheap_update(runs: Runs) -> Effect:
    # Stored trainings shared the machine with other work; the benchmark measures the algorithms in turn.
    if not {OURS, "maddpg"} <= set(runs.update_times):
        raise MissingRuns("no times of updates at the batch of the trainings: run `make bench`")
    ours, theirs = (np.array(runs.update_times[name]) for name in (OURS, "maddpg"))
    return paired(1.0 - ours / theirs)


def _lettered(number: int, *rules: Rule) -> dict[str, Rule]:
    return {f"{number}{letter}": rule for letter, rule in zip(ascii_lowercase, rules, strict=False)}


ECPR = ("ecpr_m", "ecpr_f")
"""Both meanings of the penalty ratio, the magnitude first (Section 5.2.2)."""

RULES: dict[str, Rule] = {
    **_lettered(1, *(higher("reward", OURS, name) for name in BASELINES)),
    **_lettered(2, *(lower(speed, OURS, name) for speed in SPEEDS for name in LEARNERS)),
    **_lettered(3, *(higher("reward", "lmaddpg", name) for name in UNCONSTRAINED)),
    **_lettered(4, *(lower("early_fluctuation", OURS, name) for name in ("maddpg", "mappo"))),
    **_lettered(5, below("reward", 0.0, "random"), higher("late_fluctuation", "random", OURS)),
    **_lettered(6, below("ecpr_m", 0.08), below("ecpr_f", 0.08), shrinks("first_ecpr_m", "ecpr_m")),
    **_lettered(
        7,
        *(
            rule
            for ratio in ECPR
            for rule in (
                lower(ratio, OURS, "lmaddpg"),
                *(lower(ratio, OURS, name) for name in FREE),
                highest(ratio, "random", (OURS, *LEARNERS)),
            )
        ),
    ),
    **_lettered(
        8,
        *(rule for ratio in ECPR for rule in (higher(ratio, "mappo", OURS), lower(ratio, "mappo", "random"))),
        *(higher(speed, "mappo", OURS) for speed in SPEEDS),
    ),
    **_lettered(9, *(higher("sor", OURS, name) for name in BASELINES)),
    **_lettered(
        10,
        falls("reward", USERS[20], USERS[30]),
        falls("reward", USERS[30], USERS[40]),
        falls("reward", USERS[40], USERS[50]),
        falls("reward", USERS[20], USERS[50]),
    ),
    **_lettered(11, *(rises(ratio, USERS[20], USERS[50]) for ratio in ECPR)),
    **_lettered(12, above("sor", 0.85, scenario=USERS[50]), rises("sor", USERS[20], USERS[50])),
    **_lettered(13, *(highest("reward", OURS, BASELINES, name) for name in BATTERIES.values())),
    **_lettered(14, *(steeper(name) for name in FREE), rises("reward", BATTERIES[11], BATTERIES[8])),
    **_lettered(15, *(lowest(ratio, OURS, BASELINES, name) for ratio in ECPR for name in BATTERIES.values())),
    **_lettered(
        16,
        *(above("energy_share", 1.0, name, BATTERIES[8]) for name in UNCONSTRAINED),
        *(falls("energy_share", BATTERIES[8], BATTERIES[11], name) for name in UNCONSTRAINED),
    ),
    **_lettered(17, *(highest("sor", OURS, BASELINES, name) for name in BATTERIES.values()), above("sor", 0.9)),
    **_lettered(
        18,
        *(rises("sor", BATTERIES[8], BATTERIES[11], name) for name in ("mappo", "matd3")),
        lowest("sor", "random", (OURS, *LEARNERS)),
        highest("sor", "lmaddpg", UNCONSTRAINED),
    ),
    **_lettered(
        19,
        rises("reward", HARVESTS[0.10], HARVESTS[0.15]),
        rises("reward", HARVESTS[0.05], HARVESTS[0.10]),
        *(falls(speed, HARVESTS[0.05], HARVESTS[0.15]) for speed in SPEEDS),
    ),
    **_lettered(
        20,
        *(falls(ratio, HARVESTS[few], HARVESTS[many]) for ratio in ECPR for few, many in ((0.10, 0.15), (0.05, 0.10))),
    ),
    **_lettered(21, *(rises("sor", HARVESTS[few], HARVESTS[many]) for few, many in ((0.10, 0.15), (0.05, 0.10)))),
    **_lettered(
        22,
        falls("reward", ATTACKERS["weak"], ATTACKERS["moderate"]),
        falls("reward", ATTACKERS["moderate"], ATTACKERS["strong"]),
        falls("reward", ATTACKERS["weak"], ATTACKERS["strong"]),
    ),
    **_lettered(23, *(rises(ratio, ATTACKERS["weak"], ATTACKERS["strong"]) for ratio in ECPR)),
    **_lettered(
        24,
        falls("sor", ATTACKERS["weak"], ATTACKERS["moderate"]),
        falls("sor", ATTACKERS["moderate"], ATTACKERS["strong"]),
        falls("sor", ATTACKERS["weak"], ATTACKERS["strong"]),
    ),
    **_lettered(
        25,
        falls("offload_share", ATTACKERS["weak"], ATTACKERS["strong"]),
        rises("energy_share", ATTACKERS["weak"], ATTACKERS["strong"]),
        shrinks("local_energy", "offload_energy", ATTACKERS["strong"]),
    ),
    **_lettered(26, *(rises(measure, DYNAMIC, FIXED) for measure in (*SPEEDS, "late_fluctuation"))),
    **_lettered(
        27,
        below("energy_share", 1.0, scenario=DYNAMIC),
        shrinks("first_energy", "energy", DYNAMIC),
        below("within_limit", 300.0, scenario=DYNAMIC),
    ),
    **_lettered(
        28,
        # A peak is never below another value, so only what exceeds a twentieth of the range counts.
        shrinks("peak_multiplier", "first_multiplier", DYNAMIC, by=0.05),
        shrinks("peak_multiplier", "last_multiplier", DYNAMIC, by=0.05),
        below("late_multiplier_std", 0.0, scenario=DYNAMIC),
    ),
    **_lettered(
        29,
        *(rises("reward", name, "default") for name in CRITICS.values()),
        *(falls(ratio, name, "default") for ratio in ECPR for name in CRITICS.values()),
    ),
    **_lettered(
        30,
        *(rises(speed, name, "replay_uniform") for speed in SPEEDS for name in ("default", "replay_reward")),
    ),
    **_lettered(
        31, *(falls(speed, "replay_reward", "default") for speed in SPEEDS), falls("reward", "replay_reward", "default")
    ),
    **_lettered(
        32, falls("within_limit", "cost_discount_same", "default"), rises("reward", "cost_discount_same", "default")
    ),
    "33a": _no_insecure_offload,
    "34a": _cheap_update,
    **_lettered(35, *(lower(speed, OURS, name) for speed in SPEEDS for name in LEARNERS)),
    **_lettered(36, *(lower(ratio, OURS, name) for ratio in ECPR for name in LEARNERS)),
    **_lettered(37, *(higher("reward", OURS, name) for name in LEARNERS)),
    **_lettered(
        38, *(lower("latency", OURS, name) for name in LEARNERS), *(higher("accuracy", OURS, name) for name in LEARNERS)
    ),
    **_lettered(39, *(below("energy_share", 1.0, scenario=SEEDED.get(name, name)) for name in CONDITIONS)),
}
"""Number and letter of a statement -> its rule."""
