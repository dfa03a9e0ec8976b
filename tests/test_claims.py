"""Statements, answers and verdicts: synthetic runs of known truth, the rate of wrong answers, and the stored runs."""

import zlib
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mecpaper.claims import optimum, rules, verdict
from mecpaper.claims import runs as stored
from mecpaper.claims.effect import (
    ANSWERS,
    CONTRADICTED,
    MORE,
    NO_WORSE,
    NONE,
    NOT_IDENTIFIED,
    OPEN,
    REPRODUCED,
    SMALLER,
    answer,
    holm,
    least,
    paired,
    welch,
)
from mecpaper.claims.runs import OURS, Runs, split
from mecpaper.store.results import SUMMARY_COLUMNS

EPISODES = np.arange(0, 2001, 40)
MARGIN, PRINTED = 0.06, 0.12


def _experiments():
    """All experiments that statements ask for."""
    names = [(a, s) for a in (OURS, *stored.BASELINES) for s in stored.BATTERIES.values()]
    ours = {*rules.CONDITIONS, *stored.SEEDED.values(), stored.FIXED, stored.LINEAR, *stored.CRITICS.values()}
    ours |= {"replay_uniform", "replay_reward", "cost_discount_same"}
    return sorted({*names, *((OURS, name) for name in ours)})


def _runs(seeds=10, noise=0.02, missing=(), **levels):
    """Make runs of all experiments, alike but for levels, as measure -> {experiment: mean}."""
    summaries, curves = [], []
    for algorithm, scenario in (pair for pair in _experiments() if pair not in missing):
        rng = np.random.default_rng(zlib.crc32(f"{algorithm}/{scenario}".encode()))
        row = dict.fromkeys(SUMMARY_COLUMNS, 1.0) | {"algorithm": algorithm, "scenario": scenario, "scale": "test"}
        row |= {"cost_limit": 0.4, "energy": 0.4, "insecure_offloads": 0.0, "updates": 100.0}
        for seed in range(1, seeds + 1):
            values = {name: means.get((algorithm, scenario), row.get(name)) for name, means in levels.items()}
            noisy = {name: value + noise * rng.normal() for name, value in values.items() if name in row}
            summaries.append(row | noisy | {"seed": seed})
            rise = 1.0 - np.exp(-EPISODES / levels.get("speed", {}).get((algorithm, scenario), 200.0))
            curve = {"reward": rise, "energy": 1.0 - 0.6 * rise, "ecpr_m": 1.0 - 0.5 * rise, "multiplier": rise}
            frame = pd.DataFrame(curve | {"episode": EPISODES})
            curves.append(frame.assign(algorithm=algorithm, scenario=scenario, seed=seed))
    times = {OURS: [1.0] * 5, "maddpg": [1.0] * 5}
    return Runs(split(pd.concat(curves)), split(pd.DataFrame(summaries)), times, planned=seeds)


@pytest.fixture(scope="module")
def statements(root):
    return verdict.read_statements(root)


@pytest.fixture(scope="module")
def own(root):
    """The stored runs, and what they say."""
    runs = Runs.load(root)
    return runs, verdict.decide(verdict.read_statements(root), runs)


def answers(statements, runs, number):
    return verdict.decide(statements[statements["claim"] == number], runs)["answer"].to_dict()


# -- effects ---------------------------------------------------------------------------------------------


def test_effects_agree_with_scipy():
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.3, 1.0, 8), rng.normal(0.0, 2.0, 12)
    theirs = stats.ttest_ind(one, other, equal_var=False)
    np.testing.assert_allclose(welch(one, other).interval(0.05), theirs.confidence_interval(0.95))
    assert welch(one, other).p_value(0.0) == pytest.approx(theirs.pvalue)
    theirs = stats.ttest_1samp(one, 0.0)
    np.testing.assert_allclose(paired([*one, np.nan]).interval(0.1), theirs.confidence_interval(0.9))
    assert (paired([*one, np.nan]).seeds, paired([*one, np.nan]).absent) == (8, 1)
    # Two one-sided tests: the interval lies within the margin exactly from this level on.
    ends = [stats.ttest_1samp(one, -5.0, alternative="greater"), stats.ttest_1samp(one, 5.0, alternative="less")]
    assert paired(one - one.mean()).p_value(5.0) < 0.05
    assert paired(one).p_value(5.0, NO_WORSE) == pytest.approx(2.0 * ends[0].pvalue)


@pytest.mark.parametrize("kind", [MORE, NO_WORSE])
def test_the_p_value_is_the_level_at_which_the_interval_decides(kind):
    rng = np.random.default_rng(2)
    for mean in (-0.3, -0.02, 0.0, 0.1, 0.4):
        for effect in (
            welch(rng.normal(mean, 0.1, (200, 6)), rng.normal(0.0, 0.2, (200, 9))),
            least([welch(rng.normal(mean, 0.1, (200, 6)), rng.normal(0.0, 0.1, (200, 6))) for _ in range(3)]),
        ):
            p_values = effect.p_value(MARGIN, kind)
            for alpha in (0.01, 0.05, 0.2):
                decided = answer(*effect.interval(alpha), MARGIN, kind=kind) != OPEN
                np.testing.assert_array_equal(decided, p_values <= alpha)


def test_equal_values_have_no_width():
    assert [float(end) for end in paired([1.0, 1.0, 1.0]).interval(0.05)] == [1.0, 1.0]
    assert float(paired([1.0, 1.0, 1.0]).p_value(0.1)) == 0.0 and float(paired([0.0] * 3).p_value(0.1)) == 0.0


def test_holm_by_hand():
    # 0.01 <= 0.05/3, 0.02 <= 0.05/2, 0.2 > 0.05; after a failure all others keep its level.
    np.testing.assert_allclose(holm([0.2, 0.01, 0.02]), [0.05, 0.05 / 3, 0.025])
    np.testing.assert_allclose(holm([0.03, 0.04, 0.2]), [0.05 / 3] * 3)


def test_the_highest_of_all_is_above_each():
    rng = np.random.default_rng(3)
    one = rng.normal(1.0, 0.01, 10)
    effect = least([welch(one, rng.normal(level, 0.01, 10)) for level in (0.5, 0.9)])
    assert float(effect.mean) == pytest.approx(0.1, abs=0.02)
    assert answer(*effect.interval(0.05), MARGIN) == REPRODUCED


# -- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "upper", "printed", "kind", "given"),
    [
        (0.05, 0.20, np.nan, MORE, REPRODUCED),
        (0.05, 0.13, PRINTED, MORE, REPRODUCED),
        (0.13, 0.20, PRINTED, MORE, REPRODUCED),
        (0.01, 0.11, PRINTED, MORE, SMALLER),
        (-0.05, 0.05, PRINTED, MORE, NONE),
        (0.01, 0.05, PRINTED, MORE, NONE),
        (-0.05, -0.01, PRINTED, MORE, NONE),
        (-0.20, -0.01, PRINTED, MORE, CONTRADICTED),
        (-0.20, 0.01, PRINTED, MORE, OPEN),
        (np.nan, np.nan, PRINTED, MORE, OPEN),
        (-0.05, 0.20, np.nan, NO_WORSE, REPRODUCED),
        (-0.20, -0.07, np.nan, NO_WORSE, CONTRADICTED),
        (-0.20, 0.01, np.nan, NO_WORSE, OPEN),
    ],
)
def test_answers_by_hand(lower, upper, printed, kind, given):
    assert answer(lower, upper, MARGIN, printed, kind) == given


TRUTHS = {REPRODUCED: PRINTED, SMALLER: PRINTED / 2.0 + 0.02, NONE: 0.0, CONTRADICTED: -0.1}


def _drawn(truth, std, seeds=10, draws=1000, seed=4):
    rng = np.random.default_rng(seed)
    effect = welch(rng.normal(truth, std, (draws, seeds)), rng.normal(0.0, std, (draws, seeds)))
    return answer(*effect.interval(0.05), MARGIN, PRINTED)


def _wrong(given, truth):
    """Where an answer says something false of the true effect."""
    says = {
        REPRODUCED: truth > 0.0,
        SMALLER: 0.0 < truth < PRINTED,
        NONE: abs(truth) <= MARGIN,
        CONTRADICTED: truth < 0.0,
        OPEN: True,
    }
    return np.isin(given, [name for name, is_true in says.items() if not is_true])


@pytest.mark.parametrize(("given", "truth"), TRUTHS.items())
def test_each_answer_is_found_where_it_is_true(given, truth):
    found = _drawn(truth, std=0.02)
    assert np.mean(found == given) > 0.9, dict(zip(*np.unique(found, return_counts=True), strict=True))


def test_great_noise_leaves_open():
    assert np.mean(_drawn(0.03, std=1.0) == OPEN) > 0.9


@pytest.mark.parametrize("truth", [-0.1, -MARGIN, -0.01, 0.0, 0.01, MARGIN, 0.08, PRINTED, 0.2])
@pytest.mark.parametrize("std", [0.005, 0.02, 0.05, 0.2])
def test_wrong_answers_are_as_rare_as_the_level_says(truth, std):
    wrong = _wrong(_drawn(truth, std), truth)
    # Four standard errors of 1,000 draws.
    assert wrong.mean() <= 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / 1000)


def test_within_a_claim_the_level_is_that_of_all_statements_together():
    rng = np.random.default_rng(5)
    effects = welch(rng.normal(size=(1000, 8, 10)), rng.normal(size=(1000, 8, 10)))
    p_values = effects.p_value(0.0)
    false = [(row <= holm(row)).any() for row in p_values]
    assert np.mean(false) <= 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / 1000)
    assert np.mean((p_values <= 0.05).any(axis=1)) > 0.2


def test_deciding_again_with_more_seeds_keeps_the_level():
    values = np.random.default_rng(8).normal(size=(20000, 60))
    looks = np.stack([paired(values[:, :count]).p_value(0.0) for count in (5, 30, 60)])
    assert (looks <= verdict.ERROR).any(axis=0).mean() > 0.1
    assert (looks <= verdict.ERROR / len(looks)).any(axis=0).mean() <= 0.05


def test_one_seed_more_hardly_ever_turns_one_answer_into_another():
    rng = np.random.default_rng(6)
    for truth in (*TRUTHS.values(), 0.03):
        samples = rng.normal(truth, 0.05, (1000, 11)), rng.normal(0.0, 0.05, (1000, 11))
        before, after = (
            answer(*welch(*(each[:, :count] for each in samples)).interval(0.05), MARGIN) for count in (10, 11)
        )
        turned = (before != after) & (before != OPEN) & (after != OPEN)
        assert turned.mean() < 0.02
        assert not (
            (before == REPRODUCED) & (after == CONTRADICTED) | (before == CONTRADICTED) & (after == REPRODUCED)
        ).any()


def test_the_seeds_that_an_open_statement_needs_would_decide_it():
    rng = np.random.default_rng(7)
    one, other = rng.normal(0.05, 0.1, 10), rng.normal(0.0, 0.1, 10)
    effect = welch(one, other)
    assert answer(*effect.interval(0.05), MARGIN) == OPEN
    needed = int(effect.needed(0.05, MARGIN))
    for count, is_open in ((needed - 1, True), (needed, False)):
        scaled = replace(effect, errors=effect.errors * np.sqrt(10 / count), freedom=effect.freedom * (count - 1) / 9)
        assert (answer(*scaled.interval(0.05), MARGIN) == OPEN) == is_open
    # No difference at all, beside a margin of 0, is never decided.
    assert paired([-1.0, 1.0] * 5).needed(0.05, 0.0) == float("inf")


# -- claims ----------------------------------------------------------------------------------------------

DEFAULT = (OURS, "default")


def test_synthetic_runs_with_each_answer(statements):
    # CPO-MADDPG earns 0.15 more than all but MATD3, which earns 0.1 more than it, and MAPPO, which earns the same.
    levels = {DEFAULT: 1.15, ("matd3", "default"): 1.25, ("mappo", "default"): 1.15}
    found = answers(statements, _runs(reward=levels), 1)
    assert found == {"1a": REPRODUCED, "1b": REPRODUCED, "1c": CONTRADICTED, "1d": NONE, "1e": REPRODUCED}
    assert answers(statements, _runs(reward=levels), 37)["37a"] == REPRODUCED
    small = answers(statements, _runs(noise=0.005, reward={DEFAULT: 1.08}), 37)
    assert set(small.values()) == {SMALLER}
    assert set(answers(statements, _runs(noise=0.5, reward={}), 1).values()) == {OPEN}


def test_the_verdict_follows_from_the_statements():
    yes, no = True, False
    assert verdict.headline([REPRODUCED, REPRODUCED], [yes, yes]) == REPRODUCED
    assert verdict.headline([REPRODUCED, SMALLER], [yes, yes]) == SMALLER
    assert verdict.headline([CONTRADICTED, CONTRADICTED], [yes, yes]) == CONTRADICTED
    assert verdict.headline([REPRODUCED, NONE, OPEN], [yes, yes, yes]) == verdict.MIXED
    assert verdict.headline([SMALLER, NONE], [yes, yes]) == verdict.MIXED
    # Open statements could still change this one.
    assert verdict.headline([REPRODUCED, OPEN], [yes, yes]) == OPEN
    assert verdict.headline([OPEN, OPEN], [yes, yes]) == OPEN
    assert verdict.headline([REPRODUCED, OPEN], [no, no]) == verdict.UNTESTABLE
    assert verdict.headline([REPRODUCED, OPEN], [yes, no]) == REPRODUCED
    assert verdict.listed(pd.Series({"1a": OPEN, "1b": REPRODUCED, "1c": OPEN})) == "reproduced 1b; open 1a, 1c"


def test_the_optimum_fills_in_what_the_runs_leave_open():
    decided = pd.DataFrame(
        {
            "claim": 1,
            "label": "",
            "reason": "",
            "answer": [REPRODUCED, OPEN, OPEN],
            "optimum": [NONE, REPRODUCED, NOT_IDENTIFIED],
        },
        index=["1a", "1b", "1c"],
    )
    assert verdict.with_optimum(decided).tolist() == [REPRODUCED, REPRODUCED, OPEN]
    found = verdict.headlines(decided[:2]).loc[1]
    assert found["verdict"] == OPEN and found["with_optimum"] == REPRODUCED
    assert found["statements"] == "reproduced 1a; open 1b"
    # What neither the runs nor the optimum identify does not count, unless nothing else does.
    assert verdict.headlines(decided).loc[1, "with_optimum"] == REPRODUCED
    assert verdict.headlines(decided[2:]).loc[1, ["verdict", "with_optimum"]].tolist() == [OPEN, verdict.UNTESTABLE]


@pytest.mark.parametrize(("claim", "error"), [(10, 0.05), (26, 0.05 / 3)])
def test_a_claim_that_was_decided_thrice_has_a_third_of_the_error(statements, claim, error):
    found = verdict.decide(statements[statements["claim"] == claim], _runs())
    assert (1.0 - found["confidence"]).max() == pytest.approx(error)


def test_further_seeds_count_among_the_many_and_once():
    names = ["default", "a+many_seeds", "a+more_seeds", "a+more_seeds"]
    table = pd.DataFrame({"algorithm": OURS, "scenario": names, "seed": [1, 1, 9, 1], "reward": [0, 1, 2, 3]})
    parts = split(stored.pooled(table))
    assert {key[1]: list(part["reward"]) for key, part in parts.items()} == {"default": [0], "a+many_seeds": [1, 2]}


def test_missing_runs_leave_a_claim_open(statements):
    found = verdict.decide(statements[statements["claim"] == 1], _runs(missing=[("matd3", "default")]))
    assert set(found["answer"]) == {OPEN} and set(found["reason"]) == {"no runs of matd3 in default"}
    few = _runs(seeds=4)
    assert set(answers(statements, few, 1).values()) == {OPEN}
    for reason in ("no runs of matd3 in default", "not the paper's setting: devices = 8, printed 20"):
        assert verdict.headlines(found.assign(reason=reason, optimum="")).loc[1, "reason"].startswith(reason)
    assert "4 of 10 planned seeds" in verdict.decide(statements, replace(few, planned=10)).loc["1a", "reason"]


def test_a_seed_that_requests_nothing_has_no_rate(statements):
    runs = _runs(sor={DEFAULT: 2.0})
    table = runs.summary[("matd3", "default")]
    table.loc[table["seed"] <= 3, "sor"] = np.nan
    found = verdict.decide(statements[statements["claim"] == 9], runs).loc["9c"]
    assert found["seeds"] == 7 and found["reason"] == "3 seeds without a value" and found["answer"] == REPRODUCED
    table.loc[table["seed"] <= 6, "sor"] = np.nan
    found = verdict.decide(statements[statements["claim"] == 9], runs).loc["9c"]
    assert found["answer"] == OPEN and np.isnan(found["lower"]) and found["reason"] == "6 seeds without a value"


def test_speed_order_and_counts_follow_the_runs(statements):
    slow = {(name, "default"): 800.0 for name in stored.LEARNERS}
    assert set(answers(statements, _runs(speed=slow), 2).values()) == {REPRODUCED}
    assert set(answers(statements, _runs(speed={DEFAULT: 800.0}), 2).values()) == {CONTRADICTED}
    falling = {(OURS, name): 1.0 - 0.1 * k for k, name in enumerate(stored.ATTACKERS.values())}
    assert set(answers(statements, _runs(reward=falling), 22).values()) <= {REPRODUCED, SMALLER}
    # One insecure offload anywhere is enough against claim 33.
    runs = _runs()
    assert answers(statements, runs, 33) == {"33a": REPRODUCED}
    runs.summary[("mappo", "battery_9")].loc[:, "insecure_offloads"] = [0.0] * 9 + [1.0]
    assert answers(statements, runs, 33) == {"33a": CONTRADICTED}
    # An experiment in another game than the paper's does not count, and takes no answer away.
    elsewhere = replace(runs, unlike=lambda scenario: "another battery" if scenario == "battery_9" else "")
    assert answers(statements, elsewhere, 33) == {"33a": REPRODUCED}


def test_a_multiplier_that_only_rises_does_not_fall_again(statements):
    assert answers(statements, _runs(), 28) == {"28a": REPRODUCED, "28b": NONE, "28c": REPRODUCED}
    runs = _runs()
    curve = runs.curves[(OURS, stored.DYNAMIC)]
    curve.loc[curve["episode"] == EPISODES[10], "multiplier"] = 1.3
    assert answers(statements, runs, 28)["28b"] == REPRODUCED


def test_the_time_of_an_update_is_compared_pair_by_pair(statements):
    runs = _runs()
    for theirs, given in (([11.0, 22.0, 11.1, 11.0, 11.2], REPRODUCED), ([6.0, 12.0, 6.1, 6.0, 6.2], CONTRADICTED)):
        runs.update_times.update({OURS: [12.0, 24.0, 12.1, 12.2, 11.9], "maddpg": theirs})
        assert answers(statements, runs, 34) == {"34a": given}
    runs.update_times.clear()
    assert answers(statements, runs, 34) == {"34a": OPEN}


def test_another_reading_looks_at_its_own_runs_and_falls_back_where_there_are_none(statements):
    runs = _runs(reward={DEFAULT: 1.2})
    runs.summary[(OURS, "reading_X")] = runs.summary[DEFAULT].assign(reward=0.5)
    seen = runs.view({"default": "reading_X"}, {"default": "default"})
    assert seen.values("reward").tolist() == [0.5] * 10
    assert set(answers(statements, seen, 1).values()) == {CONTRADICTED}
    assert runs.values("reward").mean() > 1.0


# -- the optimum -----------------------------------------------------------------------------------------


def test_the_optimum_covers_every_choice_among_the_near_best_policies(statements):
    def near(rewards, rates):
        return pd.DataFrame({"game": "default", "cost_limit": 0.4, "energy": 0.4, "reward": rewards, "sor": rates})

    policies = optimum.standing_for(near([1.2, 1.19], [0.7, 1.0]), near([1.3, 1.29], [0.9, 0.9]), near([-0.2], [0.5]))
    found = optimum.settle(statements, policies)
    # That the limit is kept was asked of those that stand for CPO-MADDPG, not of those for MADDPG.
    assert "39a" not in found.index
    assert found.loc["1b"].tolist() == [CONTRADICTED, *(pytest.approx(x) for x in (-0.1, -0.11, -0.09))]
    assert found.loc["1a"].tolist() == [NONE, *(pytest.approx(x, abs=1e-12) for x in (0.0, -0.01, 0.01))]
    assert found.loc["9b"].tolist() == [NOT_IDENTIFIED, *(pytest.approx(x) for x in (-0.2, -0.2, 0.1))]
    # The highest of all, with every reward free to vary: least differences from -0.11 to -0.09.
    assert found.loc["13a"].tolist() == [CONTRADICTED, *(pytest.approx(x) for x in (-0.1, -0.11, -0.09))]
    assert {"2a", "10a", "33a", "34a"}.isdisjoint(found.index)


# -- the stored runs -------------------------------------------------------------------------------------


def test_no_stored_row_contradicts_its_own_interval(root):
    table = pd.read_csv(root / "data" / "runs" / "statements.csv")
    for row in table.itertuples():
        assert answer(row.lower, row.upper, row.margin, row.printed, row.kind) == row.answer, row.id
        assert np.isnan(row.lower) or row.lower <= row.effect <= row.upper, row.id
        if row.answer == OPEN and row.kind == MORE and np.isfinite(row.lower):
            assert row.lower <= 0.0 <= row.upper and max(-row.lower, row.upper) > row.margin, row.id
    assert set(table["answer"]) <= set(ANSWERS)


def test_deleting_stored_runs_turns_answers_into_open_and_never_into_another(statements, own):
    runs, before = own
    rng = np.random.default_rng(8)
    experiments = sorted(key for key in runs.summary if key[1] in {name for _, name in _experiments()})
    for place in rng.choice(len(experiments), 12, replace=False):
        key = experiments[place]
        tables = {"summary": dict(runs.summary), "curves": dict(runs.curves)}
        for table in tables.values():
            table[key] = table[key][table[key]["seed"] > 1]
        after = verdict.decide(statements, replace(runs, **tables))
        changed = after["answer"] != before["answer"]
        assert set(after.loc[changed, "answer"]) <= {OPEN}, key
    none = verdict.decide(statements, replace(runs, summary={}, curves={}, update_times={}))
    assert set(none["answer"]) == {OPEN}


def test_one_seed_more_changes_only_intervals_and_what_follows_from_them(statements, own):
    runs, after = own
    seeds = sorted(runs.summary[DEFAULT]["seed"])

    def without_last(tables):
        return {key: table[table["seed"] != seeds[-1]] for key, table in tables.items()}

    fewer = replace(
        runs, summary=without_last(runs.summary), curves=without_last(runs.curves), planned=len(seeds) - 1, least=3
    )
    before = verdict.decide(statements, fewer)
    follows = [*verdict.COLUMNS]
    pd.testing.assert_frame_equal(before.drop(columns=follows), after.drop(columns=follows))
    opposite = (before["answer"] == REPRODUCED) & (after["answer"] == CONTRADICTED)
    opposite |= (before["answer"] == CONTRADICTED) & (after["answer"] == REPRODUCED)
    assert not opposite.any()


def test_every_statement_has_a_rule_and_every_claim_a_heading_that_shows_it(root, statements):
    claims = verdict.read_claims(root)
    assert list(rules.RULES) == list(statements.index)
    assert sorted(claims.index) == list(range(1, 40)) == sorted(statements["claim"].unique())
    decided = verdict.decide(statements, _runs())
    assert not decided["reason"].str.startswith("no ").any()
    for number, place in claims["evidence"].items():
        book, heading = place.split("#")
        cells = nbformat.read(root / "notebooks" / book, as_version=4).cells
        lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
        anchors = [line.lstrip("#").split(":")[0].strip().replace(" ", "-") for line in lines if line.startswith("## ")]
        assert heading in anchors, (number, anchors)


def test_each_margin_has_a_size_and_a_reason(statements):
    assert (statements["margin"] > 0.0).all() and (statements["margin_reason"].str.len() > 10).all()
    assert set(statements["kind"]) == {MORE, NO_WORSE}
    labels = set(statements["label"]) - {""}
    assert labels and all(label.startswith(("by construction: ", "untestable here: ")) for label in labels)
