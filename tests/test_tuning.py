"""The search, which is the same for every learner: the rule for the winner, and rows that are kept."""

import json

import pandas as pd
import pytest

from mecpaper.config import Config, parse, resolve
from mecpaper.training import tuning


def trials(**means):
    rows = [
        {"algorithm": algorithm, "candidate": name, "seed": seed, "energy": energy, "cost_limit": 0.4}
        | {"reward": reward + off * (1.0 if name == "base" else 1.5)}
        for algorithm in ("cpo_maddpg", "maddpg")
        for name, (reward, energy) in means.items()
        for seed, off in enumerate((-0.01, 0.01))
    ]
    return pd.DataFrame(rows)


def test_the_best_reward_wins_and_a_constrained_learner_must_hold_the_limit():
    table = trials(base=(1.0, 0.39), greedy=(1.3, 0.5), good=(1.1, 0.405))
    assert tuning.choose(table, "maddpg", 0.02) == "greedy"
    assert tuning.choose(table, "cpo_maddpg", 0.02) == "good"
    assert tuning.choose(table, "cpo_maddpg", 0.0) == "base"
    assert tuning.choose(trials(base=(1.0, 0.5), other=(1.2, 0.6)), "cpo_maddpg", 0.02) == "base"
    # The base may be the one that does not keep it.
    assert tuning.choose(trials(base=(1.2, 0.5), other=(1.0, 0.3)), "cpo_maddpg", 0.02) == "other"


def test_a_gain_that_may_be_chance_is_none():
    # Gains of 0.045 and 0.055, then of 0.005 and -0.005 more than 0.004.
    assert tuning.choose(trials(base=(1.0, 0.3), other=(1.05, 0.3)), "maddpg", 0.02) == "base"
    assert tuning.choose(trials(base=(1.0, 0.3), other=(1.10, 0.3)), "maddpg", 0.02) == "other"
    one = trials(base=(1.0, 0.3), other=(1.1, 0.3)).query("seed == 0")
    assert tuning.choose(one, "maddpg", 0.02) == "base"


@pytest.fixture()
def tiny(small):
    data = small.model_dump()
    data["scales"][data["scale"]] |= {"episodes": 4, "curve_every": 4}
    data["tuning"] |= {"seeds": [5], "share": {"off_policy": 1.0, "mappo": 1.0}}
    data["tuning"]["off_policy"] = {"base": {}, "slow": {"learning": {"actor_learning_rate": 1e-5}}}
    data["tuning"]["mappo"] = {"base": {}}
    return data


def test_a_candidate_is_the_default_experiment_with_its_changes_and_no_other(tiny):
    tiny["maddpg"]["learning"] = {"actor_learning_rate": 1e-4}
    config = parse(Config, tiny)
    found = tuning.candidates(config)
    learners = ("cpo_maddpg", "lmaddpg", "maddpg", "matd3")
    assert list(found) == [*((key, name) for key in learners for name in ("base", "slow")), ("mappo", "base")]
    for (algorithm, name), experiment in found.items():
        default = resolve(config, algorithm, "default", [5]).numbers
        rate = 1e-5 if name == "slow" else config.learning.actor_learning_rate
        assert experiment.learning == config.learning.model_copy(update={"actor_learning_rate": rate})
        assert experiment.own.learning == ({"actor_learning_rate": 1e-5} if name == "slow" else {})
        assert experiment.scale.episodes == 4 and experiment.seeds == [5]
        changed = {key for key, value in experiment.numbers.items() if value != default[key]}
        assert changed <= {"learning", "own", "scale"}


def test_every_candidate_is_trained_once_and_kept(tiny, tmp_path, monkeypatch):
    params = tmp_path / "params.yaml"
    params.write_text(json.dumps(tiny))
    first = tuning.search(tmp_path)
    assert len(first) == 4 * 2 + 1
    assert set(first["seed"]) == {5}
    keys = {label: experiment.key for label, experiment in tuning.candidates(parse(Config, tiny)).items()}
    assert dict(zip(zip(first["algorithm"], first["candidate"], strict=True), first["key"], strict=True)) == keys
    # Nothing is trained a second time, and an algorithm's own settings do not reach the search.
    monkeypatch.setattr(tuning, "trial", None)
    tiny["maddpg"]["learning"] = {"actor_learning_rate": 1e-4}
    params.write_text(json.dumps(tiny))
    again = tuning.search(tmp_path)
    assert again["key"].tolist() == first["key"].tolist()
    assert again["reward"].round(4).tolist() == first["reward"].round(4).tolist()
