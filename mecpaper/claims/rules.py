"""Rules of the claims in data/paper/claims.csv: `claim_22` lists the comparisons that decide claim 22.

Claims of the same form, about different measures and settings, are made by `best`, `along` and `gain`. If the text
allows several meanings (two definitions of ECPR, an unnamed baseline), each meaning is a group of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from mecpaper.claims.runs import (
    ATTACKERS,
    BASELINES,
    BATTERIES,
    CRITICS,
    FIXED,
    HARVESTS,
    LEARNERS,
    OURS,
    UNCONSTRAINED,
    USERS,
    MissingRuns,
    Part,
    Runs,
    difference,
    greater,
)
from mecpaper.report import statistics

Rule = Callable[[Runs], Iterator[Part]]

ECPR = ("ecpr_f", "ecpr_m")
"""Both definitions of the energy consumption penalty ratio."""


def _meaning(measure: str, measures: Collection[str]) -> str:
    return measure if len(measures) > 1 else ""


def best(*measures: str, lowest: bool = False, scenarios: Collection[str] = ("default",)) -> Rule:
    """Make the rule that CPO-MADDPG's final measure is above (or below) every baseline's in every scenario."""

    def rule(runs: Runs) -> Iterator[Part]:
        for measure in measures:
            for scenario in scenarios:
                where = "" if scenario == "default" else f", {scenario}"
                ours = runs.final(measure, OURS, scenario)
                for name in BASELINES:
                    theirs = runs.final(measure, name, scenario)
                    label = f"{measure} {'below' if lowest else 'above'} {name}{where}"
                    pair = (theirs, ours) if lowest else (ours, theirs)
                    yield greater(label, *pair, _meaning(measure, measures))

    return rule


def along(settings: Mapping[Any, str], *measures: str, falling: bool) -> Rule:
    """Make the rule that a final measure of CPO-MADDPG falls (or rises) from each setting with runs to the next."""

    def rule(runs: Runs) -> Iterator[Part]:
        known = [(label, name) for label, name in settings.items() if runs.has(OURS, name)]
        if len(known) < 2:
            raise MissingRuns(f"no runs of {OURS} in {' and '.join(settings.values())}")
        for measure in measures:
            for (one, first), (two, second) in pairwise(known):
                pair = runs.final(measure, scenario=first), runs.final(measure, scenario=second)
                label = f"{measure} at {one} {'above' if falling else 'below'} {two}"
                yield greater(label, *(pair if falling else pair[::-1]), _meaning(measure, measures))

    return rule


def gain(*measures: str, minimum: float, less: bool, others: Collection[str] = BASELINES) -> Rule:
    """Make the rule of a relative gain over a baseline that the paper does not name; each baseline is one meaning."""

    def rule(runs: Runs) -> Iterator[Part]:
        for measure in measures:
            for name in others:
                ours, theirs = (
                    runs.convergence(algorithm) if measure == "convergence" else runs.final(measure, algorithm)
                    for algorithm in (OURS, name)
                )
                change = difference(theirs, ours) if less else difference(ours, theirs)
                with np.errstate(divide="ignore", invalid="ignore"):
                    relative = change / theirs.loc[theirs.index.intersection(ours.index)].abs().to_numpy()
                relative = np.where(np.isfinite(relative), relative, np.nan)
                label = f"{measure} {'less' if less else 'greater'} by {100 * minimum:.1f} % than {name}"
                yield Part(label, relative - minimum, f"{measure} against {name}")

    return rule


def _close(runs: Runs, scenario: str) -> Part:
    gap = difference(runs.final("reward"), runs.final("reward", OURS, scenario))
    return Part("final reward within 5 %", 0.05 * runs.final("reward").abs().to_numpy() - np.abs(gap))


claim_1 = best("reward")


def claim_2(runs: Runs) -> Iterator[Part]:
    # Random does not learn, so it has no convergence.
    for name in LEARNERS:
        yield greater(f"converges before {name}", runs.convergence(name), runs.convergence())


def claim_3(runs: Runs) -> Iterator[Part]:
    for name in UNCONSTRAINED:
        yield greater(f"reward of lmaddpg above {name}", runs.final("reward", "lmaddpg"), runs.final("reward", name))


def claim_4(runs: Runs) -> Iterator[Part]:
    for name in ("maddpg", "mappo"):
        yield greater(f"early std below {name}", runs.std("early", name), runs.std("early"))


def claim_5(runs: Runs) -> Iterator[Part]:
    yield greater("reward of random below 0", 0.0, runs.final("reward", "random"))
    yield greater("late std above ours", runs.std("late", "random"), runs.std("late"))


def claim_6(runs: Runs) -> Iterator[Part]:
    for ratio in ECPR:
        yield greater(f"{ratio} below 0.08", 0.08, runs.final(ratio), ratio)


def claim_7(runs: Runs) -> Iterator[Part]:
    for ratio in ECPR:
        value = {name: runs.final(ratio, name) for name in (OURS, *BASELINES)}
        yield greater(f"{ratio} below lmaddpg", value["lmaddpg"], value[OURS], ratio)
        for name in ("maddpg", "matd3"):
            yield greater(f"{ratio} of {name} above lmaddpg", value[name], value["lmaddpg"], ratio)
        for name in (OURS, *LEARNERS):
            yield greater(f"{ratio} of random above {name}", value["random"], value[name], ratio)


def claim_8(runs: Runs) -> Iterator[Part]:
    for ratio in ECPR:
        mappo = runs.final(ratio, "mappo")
        yield greater(f"{ratio} of mappo above ours", mappo, runs.final(ratio), ratio)
        yield greater(f"{ratio} of mappo below random", runs.final(ratio, "random"), mappo, ratio)
        yield greater("mappo converges later", runs.convergence("mappo"), runs.convergence(), ratio)


claim_9 = best("sor")
claim_10 = along(USERS, "reward", falling=True)
claim_11 = along(USERS, *ECPR, falling=False)


def claim_12(runs: Runs) -> Iterator[Part]:
    few, many = runs.final("sor"), runs.final("sor", scenario="users_50")
    yield Part("sor falls by at most 0.01 from 20 to 50 users", 0.01 - difference(few, many))
    yield greater("sor at 50 users above 0.85", many, 0.85)


claim_13 = best("reward", scenarios=BATTERIES.values())


def claim_14(runs: Runs) -> Iterator[Part]:
    for name in ("maddpg", "matd3"):
        label = f"reward of {name} falls more steeply"
        yield greater(label, runs.slope("reward", name), runs.slope("reward", OURS))


claim_15 = best(*ECPR, lowest=True, scenarios=BATTERIES.values())


def claim_16(runs: Runs) -> Iterator[Part]:
    for name in BASELINES:
        yield greater(
            f"energy of {name} above C_limit at 8 J", runs.final("energy", name), runs.final("cost_limit", name)
        )
        yield greater(f"ecpr_f of {name} rises as the battery shrinks", 0.0, runs.slope("ecpr_f", name))


def claim_17(runs: Runs) -> Iterator[Part]:
    yield from best("sor", scenarios=BATTERIES.values())(runs)
    yield greater("sor above 0.9 at 8 J", runs.final("sor"), 0.9)


def claim_18(runs: Runs) -> Iterator[Part]:
    for name in ("mappo", "matd3"):
        yield greater(f"sor of {name} rises with the battery", runs.slope("sor", name), 0.0)
    mean = {name: runs.levels("sor", name).mean(axis=1) for name in BASELINES}
    for name in LEARNERS:
        yield greater(f"sor of random below {name}", mean[name], mean["random"])
    for name in UNCONSTRAINED:
        yield greater(f"sor of lmaddpg above {name}", mean["lmaddpg"], mean[name])


def claim_19(runs: Runs) -> Iterator[Part]:
    yield from along(HARVESTS, "reward", falling=False)(runs)
    slow = runs.convergence(scenario=HARVESTS[0.05])
    for rate in (0.10, 0.15):
        yield greater(f"0.05 converges after {rate}", slow, runs.convergence(scenario=HARVESTS[rate]))


claim_20 = along(HARVESTS, *ECPR, falling=True)
claim_21 = along(HARVESTS, "sor", falling=False)
claim_22 = along(ATTACKERS, "reward", falling=True)
claim_23 = along(ATTACKERS, *ECPR, falling=False)
claim_24 = along(ATTACKERS, "sor", falling=True)


def claim_25(runs: Runs) -> Iterator[Part]:
    yield from along(ATTACKERS, "offload_share", falling=True)(runs)
    yield from along(ATTACKERS, "energy", falling=False)(runs)
    local, offload = (runs.final(f"{kind}_energy", scenario="attacker_strong") for kind in ("local", "offload"))
    yield greater("a local chunk costs more than an offloaded one", local, offload)


def claim_26(runs: Runs) -> Iterator[Part]:
    fixed, dynamic = runs.convergence(scenario=FIXED), runs.convergence(scenario="battery_10")
    yield greater("the dynamic multiplier converges first", fixed, dynamic)
    fixed, dynamic = runs.std("late", scenario=FIXED), runs.std("late", scenario="battery_10")
    yield greater("its late std is smaller", fixed, dynamic)


def claim_27(runs: Runs) -> Iterator[Part]:
    limit, curve = runs.final("cost_limit", scenario="battery_10"), runs.curve("energy", scenario="battery_10")
    late = curve.loc[:, curve.columns > 300].mean(axis=1)
    yield greater("mean energy below C_limit after 300 episodes", limit, late)
    yield greater("final energy below C_limit", limit, runs.final("energy", scenario="battery_10"))


def claim_28(runs: Runs) -> Iterator[Part]:
    curve = runs.curve("multiplier", scenario="battery_10")
    late = statistics.part_of(curve, "late")
    yield greater("rises above 0.05", curve.max(axis=1), 0.05)
    yield greater("ends at least 0.05 below its peak", curve.max(axis=1) - late.mean(axis=1), 0.05)
    yield greater("late std below 0.05", 0.05, late.std(axis=1))


def claim_29(runs: Runs) -> Iterator[Part]:
    for label, name in CRITICS.items():
        yield greater(f"reward above {label}", runs.final("reward"), runs.final("reward", OURS, name))
        yield greater(f"ecpr_f below {label}", runs.final("ecpr_f", OURS, name), runs.final("ecpr_f"))


def claim_30(runs: Runs) -> Iterator[Part]:
    uniform, by_reward = (runs.convergence(scenario=f"replay_{kind}") for kind in ("uniform", "reward"))
    yield greater("uniform replay converges after ours", uniform, runs.convergence())
    yield greater("uniform replay converges after priority by reward", uniform, by_reward)


def claim_31(runs: Runs) -> Iterator[Part]:
    by_reward = runs.convergence(scenario="replay_reward")
    yield greater("converges before priority by reward", by_reward, runs.convergence())
    yield _close(runs, "replay_reward")


def claim_32(runs: Runs) -> Iterator[Part]:
    same = runs.convergence(scenario="cost_discount_same", measure="energy")
    label = "energy settles before it does with gamma_c = gamma_r"
    yield greater(label, same, runs.convergence(measure="energy"))
    yield _close(runs, "cost_discount_same")


def claim_33(runs: Runs) -> Iterator[Part]:
    counts = [runs.final("insecure_offloads", *experiment) for experiment in runs.full_scale()]
    yield Part("no insecure offload in any run", np.where(pd.concat(counts) == 0, 1.0, -1.0))


def claim_34(runs: Runs) -> Iterator[Part]:
    # Stored trainings shared the machine with other work; the benchmark measures the algorithms in turn.
    if not {OURS, "maddpg"} <= set(runs.update_times):
        raise MissingRuns("no times of updates: run `make bench`")
    ours, theirs = (np.array(runs.update_times[name]) for name in (OURS, "maddpg"))
    yield Part("time per update at most 1.25 times MADDPG's", 1.25 - ours / theirs)


claim_35 = gain("convergence", minimum=0.085, less=True, others=LEARNERS)
claim_36 = gain(*ECPR, minimum=0.061, less=True)
claim_37 = gain("reward", minimum=0.096, less=False)


def claim_38(runs: Runs) -> Iterator[Part]:
    yield from best("latency", lowest=True)(runs)
    yield from best("accuracy")(runs)


def claim_39(runs: Runs) -> Iterator[Part]:
    for algorithm, name in runs.full_scale():
        if algorithm == OURS and "multiplier_half" not in name:
            limit, energy = (runs.final(measure, algorithm, name) for measure in ("cost_limit", "energy"))
            yield greater(f"energy at most C_limit, {name}", limit, energy)


CLAIMS: dict[int, Rule] = {number: globals()[f"claim_{number}"] for number in range(1, 40)}
"""Number of a claim -> its rule."""
