"""How trainings went: last points, collapsed runs, multipliers, pictures, and the notebooks that show all this."""

import json
from itertools import combinations
from statistics import median

import numpy as np
import pandas as pd
import pytest
import torch

from mecpaper import config
from mecpaper.report import training
from mecpaper.store import results
from mecpaper.training import small

NAMES = ("cpo_maddpg", "maddpg", "lmaddpg", "matd3", "mappo", "random")


def run(scenario, seed, rewards, **last):
    """A curve with points at episodes 0, 10, 20, ...; `last` are measures of its last point, elsewhere 0.4."""
    rows = pd.DataFrame({"reward": rewards}).assign(
        algorithm="x", scenario=scenario, seed=seed, energy=0.4, offload_share=0.4, saturated=0.4
    )
    rows["episode"] = 10 * rows.index
    for name, value in last.items():
        rows.loc[rows.index[-1], name] = value
    return rows


@pytest.fixture()
def curves():
    """Two scenarios, not in alphabetical order, with two seeds each, interleaved as training writes them."""
    table = pd.concat(
        [run("users", 1, [0.0, 1.0, 2.0], energy=0.2), run("users", 2, [0.0, 3.0, 4.0], energy=0.6),
         run("base", 1, [0.0, 5.0, 6.0]), run("base", 2, [0.0, 7.0, 1.0])]
    )  # fmt: skip
    order = table["scenario"].map({"users": 0, "base": 1})
    return table.assign(order=order).sort_values(["order", "episode", "seed"]).drop(columns="order")


def test_last_points_are_those_of_the_highest_episode_of_each_run(curves):
    last = training.last_points(curves)
    assert list(last.index) == [("users", 1), ("users", 2), ("base", 1), ("base", 2)]
    assert last["reward"].tolist() == [2.0, 4.0, 6.0, 1.0] and set(last["episode"]) == {20}
    longer = pd.concat([curves, run("base", 3, [0.0, 1.0, 2.0, 9.0])])
    assert training.last_points(longer).loc[("base", 3), "reward"] == 9.0


def test_the_outcome_is_the_mean_over_seeds_in_the_order_of_the_curves(curves):
    table = training.outcome(curves)
    assert list(table.index) == ["users", "base"]
    assert table["reward"].tolist() == [3.0, 3.5] and table["energy"].tolist() == [0.4, 0.4]
    # A learner without a critic has no critic's columns.
    assert list(table.columns) == ["reward", "energy", "offload_share", "saturated"]


def test_a_run_collapses_by_offloading_nothing_saturation_or_a_poor_reward(curves):
    # In "base" the second seed ends at 1, below a quarter of the best, 6.
    assert training.collapsed(curves) == ["base seed 2"]
    sound = [1.0, 1.0, 1.0]
    cases = {
        "local": run("a", 1, sound, offload_share=0.0),
        "stuck": run("b", 1, sound, saturated=0.51),
        "at the threshold": run("c", 1, sound, saturated=0.5),
    }
    assert training.collapsed(pd.concat(cases.values())) == ["a seed 1", "b seed 1"]
    edge = pd.concat([run("d", 1, sound), run("d", 2, [1.0, 1.0, 0.25]), run("d", 3, [1.0, 1.0, 0.24])])
    assert training.collapsed(edge) == ["d seed 3"]


def test_rewards_below_zero_are_not_compared_and_random_has_no_saturation():
    table = pd.concat([run("a", 1, [-1.0, -1.0]), run("a", 2, [-9.0, -9.0])])
    assert training.collapsed(table) == []
    assert training.collapsed(table.drop(columns="saturated")) == []


def test_the_multiplier_is_averaged_over_the_second_half():
    shares = {"multiplier": [0.0, 0.9, 0.2, 0.4], "multiplier_at_zero": [1.0, 1.0, 0.5, 0.0], "multiplier_at_max": 0.1}
    table = run("a", 1, [0.0] * 4).assign(**shares)
    # Episodes 0, 10, 20, 30: 20 and 30 lie beyond 15.
    (row,) = training.multiplier_shares(table).to_dict("records")
    assert row == pytest.approx({"multiplier": 0.3, "multiplier_at_zero": 0.25, "multiplier_at_max": 0.1})
    # A scenario that is trained longer has a second half of its own.
    longer = run("b", 1, [0.0] * 8).assign(**{name: 0.7 for name in shares})
    both = training.multiplier_shares(pd.concat([table, longer]))
    assert both["multiplier"].to_dict() == pytest.approx({"a": 0.3, "b": 0.7})


def test_a_panel_per_measure_with_every_seed_and_the_limit_beside_the_energy_alone(curves):
    summary = pd.DataFrame({"scenario": ["users", "users", "base"], "cost_limit": [0.3, 0.5, 9.0]})
    figure = training.draw_runs(curves.assign(multiplier=0.5), summary, ("reward", "energy", "multiplier"), "users")
    reward, energy, multiplier = figure.axes
    assert [len(axes.get_lines()) for axes in (reward, energy, multiplier)] == [3, 4, 3]
    assert np.asarray(energy.get_lines()[-1].get_ydata()) == pytest.approx(0.4)
    assert reward.get_lines()[1].get_ydata().tolist() == [0.0, 3.0, 4.0]
    assert reward.get_lines()[2].get_ydata().tolist() == [0.0, 2.0, 3.0]
    assert reward.get_title(loc="left") == "ends at 3.00, single seeds 2.00 to 4.00"


def test_curves_that_grow_have_a_line_per_scenario(curves):
    reward, _ = training.draw_growth(curves).axes
    assert [line.get_ydata().tolist() for line in reward.get_lines()] == [[0.0, 6.0, 3.5], [0.0, 2.0, 3.0]]
    assert reward.get_title(loc="left") == "2 begun, now base"


def test_the_diagnosis_lists_the_outcome_and_the_runs_that_collapsed(curves):
    told = training.diagnosis(curves)
    assert "| users | 3 | 0.4 | 0.4 | 0.4 |" in told and told.endswith("Collapsed (1): base seed 2.")
    assert training.diagnosis(run("a", 1, [1.0, 1.0])).endswith("No run has collapsed.")


def test_curves_of_experiments_come_in_their_order_and_only_if_they_are_theirs(root, tmp_path, settings):
    chosen = [config.resolve(settings, "maddpg", name) for name in ("battery_9", "default")]
    table = results.read_experiments(root, chosen, "summary")
    assert table["scenario"].unique().tolist() == ["battery_9", "default"] and set(table["algorithm"]) == {"maddpg"}
    assert table.index.is_unique
    with pytest.raises(FileNotFoundError, match="maddpg/battery_9, maddpg/default not stored"):
        results.read_experiments(tmp_path, chosen, "curves")
    other = config.resolve(settings, "maddpg", "default", seeds=[1])
    with pytest.raises(FileNotFoundError, match="maddpg/default not stored"):
        results.read_experiments(root, [other], "curves")


# -- the small game of the training notebooks ----------------------------------------------------------------


def test_the_small_game_is_the_default_one_but_for_its_size(settings):
    for name in NAMES:
        experiment = small.experiment(settings, name)
        changed = {
            key for key in settings.game.model_dump() if getattr(experiment.game, key) != getattr(settings.game, key)
        }
        assert changed == {"devices", "chunks", "slots", "cost_limit_fraction"}
        per_chunk = experiment.game.cost_limit_fraction / experiment.game.chunks
        assert per_chunk == pytest.approx(settings.game.cost_limit_fraction / settings.game.chunks)


@pytest.mark.parametrize("name", ["cpo_maddpg", "maddpg", "lmaddpg", "matd3"])
def test_an_update_is_the_same_twice_and_differs_from_none(settings, name):
    experiment = small.experiment(settings, name)
    fresh = small.learner(experiment)
    assert fresh.updates == 0 and fresh.replay.size == small.ENVS * small.SLOTS
    assert fresh.excess.mean() > 0, "the notebooks show a multiplier that moves"
    assert small.agree(small.updated(experiment), small.updated(experiment))
    assert not small.agree(fresh, small.updated(experiment))
    assert small.updated(experiment, updates=3).updates == 3


def test_states_that_differ_in_a_bit_do_not_agree(settings):
    first, second = (small.learner(small.experiment(settings, "maddpg")) for _ in range(2))
    assert small.agree(first, second)
    with torch.no_grad():
        weight = second.actors.weights[0].view(-1)
        weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
    assert not small.agree(first, second)


# -- the notebooks -----------------------------------------------------------------------------------------


def sources(root):
    """Code of the training notebooks by name, cell by cell."""
    return {
        path.stem: [
            "".join(cell["source"]).strip()
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
        for path in sorted((root / "notebooks").glob("1?_train_*.ipynb"))
    }


def test_training_notebooks_share_nothing_longer_than_a_call(root):
    books = sources(root)
    assert {stem.split("_train_")[1] for stem in books} == set(NAMES)
    shared = {code for one, other in combinations(books.values(), 2) for code in set(one) & set(other)}
    assert [code for code in shared if "\n" in code] == []
    assert set.intersection(*map(set, books.values())) <= {"Markdown(training.diagnosis(curves))"}


def test_training_notebooks_are_short_cells_that_run_the_learner(root):
    for stem, cells in sources(root).items():
        assert median(len(code.splitlines()) for code in cells) <= 5, stem
        key = stem.split("_train_")[1]
        assert sum(f'trained("{key}", training.draw_growth)' in code for code in cells) == 1, stem


def test_every_explanation_is_compared_with_the_learners_own_update(root):
    for path in sorted((root / "notebooks").glob("1[0-4]_train_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        compared = [cell for cell in cells if "small.agree(" in "".join(cell["source"])]
        (text,) = ["".join(output["data"]["text/plain"]) for cell in compared for output in cell["outputs"]]
        assert text == "True", path.stem


def test_scenarios_are_drawn_below_each_other_and_those_without_runs_are_left_out(curves, settings):
    curves = curves.assign(scale="study")
    names = {"users": "more users", "base": "the default", "other": "never trained"}
    measures = ("reward", "late reward", "energy")
    figure = training.draw_scenarios(curves, names, measures, settings.figures, level=0.4)
    assert [axes.get_title() for axes in figure.axes] == ["", "the last 60 %", ""]
    for axes in figure.axes:
        assert {line.get_label() for line in axes.get_lines()} >= {"more users", "the default"}
        assert [text.get_text() for text in axes.texts].count("energy limit") == 1
    assert "never trained" not in figure.get_suptitle()
