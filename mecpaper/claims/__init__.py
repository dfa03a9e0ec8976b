"""Every claim of data/paper/claims.csv decided from stored runs; no verdict is typed. No torch here.

A claim is a list of `Part`s: one number per seed, positive where the claim holds for that seed (differences between
algorithms or settings are of the same seed). A part holds when Student's interval of its mean lies above 0, fails when
it lies below 0. A claim is

- reproduced when all its parts hold;
- contradicted when some part fails, at a level divided by the number of parts, so that claims with many parts are not
  contradicted by chance more often than others;
- unresolved otherwise, which includes fewer than `MIN_SEEDS` seeds;
- untestable when no stored run bears on it.

Where the text leaves open what is meant (two definitions of ECPR, an unnamed baseline), the parts form groups, one for
each meaning. The claim gets a verdict only if all meanings agree, else it is unresolved and the text says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecpaper.report import statistics
from mecpaper.store import results

MIN_SEEDS = 5
CONFIDENCE = 0.95
VERDICTS = ("reproduced", "contradicted", "unresolved", "untestable")

OURS = "cpo_maddpg"
LEARNERS = ("lmaddpg", "maddpg", "matd3", "mappo")
BASELINES = (*LEARNERS, "random")
BATTERIES = {8: "default", 9: "battery_9", 10: "battery_10", 11: "battery_11"}
USERS = {20: "default", 30: "users_30", 40: "users_40", 50: "users_50"}
HARVESTS = {0.05: "harvest_05", 0.10: "default", 0.15: "harvest_15"}
ATTACKERS = {"weak": "default", "moderate": "attacker_moderate", "strong": "attacker_strong"}
FIXED = "battery_10+multiplier_half"
CRITICS = {"separate critics": "critics_separate", "a multi-output critic": "critic_multi_output"}
LINEAR = "critic_linear_heads"
RATIOS = ("ecpr_f", "ecpr_m")

HEADLINE = (1, 6, 9, 12, 22, 24)
"""The claims that are decided again under other readings of the text."""

EVIDENCE = {
    "20_overall_comparison.ipynb": {
        1: "Figure-4", 2: "Figure-4", 3: "Figure-4", 4: "Figure-4", 5: "Figure-4", 6: "Figure-5", 7: "Figure-5",
        8: "Figure-5", 9: "Figure-6", 35: "The-numbers-of-the-conclusion", 36: "The-numbers-of-the-conclusion",
        37: "The-numbers-of-the-conclusion", 38: "Latency-and-accuracy",
    },
    "21_users_and_battery.ipynb": {
        10: "Table-3", 11: "Table-3", 12: "Table-3", 13: "Figure-7", 14: "Figure-7", 15: "Figure-8", 16: "Figure-8",
        17: "Figure-9", 18: "Figure-9",
    },
    "22_harvest_and_attacker.ipynb": {
        19: "Figure-10", 20: "Figure-11", 21: "Figure-12", 22: "Table-4", 23: "Table-4", 24: "Table-4", 25: "Table-4",
    },
    "23_ablations.ipynb": {
        26: "Figure-13", 27: "Figure-14", 28: "Figure-15", 29: "Figure-16", 30: "Figure-17", 31: "Figure-17",
        32: "The-discount-of-the-cost",
    },
    "50_claims.ipynb": {33: "Security", 34: "Computation", 39: "The-limit-in-every-cell"},
}  # fmt: skip
"""Notebook -> claim -> the heading under which it is shown."""


class MissingRuns(LookupError):
    """A claim asks for runs that are not there."""


@dataclass(frozen=True)
class Part:
    """One comparison.

    Args:
        label: what is compared, in words.
        values: `[seed]`, positive where the claim holds.
        group: which meaning of the claim it belongs to, where the text allows several.
    """

    label: str
    values: NDArray
    group: str = ""

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """Mean and Student's interval over seeds."""
        return statistics.t_interval(self.values, confidence)

    @property
    def seeds(self) -> int:
        """Seeds that have a value."""
        return int((~np.isnan(self.values)).sum())


@dataclass(frozen=True)
class Verdict:
    """What was decided, and by which part: the weakest of those that hold, or the clearest that fails."""

    verdict: str
    reason: str
    part: Part | None = None

    @property
    def interval(self) -> tuple[float, float, float]:
        """Of the deciding part."""
        return self.part.interval() if self.part else (float("nan"),) * 3


class Runs:
    """Stored runs, asked for by algorithm and scenario.

    Args:
        curves, summary: tables of `results.read_tables`.
        rename: scenario -> the one to look at in its place.
        fallback: scenario for algorithms that have no cell of the renamed one.
        update_times: algorithm -> times per update, ms, measured in turn, so that entries of one place belong together.
    """

    def __init__(
        self,
        curves: pd.DataFrame,
        summary: pd.DataFrame,
        rename: dict[str, str] | None = None,
        fallback: dict[str, str] | None = None,
        update_times: dict[str, list[float]] | None = None,
    ) -> None:
        self._curves = dict(tuple(curves.groupby(["algorithm", "scenario"])))
        self._summary = dict(tuple(summary.groupby(["algorithm", "scenario"])))
        self.rename, self.fallback = rename or {}, fallback or {}
        self.update_times = update_times or {}

    @classmethod
    def load(cls, root: Path) -> Runs:
        """All finished cells of data/runs, and what benchmarks/results.json says of the time of an update."""
        times: dict[str, list[float]] = {}
        path = root / "benchmarks" / "results.json"
        if path.exists():
            for entry in json.loads(path.read_text(encoding="utf-8")).get("learning", {}).get("figures", []):
                algorithm, _, what = entry["name"].partition(": ")
                if what == "one update":
                    times[algorithm] = entry["values"]
        curves, summary = (results.read_tables(root, name) for name in ("curves", "summary"))
        return cls(curves, summary, update_times=times)

    def view(self, rename: dict[str, str], fallback: dict[str, str]) -> Runs:
        """The same runs seen under another reading."""
        other = Runs.__new__(Runs)
        other._curves, other._summary = self._curves, self._summary
        other.rename, other.fallback, other.update_times = rename, fallback, self.update_times
        return other

    def _name(self, algorithm: str, scenario: str) -> str:
        named = self.rename.get(scenario, scenario)
        if (algorithm, named) not in self._summary:
            named = self.fallback.get(scenario, named)
        return named

    def has(self, algorithm: str, scenario: str) -> bool:
        """Whether there are such runs."""
        return (algorithm, self._name(algorithm, scenario)) in self._summary

    def _find(self, tables: dict, algorithm: str, scenario: str) -> pd.DataFrame:
        key = (algorithm, self._name(algorithm, scenario))
        if key not in tables:
            raise MissingRuns(f"no runs of {key[0]} in {key[1]}")
        return tables[key]

    def final(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.Series:
        """Noise-free final measure, by seed."""
        return self._find(self._summary, algorithm, scenario).set_index("seed")[measure].sort_index()

    def curve(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.DataFrame:
        """Learning curve, a row per seed and a column per episode."""
        table = self._find(self._curves, algorithm, scenario)
        return table.pivot(index="seed", columns="episode", values=measure).sort_index()

    def convergence(self, algorithm: str = OURS, scenario: str = "default", measure: str = "reward") -> pd.Series:
        """Episode of convergence, by seed (see `statistics.convergence`)."""
        curve = self.curve(measure, algorithm, scenario)
        return curve.apply(lambda row: statistics.convergence(curve.columns, row), axis=1)

    def deviation(
        self, part: str, algorithm: str = OURS, scenario: str = "default", measure: str = "reward"
    ) -> pd.Series:
        """Standard deviation of a curve over its first fifth ("early") or last fifth ("late"), by seed."""
        curve = self.curve(measure, algorithm, scenario)
        last = curve.columns.max()
        chosen = curve.columns <= 0.2 * last if part == "early" else curve.columns >= 0.8 * last
        return curve.loc[:, chosen].std(axis=1)

    def slope(self, measure: str, algorithm: str) -> pd.Series:
        """Slope of a final measure over the battery capacity, per J, by seed."""
        table = pd.DataFrame({b: self.final(measure, algorithm, name) for b, name in BATTERIES.items()}).dropna()
        centred = table.columns.to_numpy(float) - np.mean(table.columns.to_numpy(float))
        return (table * centred).sum(axis=1) / (centred**2).sum()

    def cells(self) -> list[tuple[str, str]]:
        """Algorithm and scenario of all runs at the full share of the scale."""
        return sorted(key for key in self._summary if not key[1].startswith(("reading_", "baseline")))


def difference(larger: pd.Series, smaller: pd.Series | float) -> NDArray:
    """Larger less smaller, by seed; only seeds that both have."""
    if not isinstance(smaller, pd.Series):
        return (larger - smaller).to_numpy(float)
    seeds = larger.index.intersection(smaller.index)
    return (larger.loc[seeds] - smaller.loc[seeds]).to_numpy(float)


def chain(runs: Runs, settings: dict, measure: str, falling: bool, group: str = "") -> list[Part]:
    """Neighbours along a series of settings, of those that have runs; at least two."""
    known = {label: name for label, name in settings.items() if runs.has(OURS, name)}
    if len(known) < 2:
        raise MissingRuns(f"no runs of {OURS} in {' and '.join(settings.values())}")
    parts = []
    for (one, first), (two, second) in zip(list(known.items())[:-1], list(known.items())[1:], strict=True):
        a, b = runs.final(measure, scenario=first), runs.final(measure, scenario=second)
        values = difference(a, b) if falling else difference(b, a)
        parts.append(Part(f"{measure} at {one} {'above' if falling else 'below'} {two}", values, group))
    return parts


def against(
    runs: Runs, measure: str, others: Iterable[str], less: bool = False, scenario: str = "default", group: str = ""
) -> list[Part]:
    """CPO-MADDPG's final measure above (or below) that of others."""
    ours, parts = runs.final(measure, scenario=scenario), []
    for name in others:
        theirs = runs.final(measure, name, scenario)
        values = difference(theirs, ours) if less else difference(ours, theirs)
        where = "" if scenario == "default" else f", {scenario}"
        parts.append(Part(f"{measure} {'below' if less else 'above'} {name}{where}", values, group))
    return parts


Decide = Callable[[Runs], list[Part]]
CLAIMS: dict[int, Decide] = {}


def _claim(number: int) -> Callable[[Decide], Decide]:
    def register(function: Decide) -> Decide:
        CLAIMS[number] = function
        return function

    return register


@_claim(1)
def _highest_reward(runs: Runs) -> list[Part]:
    return against(runs, "reward", BASELINES)


@_claim(2)
def _fastest(runs: Runs) -> list[Part]:
    # Random learns nothing, so its convergence says nothing.
    return [
        Part(f"converges before {name}", difference(runs.convergence(name), runs.convergence())) for name in LEARNERS
    ]


@_claim(3)
def _constraint_pays(runs: Runs) -> list[Part]:
    ours = runs.final("reward", "lmaddpg")
    others = ("maddpg", "matd3", "mappo")
    return [Part(f"reward of lmaddpg above {name}", difference(ours, runs.final("reward", name))) for name in others]


@_claim(4)
def _settles(runs: Runs) -> list[Part]:
    ours = runs.deviation("early")
    return [
        Part(f"early deviation below {name}", difference(runs.deviation("early", name), ours))
        for name in ("maddpg", "mappo")
    ]


@_claim(5)
def _random_is_bad(runs: Runs) -> list[Part]:
    return [
        Part("reward of random below 0", -runs.final("reward", "random").to_numpy()),
        Part("deviates more than ours", difference(runs.deviation("late", "random"), runs.deviation("late"))),
    ]


@_claim(6)
def _low_ratio(runs: Runs) -> list[Part]:
    return [Part(f"{name} below 0.08", 0.08 - runs.final(name).to_numpy(), name) for name in RATIOS]


@_claim(7)
def _ratio_order(runs: Runs) -> list[Part]:
    parts = []
    for name in RATIOS:
        value = {a: runs.final(name, a) for a in (OURS, *BASELINES)}
        parts.append(Part(f"{name} below lmaddpg", difference(value["lmaddpg"], value[OURS]), name))
        for other in ("maddpg", "matd3"):
            parts.append(Part(f"{name} of {other} above lmaddpg", difference(value[other], value["lmaddpg"]), name))
        for other in (OURS, *LEARNERS):
            parts.append(Part(f"{name} of random above {other}", difference(value["random"], value[other]), name))
    return parts


@_claim(8)
def _mappo_moderate(runs: Runs) -> list[Part]:
    parts = []
    for name in RATIOS:
        mappo = runs.final(name, "mappo")
        parts.append(Part(f"{name} of mappo above ours", difference(mappo, runs.final(name)), name))
        parts.append(Part(f"{name} of mappo below random", difference(runs.final(name, "random"), mappo), name))
        slower = difference(runs.convergence("mappo"), runs.convergence())
        parts.append(Part("mappo converges later", slower, name))
    return parts


@_claim(9)
def _safest(runs: Runs) -> list[Part]:
    return against(runs, "sor", BASELINES)


@_claim(10)
def _users_reward(runs: Runs) -> list[Part]:
    return chain(runs, USERS, "reward", falling=True)


@_claim(11)
def _users_ratio(runs: Runs) -> list[Part]:
    return [part for name in RATIOS for part in chain(runs, USERS, name, falling=False, group=name)]


@_claim(12)
def _users_safety(runs: Runs) -> list[Part]:
    few, many = runs.final("sor", scenario="default"), runs.final("sor", scenario="users_50")
    return [
        Part("sor falls by at most 0.01 from 20 to 50 users", 0.01 - difference(few, many)),
        Part("sor at 50 users above 0.85", many.to_numpy() - 0.85),
    ]


@_claim(13)
def _battery_reward(runs: Runs) -> list[Part]:
    return [part for name in BATTERIES.values() for part in against(runs, "reward", BASELINES, scenario=name)]


@_claim(14)
def _battery_slope(runs: Runs) -> list[Part]:
    ours = runs.slope("reward", OURS)
    return [
        Part(f"reward of {name} falls more steeply", difference(runs.slope("reward", name), ours))
        for name in ("maddpg", "matd3")
    ]


@_claim(15)
def _battery_ratio(runs: Runs) -> list[Part]:
    return [
        part
        for measure in RATIOS
        for name in BATTERIES.values()
        for part in against(runs, measure, BASELINES, less=True, scenario=name, group=measure)
    ]


@_claim(16)
def _battery_overspend(runs: Runs) -> list[Part]:
    parts = []
    for name in BASELINES:
        over = difference(runs.final("energy", name), runs.final("cost_limit", name))
        parts.append(Part(f"energy of {name} above C_limit at 8 J", over))
        parts.append(Part(f"ecpr_f of {name} rises as the battery shrinks", -runs.slope("ecpr_f", name).to_numpy()))
    return parts


@_claim(17)
def _battery_safety(runs: Runs) -> list[Part]:
    parts = [part for name in BATTERIES.values() for part in against(runs, "sor", BASELINES, scenario=name)]
    return [*parts, Part("sor above 0.9 at 8 J", runs.final("sor").to_numpy() - 0.9)]


@_claim(18)
def _battery_safety_order(runs: Runs) -> list[Part]:
    def mean(algorithm: str) -> pd.Series:
        return pd.DataFrame({b: runs.final("sor", algorithm, name) for b, name in BATTERIES.items()}).mean(axis=1)

    parts = [Part(f"sor of {name} rises with the battery", runs.slope("sor", name)) for name in ("mappo", "matd3")]
    for name in LEARNERS:
        parts.append(Part(f"sor of random below {name}", difference(mean(name), mean("random"))))
    for name in ("maddpg", "matd3", "mappo"):
        parts.append(Part(f"sor of lmaddpg above {name}", difference(mean("lmaddpg"), mean(name))))
    return parts


@_claim(19)
def _harvest_reward(runs: Runs) -> list[Part]:
    slow = runs.convergence(scenario="harvest_05")
    return [
        *chain(runs, HARVESTS, "reward", falling=False),
        *(
            Part(f"0.05 converges after {rate}", difference(slow, runs.convergence(scenario=HARVESTS[rate])))
            for rate in (0.10, 0.15)
        ),
    ]


@_claim(20)
def _harvest_ratio(runs: Runs) -> list[Part]:
    return [part for name in RATIOS for part in chain(runs, HARVESTS, name, falling=True, group=name)]


@_claim(21)
def _harvest_safety(runs: Runs) -> list[Part]:
    return chain(runs, HARVESTS, "sor", falling=False)


@_claim(22)
def _attack_reward(runs: Runs) -> list[Part]:
    return chain(runs, ATTACKERS, "reward", falling=True)


@_claim(23)
def _attack_ratio(runs: Runs) -> list[Part]:
    return [part for name in RATIOS for part in chain(runs, ATTACKERS, name, falling=False, group=name)]


@_claim(24)
def _attack_safety(runs: Runs) -> list[Part]:
    return chain(runs, ATTACKERS, "sor", falling=True)


@_claim(25)
def _attack_local(runs: Runs) -> list[Part]:
    local, offload = (runs.final(f"{kind}_energy", scenario="attacker_strong") for kind in ("local", "offload"))
    return [
        *chain(runs, ATTACKERS, "offload_share", falling=True),
        *chain(runs, ATTACKERS, "energy", falling=False),
        Part("a local chunk costs more than an offloaded one", difference(local, offload)),
    ]


@_claim(26)
def _dynamic(runs: Runs) -> list[Part]:
    return [
        Part(
            "the dynamic multiplier converges first",
            difference(runs.convergence(scenario=FIXED), runs.convergence(scenario="battery_10")),
        ),
        Part(
            "its late deviation is smaller",
            difference(runs.deviation("late", scenario=FIXED), runs.deviation("late", scenario="battery_10")),
        ),
    ]


@_claim(27)
def _energy_falls(runs: Runs) -> list[Part]:
    curve = runs.curve("energy", scenario="battery_10")
    limit = runs.final("cost_limit", scenario="battery_10")
    late = curve.loc[:, curve.columns > 300]
    return [
        Part("mean energy below C_limit after 300 episodes", difference(limit, late.mean(axis=1))),
        Part("final energy below C_limit", difference(limit, runs.final("energy", scenario="battery_10"))),
    ]


@_claim(28)
def _multiplier_settles(runs: Runs) -> list[Part]:
    curve = runs.curve("multiplier", scenario="battery_10")
    late = curve.loc[:, curve.columns >= 0.8 * curve.columns.max()]
    return [
        Part("rises above 0.05", curve.max(axis=1).to_numpy() - 0.05),
        Part("ends at least 0.05 below its peak", difference(curve.max(axis=1), late.mean(axis=1)) - 0.05),
        Part("late deviation below 0.05", 0.05 - late.std(axis=1).to_numpy()),
    ]


@_claim(29)
def _two_heads(runs: Runs) -> list[Part]:
    parts = []
    for label, name in CRITICS.items():
        parts.append(Part(f"reward above {label}", difference(runs.final("reward"), runs.final("reward", OURS, name))))
        parts.append(Part(f"ecpr_f below {label}", difference(runs.final("ecpr_f", OURS, name), runs.final("ecpr_f"))))
    return parts


@_claim(30)
def _priorities_help(runs: Runs) -> list[Part]:
    uniform = runs.convergence(scenario="replay_uniform")
    return [
        Part("uniform replay converges after ours", difference(uniform, runs.convergence())),
        Part(
            "uniform replay converges after priority by reward",
            difference(uniform, runs.convergence(scenario="replay_reward")),
        ),
    ]


@_claim(31)
def _both_errors_help(runs: Runs) -> list[Part]:
    gap = difference(runs.final("reward"), runs.final("reward", OURS, "replay_reward"))
    return [
        Part(
            "converges before priority by reward",
            difference(runs.convergence(scenario="replay_reward"), runs.convergence()),
        ),
        Part("final reward within 5 %", 0.05 * runs.final("reward").abs().to_numpy() - np.abs(gap)),
    ]


@_claim(32)
def _cost_discount(runs: Runs) -> list[Part]:
    same = "cost_discount_same"
    gap = difference(runs.final("reward"), runs.final("reward", OURS, same))
    return [
        Part(
            "energy settles before it does with gamma_c = gamma_r",
            difference(runs.convergence(scenario=same, measure="energy"), runs.convergence(measure="energy")),
        ),
        Part("final reward within 5 %", 0.05 * runs.final("reward").abs().to_numpy() - np.abs(gap)),
    ]


@_claim(33)
def _secure(runs: Runs) -> list[Part]:
    counts = [runs.final("insecure_offloads", *cell) for cell in runs.cells()]
    return [Part("no insecure offload in any run", np.where(pd.concat(counts) == 0, 1.0, -1.0))]


@_claim(34)
def _cheap(runs: Runs) -> list[Part]:
    # The times of the stored trainings are those of a machine with other work; these were measured in turn.
    if not {OURS, "maddpg"} <= set(runs.update_times):
        raise MissingRuns("no times of updates: run `make bench`")
    ours, theirs = (np.array(runs.update_times[name]) for name in (OURS, "maddpg"))
    return [Part("time per update at most 1.25 times MADDPG's", 1.25 - ours / theirs)]


def _conclusion(runs: Runs, measure: str, gain: float, less: bool, others: Sequence[str]) -> list[Part]:
    """A relative gain over a baseline the paper does not name: each is one meaning."""

    def value(algorithm: str) -> pd.Series:
        return runs.convergence(algorithm) if measure == "convergence" else runs.final(measure, algorithm)

    parts = []
    for name in others:
        ours, theirs = value(OURS), value(name)
        change = difference(theirs, ours) if less else difference(ours, theirs)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = change / theirs.loc[theirs.index.intersection(ours.index)].abs().to_numpy()
        relative = np.where(np.isfinite(relative), relative, np.nan)
        words = f"{measure} {'less' if less else 'greater'} by {100 * gain:.1f} % than {name}"
        parts.append(Part(words, relative - gain, f"{measure} against {name}"))
    return parts


@_claim(35)
def _conclusion_convergence(runs: Runs) -> list[Part]:
    return _conclusion(runs, "convergence", 0.085, True, LEARNERS)


@_claim(36)
def _conclusion_ratio(runs: Runs) -> list[Part]:
    return [part for name in RATIOS for part in _conclusion(runs, name, 0.061, True, BASELINES)]


@_claim(37)
def _conclusion_reward(runs: Runs) -> list[Part]:
    return _conclusion(runs, "reward", 0.096, False, BASELINES)


@_claim(38)
def _latency_and_accuracy(runs: Runs) -> list[Part]:
    return [*against(runs, "latency", BASELINES, less=True), *against(runs, "accuracy", BASELINES)]


@_claim(39)
def _limit_everywhere(runs: Runs) -> list[Part]:
    return [
        Part(
            f"energy at most C_limit, {name}",
            difference(runs.final("cost_limit", algorithm, name), runs.final("energy", algorithm, name)),
        )
        for algorithm, name in runs.cells()
        if algorithm == OURS and "multiplier_half" not in name
    ]


def decide(parts: Sequence[Part], least: int = MIN_SEEDS) -> Verdict:
    """The verdict on a claim from its parts (see the module).

    Args:
        parts: at least one.
        least: seeds that are needed.
    """
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.group, []).append(part)
    verdicts = {name: _decide_group(members, least) for name, members in groups.items()}
    kinds = {verdict.verdict for verdict in verdicts.values()}
    if len(kinds) == 1:
        # One meaning, or all agree: the first is reported.
        return next(iter(verdicts.values()))
    words = "; ".join(f"{name}: {verdict.verdict}" for name, verdict in verdicts.items())
    return Verdict("unresolved", f"depends on what is meant: {words}", next(iter(verdicts.values())).part)


def _decide_group(parts: Sequence[Part], least: int) -> Verdict:
    few = min(parts, key=lambda part: part.seeds)
    if few.seeds < least:
        return Verdict("unresolved", f"{few.label}: {few.seeds} seeds with a value, {least} are needed", few)
    strict = 1.0 - (1.0 - CONFIDENCE) / len(parts)
    failing = [part for part in parts if part.interval(strict)[2] < 0.0]
    if failing:
        worst = min(failing, key=lambda part: part.interval()[0] / _scale(part))
        return Verdict("contradicted", f"{worst.label}: no ({len(failing)} of {len(parts)} parts fail)", worst)
    weak = min(parts, key=lambda part: part.interval()[1] / _scale(part))
    if weak.interval()[1] > 0.0:
        return Verdict("reproduced", f"holds in all {len(parts)} parts, least clearly: {weak.label}", weak)
    holding = sum(part.interval()[1] > 0.0 for part in parts)
    return Verdict("unresolved", f"{holding} of {len(parts)} parts hold, least: {weak.label}", weak)


def _scale(part: Part) -> float:
    """Size of a part's values, so that parts in different units can be ordered."""
    return float(np.nanmax(np.abs(part.values))) or 1.0


def verdict(number: int, runs: Runs, least: int | None = None) -> Verdict:
    """The verdict on one claim.

    Args:
        number: of the claim.
        runs: what is stored.
        least: seeds that are needed, instead of `MIN_SEEDS`.
    """
    try:
        parts = CLAIMS[number](runs)
    except MissingRuns as error:
        return Verdict("untestable", str(error))
    return decide(parts, least or MIN_SEEDS)


def evidence(number: int) -> str:
    """Where a claim is shown: notebook and heading."""
    return next(f"{book}#{heads[number]}" for book, heads in EVIDENCE.items() if number in heads)


def _registry(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "data" / "paper" / "claims.csv").set_index("id")


def seen(root: Path, *numbers: int) -> str:
    """What the stored runs say about some claims, as a Markdown list: to stand under a figure."""
    registry, runs = _registry(root), Runs.load(root)
    lines = []
    for number in numbers:
        found = verdict(number, runs)
        mean, lower, upper = found.interval
        numbers_seen = f" (effect {mean:.3g}, 95 % interval {lower:.3g} to {upper:.3g})" if found.part else ""
        claim = registry.loc[number, "claim"]
        lines.append(f"- Claim {number}, *{claim}*: **{found.verdict}**; {found.reason}{numbers_seen}.")
    return "\n".join(lines)


def table(root: Path) -> pd.DataFrame:
    """All claims with their verdicts, one row each, in the order of data/paper/claims.csv."""
    registry, runs = _registry(root), Runs.load(root)
    scale = str(results.read_tables(root, "summary")["scale"].iloc[0])
    rows = []
    for claim in registry.reset_index().itertuples():
        found = verdict(claim.id, runs)
        mean, lower, upper = found.interval
        rows.append(
            {
                "id": claim.id,
                "place": claim.place,
                "claim": claim.claim,
                "verdict": found.verdict,
                "decided_on": found.part.label if found.part else "",
                "effect": mean,
                "lower": lower,
                "upper": upper,
                "seeds": found.part.seeds if found.part else 0,
                "scale": scale,
                "reason": found.reason,
                "evidence": evidence(claim.id),
            }
        )
    return pd.DataFrame(rows)
