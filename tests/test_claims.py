"""Verdicts: synthetic runs with known answers, the rate of false verdicts, and where each claim is shown."""

import csv

import nbformat
import numpy as np
import pandas as pd
import pytest

from mecpaper.claims import rules
from mecpaper.claims import runs as stored
from mecpaper.claims.runs import Part, Runs, difference, split
from mecpaper.claims.verdict import VERDICTS, decide, verdict
from mecpaper.store.results import SUMMARY_COLUMNS

EPISODES = np.arange(0, 2001, 40)


def _runs(seeds=5, noise=0.02, missing=(), **levels):
    """Make runs of all experiments that claims ask for, alike but for levels, as measure -> {experiment: mean}."""
    experiments = [(a, s) for a in (stored.OURS, *stored.BASELINES) for s in stored.BATTERIES.values()]
    ours = {*stored.USERS.values(), *stored.HARVESTS.values(), *stored.ATTACKERS.values(), stored.FIXED, stored.LINEAR}
    ours |= {*stored.CRITICS.values(), "replay_uniform", "replay_reward", "cost_discount_same"}
    experiments = sorted({*experiments, *((stored.OURS, name) for name in ours)} - set(missing))
    rng = np.random.default_rng(0)
    summaries, curves = [], []
    for experiment in experiments:
        row = dict.fromkeys(SUMMARY_COLUMNS, 1.0) | {
            "algorithm": experiment[0],
            "scenario": experiment[1],
            "scale": "test",
        }
        row |= {"cost_limit": 0.4, "insecure_offloads": 0.0, "updates": 100.0}
        for seed in range(1, seeds + 1):
            values = {name: means.get(experiment, 1.0) for name, means in levels.items()}
            noisy = {name: value + noise * rng.normal() for name, value in values.items()}
            summaries.append(row | noisy | {"seed": seed})
            rise = 1.0 - np.exp(-EPISODES / levels.get("speed", {}).get(experiment, 200.0))
            curve = {"reward": rise, "energy": 1.0 - 0.6 * rise, "multiplier": rise, "episode": EPISODES}
            curves.append(pd.DataFrame(curve).assign(algorithm=experiment[0], scenario=experiment[1], seed=seed))
    return Runs(split(pd.concat(curves)), split(pd.DataFrame(summaries)))


OURS = (stored.OURS, "default")


def test_an_effect_that_is_there_is_reproduced():
    found = verdict(1, _runs(reward={OURS: 1.2}))
    assert found.verdict == "reproduced"
    assert found.interval[0] == pytest.approx(0.2, abs=0.03) and found.interval[1] > 0.1


def test_an_effect_that_is_not_there_is_unresolved():
    assert verdict(1, _runs()).verdict == "unresolved"


def test_an_effect_the_other_way_is_a_contradiction_even_if_other_parts_hold():
    found = verdict(1, _runs(reward={OURS: 1.2, ("mappo", "default"): 1.4}))
    assert found.verdict == "contradicted"
    assert found.part.label == "reward above mappo" and found.interval[2] < 0.0


def test_too_few_seeds_decide_nothing():
    found = verdict(1, _runs(seeds=4, reward={OURS: 2.0}))
    assert found.verdict == "unresolved" and "4 seeds" in found.reason and "5 are needed" in found.reason
    assert verdict(1, _runs(seeds=4, reward={OURS: 2.0}), min_seeds=4).verdict == "reproduced"


def test_a_seed_without_a_value_does_not_count():
    runs = _runs(sor={OURS: 2.0})
    table = runs.summary[("matd3", "default")]
    table.loc[table["seed"] == 3, "sor"] = np.nan
    found = verdict(9, runs)
    assert found.verdict == "unresolved" and "matd3: 4 seeds" in found.reason


def test_runs_that_are_not_there_make_a_claim_untestable():
    found = verdict(1, _runs(missing=[("matd3", "default")]))
    assert found.verdict == "untestable" and found.reason == "no runs of matd3 in default"


def test_differences_are_of_the_same_seed():
    few, many = pd.Series({1: 1.0, 2: 2.0, 3: 3.0}), pd.Series({3: 2.5, 2: 1.0, 9: 0.0})
    assert difference(few, many).tolist() == [1.0, 0.5]


def test_meanings_that_disagree_leave_a_claim_unresolved():
    up, down = np.full(5, 1.0), np.full(5, -1.0)
    found = decide([Part("a", up, "f"), Part("b", down, "m")])
    assert found.verdict == "unresolved" and "f: reproduced; m: contradicted" in found.reason
    assert decide([Part("a", up, "f"), Part("b", up, "m")]).verdict == "reproduced"
    found = verdict(6, _runs(noise=0.001, ecpr_f={OURS: 0.5}, ecpr_m={OURS: 0.01}))
    assert found.verdict == "unresolved" and "ecpr_f: contradicted; ecpr_m: reproduced" in found.reason


def test_null_claims_are_not_decided_more_often_than_the_level_allows():
    rng = np.random.default_rng(1)
    repeats = 200
    names = [decide([Part("x", rng.normal(size=5))]).verdict for _ in range(20 * repeats)]
    # Each way at most 2.5 %, and three standard errors of the simulation.
    allowed = 20 * repeats * 0.025 + 3.0 * np.sqrt(20 * repeats * 0.025)
    assert 0 < names.count("reproduced") <= allowed and 0 < names.count("contradicted") <= allowed
    # With 20 parts, all must hold, and the level of each contradiction is divided by 20.
    many = [decide([Part("x", rng.normal(size=5)) for _ in range(20)]).verdict for _ in range(1000)]
    assert many.count("reproduced") == 0
    assert many.count("contradicted") <= 1000 * 0.025 + 3.0 * np.sqrt(1000 * 0.025)


def test_convergence_and_order_claims_follow_the_curves():
    slow = {(name, "default"): 800.0 for name in stored.LEARNERS}
    assert verdict(2, _runs(speed=slow)).verdict == "reproduced"
    assert verdict(2, _runs(speed={OURS: 800.0})).verdict == "contradicted"
    falling = {(stored.OURS, name): 1.0 - 0.1 * k for k, name in enumerate(stored.ATTACKERS.values())}
    assert verdict(22, _runs(reward=falling)).verdict == "reproduced"
    rising = {(stored.OURS, name): 1.0 + 0.1 * k for k, name in enumerate(stored.ATTACKERS.values())}
    assert verdict(22, _runs(reward=rising)).verdict == "contradicted"
    # One insecure offload anywhere is enough against claim 33.
    assert verdict(33, _runs()).verdict == "reproduced"
    runs = _runs()
    for table in runs.summary.values():
        table["insecure_offloads"] = 1.0
    assert verdict(33, runs).verdict == "contradicted"


def test_another_reading_looks_at_its_own_runs_and_falls_back_where_there_are_none():
    runs = _runs(reward={OURS: 1.2})
    runs.summary[(stored.OURS, "reading_X")] = runs.summary[OURS].assign(reward=0.5)
    for name in stored.BASELINES:
        runs.summary[(name, "baseline")] = runs.summary[(name, "default")]
    seen = runs.view({"default": "reading_X"}, {"default": "baseline"})
    assert seen.final("reward").tolist() == [0.5] * 5
    assert verdict(1, seen).verdict == "contradicted"
    assert runs.final("reward").mean() > 1.0


def test_the_time_of_an_update_is_compared_pair_by_pair():
    assert verdict(34, _runs()).verdict == "untestable"
    runs = _runs()
    runs.update_times[stored.OURS] = [12.0, 24.0, 12.1, 12.2, 11.9]
    runs.update_times["maddpg"] = [11.0, 22.0, 11.1, 11.0, 11.2]
    assert verdict(34, runs).verdict == "reproduced"
    runs.update_times["maddpg"] = [6.0, 12.0, 6.1, 6.0, 6.2]
    assert verdict(34, runs).verdict == "contradicted"


def test_statistics_of_runs_are_by_seed():
    runs = _runs(noise=0.0, sor={(stored.OURS, name): 0.1 * size for size, name in stored.BATTERIES.items()})
    assert runs.slope("sor", stored.OURS).tolist() == pytest.approx([0.1] * 5)
    rise = 1.0 - np.exp(-EPISODES / 200.0)
    assert runs.std("early").tolist() == pytest.approx([np.std(rise[EPISODES <= 400], ddof=1)] * 5)
    assert runs.std("late").tolist() == pytest.approx([np.std(rise[EPISODES >= 1600], ddof=1)] * 5)


def test_every_claim_has_a_rule_and_a_heading_that_shows_it(root):
    with open(root / "data" / "paper" / "claims.csv", newline="", encoding="utf-8") as file:
        evidence = {int(row["id"]): row["evidence"] for row in csv.DictReader(file)}
    assert sorted(rules.CLAIMS) == sorted(evidence) == list(range(1, 40))
    runs = _runs()
    runs.update_times.update({stored.OURS: [1.0] * 5, "maddpg": [1.0] * 5})
    for number, place in evidence.items():
        assert verdict(number, runs).verdict in VERDICTS[:3]
        book, heading = place.split("#")
        cells = nbformat.read(root / "notebooks" / book, as_version=4).cells
        lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
        anchors = [line.lstrip("#").split(":")[0].strip().replace(" ", "-") for line in lines if line.startswith("## ")]
        assert heading in anchors, (number, anchors)
