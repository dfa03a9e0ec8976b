"""Near-best policies: the best plan first, and around it only what is as good and keeps the limit."""

import pandas as pd
import pytest

from mecpaper.policies import optimum

EFFORT = {"restarts": 1, "generations": 6, "seed": 7, "episodes": 2}


@pytest.fixture(scope="module")
def games(small):
    return {"default": small.game, "battery_9": small.game.changed(battery_capacity=9.0)}


@pytest.mark.parametrize("constrained", [True, False])
def test_near_best_policies_are_as_good_as_the_best_and_keep_the_limit(games, constrained):
    found = optimum.near_best(games, constrained, **EFFORT)
    assert list(found["game"].unique()) == list(games)
    for name, table in found.groupby("game"):
        assert table["reward"].iloc[0] == table["reward"].max()
        assert (table["reward"] >= table["reward"].max() - optimum.TOLERANCE).all()
        limit = 0.05 * games[name].battery_capacity
        assert table["cost_limit"].tolist() == pytest.approx([limit] * len(table)) and len(table) > 1
        if constrained:
            assert (table["energy"] <= (1.0 + optimum.EXCESS) * limit).all()


def test_the_search_is_repeatable_and_does_not_depend_on_the_games_beside_it(games):
    both = optimum.near_best(games, True, **EFFORT)
    alone = optimum.near_best({"default": games["default"]}, True, **EFFORT)
    pd.testing.assert_frame_equal(both[both["game"] == "default"], alone)


def test_random_play_is_that_of_each_game(games):
    found = optimum.random_play(games, seed=3, episodes=2).set_index("game")
    assert found["cost_limit"].to_dict() == {"default": pytest.approx(0.4), "battery_9": pytest.approx(0.45)}
    assert found.loc["default", "sor"] < 1.0 and found["energy"].notna().all()
