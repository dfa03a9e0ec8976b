"""The explorer without a browser: what is computed, what is drawn, and every callback."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import save

from mecpaper import config, explorer
from mecpaper.config.tables import read_table
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.env.streams import generators
from mecpaper.explorer import live, panels, parts, playing, widgets
from mecpaper.explorer.state import attackers_of, game_of, operating_points, point_of, read_seeds, snippet, values_of
from mecpaper.policies.library import read_controllers, read_policies
from mecpaper.policies.planner import PLANNER
from mecpaper.policies.stored import StoredPolicy
from mecpaper.store import results
from mecpaper.store.files import write_atomically, write_table
from mecpaper.training.loop import Training
from tests.test_layers import graph


@pytest.fixture(scope="module")
def tensors(settings):
    """A policy of 20 devices as training keeps it, here untrained."""
    return Training(config.resolve(settings, "maddpg", "default", seeds=[1])).policy()


@pytest.fixture(scope="module")
def project(root, settings, tensors, tmp_path_factory):
    """A project folder with one policy, whatever data/runs holds at the moment."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", "dvc.yaml", "data/paper/reported.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((root / name).read_text())
    place = results.folder_of(folder, config.resolve(settings, "maddpg", "default"))
    write_atomically(place / "policy.safetensors", save(tensors))
    return folder


@pytest.fixture
def bare(root, tmp_path):
    """A project folder where nothing was trained."""
    for name in ("params.yaml", "dvc.yaml", "data/paper/reported.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((root / name).read_text())
    return tmp_path


@pytest.fixture(scope="module")
def policies(project, settings):
    return read_controllers(project, settings)


@pytest.fixture(scope="session")
def strong(settings):
    """Gains of the paper's strongest attacker, dB."""
    return tuple(settings.scenario("attacker_strong").gain_db)


@pytest.fixture
def default(settings):
    return explorer.state_of(settings.game, "maddpg/default")


@pytest.fixture
def app(settings, project):
    return explorer.Explorer(settings, project)


# -- states ------------------------------------------------------------------------------------------------


def test_a_state_is_a_game(settings, default, strong):
    assert game_of(settings, default) == settings.game
    attacked = replace(default, gain_db=strong)
    assert game_of(settings, attacked) == settings.scenario("attacker_strong")
    assert point_of(settings, settings.game) == "default"
    assert point_of(settings, game_of(settings, attacked)) == "attacker_strong"
    assert point_of(settings, game_of(settings, replace(default, gain_db=(strong[0], strong[1] - 1.0)))) is None


def test_operating_points_are_the_scenarios_that_the_sliders_reach(settings):
    points = operating_points(settings)
    assert {"default", "users_50", "battery_11", "harvest_05", "attacker_moderate"} <= set(points)
    assert not {"reading_D4", "multiplier_half", "long", "many_seeds"} & set(points)
    for game in points.values():
        for key, (_, _, minimum, maximum, *_) in parts.SLIDERS.items():
            for value in np.atleast_1d(getattr(game, key)):
                assert minimum <= value <= maximum


def test_the_papers_values_are_those_of_params_yaml(settings):
    users = [settings.scenario(name).devices for name in ("default", "users_30", "users_40", "users_50")]
    assert values_of(settings, "devices") == [(value, value) for value in users]
    batteries = [
        settings.scenario(name).battery_capacity for name in ("default", "battery_9", "battery_10", "battery_11")
    ]
    assert values_of(settings, "battery_capacity") == [(value, value) for value in batteries]
    names = ("attacker_weak", "attacker_moderate", "attacker_strong")
    attackers = {name: tuple(settings.scenario(name).gain_db) for name in names}
    assert attackers_of(settings) == attackers and values_of(settings, "gain_db") == list(attackers.values())
    # A scenario that changes a second constant, or is no attacker by name, is none of them.
    more = {"attacker_far": {"gain_db": [0.0, 2.0], "devices": 3}, "explored": {"gain_db": [5.0, 9.0]}}
    assert attackers_of(settings.model_copy(update={"scenarios": settings.scenarios | more})) == attackers


def test_a_state_that_cannot_be_played_is_refused_in_one_line(settings, default):
    with pytest.raises(config.ConfigError, match=r"^game.gain_db = \[-4.0, -1.0\]: the maximum must not be negative"):
        explorer.compute(settings, replace(default, gain_db=(-4.0, -1.0), controller="random"))
    with pytest.raises(
        config.ConfigError,
        match=r"^controller = 'nobody': one of random, random_offloading, all_request, always_local$",
    ):
        explorer.compute(settings, replace(default, controller="nobody"))


# -- policies ----------------------------------------------------------------------------------------------


def test_a_stored_policy_acts_as_the_trained_one(small):
    training = Training(config.resolve(small, "maddpg", "default"))
    stored = StoredPolicy.from_tensors("x", "maddpg", training.policy())
    game = Game([small.game], 3)
    observation = game.reset(generators([5], 0))
    expected = training.learner.act(observation.expand(2, -1, -1, -1))[:1]
    torch.testing.assert_close(stored.policy(game)(observation, observation), expected, atol=2e-3, rtol=0)


def test_other_numbers_of_devices_take_the_policies_in_turn(small):
    training = Training(config.resolve(small, "maddpg", "default"))
    stored = StoredPolicy.from_tensors("x", "maddpg", training.policy())
    game = Game([small.game.changed(devices=6)], 1)
    observation = game.reset(generators([5], 0))
    observation = observation[:, :, :1].expand_as(observation)
    action = stored.policy(game)(observation, observation)[0, 0]
    assert torch.equal(action[4], action[0]) and torch.equal(action[5], action[1])
    assert not torch.equal(action[1], action[0])
    fewer = Game([small.game.changed(devices=2)], 1)
    assert stored.policy(fewer)(observation[:, :, :2], observation).shape[2] == 2


def test_what_is_no_policy_is_refused_or_left_out(small, settings, tensors, tmp_path):
    with pytest.raises(config.ConfigError, match="policy 'x': no tensor"):
        StoredPolicy.from_tensors("x", "maddpg", {"layer.0": torch.ones(1, 2, 3)})
    with pytest.raises(config.ConfigError, match="policy 'x': tensors that do not fit"):
        StoredPolicy.from_tensors("x", "maddpg", tensors | {"observation.half": torch.ones(20, 3)})
    stored = StoredPolicy.from_tensors("x", "maddpg", tensors)
    with pytest.raises(config.ConfigError, match="maps 10 numbers to 15, the game needs 9 and 10"):
        stored.policy(Game([small.game]))
    for name, content in {"maddpg": save(tensors), "mappo": b"damaged"}.items():
        place = results.folder_of(tmp_path, config.resolve(settings, name, "default"))
        write_atomically(place / "policy.safetensors", content)
    other = results.folder_of(tmp_path, config.resolve(settings, "maddpg", "augmented"))
    write_atomically(other / "policy.safetensors", save(tensors))
    assert list(read_policies(tmp_path, settings)) == ["maddpg/default"]
    assert read_policies(tmp_path / "nowhere", settings) == {}


def test_what_params_yaml_says_can_be_shown(settings, bare):
    unequal = settings.game.changed(battery_capacity=[30.0] * 19 + [11.0])
    assert explorer.state_of(unequal, "random").battery_capacity == pytest.approx(29.05)
    game = settings.game.changed(battery_capacity=30.0, gain_db=[8.0, 25.0])
    app = explorer.Explorer(settings.model_copy(update={"game": game}), bare)
    assert app.state.gain_db == (8.0, 25.0) and app.state.battery_capacity == 30.0
    assert app.result.game == game


def test_a_policy_outside_its_training_says_so(settings, default, policies, strong):
    def said(**changes):
        return " ".join(explorer.compute(settings, replace(default, **changes), policies).notices)

    assert said() == ""
    gain, wide = ("{:g} to {:g}".format(*pair) for pair in (settings.game.gain_db, strong))
    assert said(gain_db=strong) == f"Outside the training range: g = {wide} dB (trained on {gain})."
    both = said(battery_capacity=11.0, harvest_fraction=0.15)
    assert "battery = 11 J (trained on 8)" in both and "harvest = 0.15 of it (trained on 0.1)" in both
    assert "a limit of 0.05 of the battery" in said(cost_limit_fraction=0.1)
    assert "device 21 uses the actor of device 1" in said(devices=30)
    assert "only the first 5 are used" in said(devices=5)
    assert said(gain_db=(8.5, 9.5)) == ""
    assert explorer.compute(settings, replace(default, controller="random", devices=7), policies).notices == ()


# -- results -----------------------------------------------------------------------------------------------


def test_the_measures_are_those_of_evaluation(settings, default, policies):
    result = explorer.compute(settings, default, policies)
    game = Game([settings.game], 16)
    expected = evaluate(policies["maddpg/default"].policy(game), game, [default.episodes])
    for name, value in expected.items():
        np.testing.assert_allclose(result.measures[name], float(value[0]), rtol=1e-6, err_msg=name)
    assert explorer.compute(settings, default, policies).measures == pytest.approx(result.measures, nan_ok=True)
    assert explorer.compute(settings, replace(default, episodes=2), policies).measures != result.measures


def test_the_arrays_agree_with_the_measures(settings, default, strong):
    state = replace(default, controller="all_request", gain_db=strong, harvest_fraction=0.05)
    result = explorer.compute(settings, state)
    slots, devices, chunks = settings.game.slots, 20, settings.game.chunks
    assert len(result.request_rate) == 16 * slots * devices * chunks
    assert result.request_done.mean() == pytest.approx(result.measures["sor"])
    assert np.mean(result.episode_sor) == pytest.approx(result.measures["sor"])
    assert (result.request_rate[result.request_done] > 0).all() and (result.request_rate <= 0).any()
    terms = result.terms
    np.testing.assert_allclose(terms["quality"] + terms["cost"] + terms["penalty"], terms["reward"], rtol=1e-4)
    assert terms["penalty"].min() < 0
    assert terms["reward"].mean() == pytest.approx(result.measures["reward"], rel=1e-5)
    assert result.energy[:, 0].mean() == pytest.approx(result.measures["energy"], rel=1e-5)
    assert (result.energy[:, 1] <= result.energy[:, 2]).all()
    np.testing.assert_allclose(result.offload.mean(0), [1.0, result.measures["offload_share"]], rtol=1e-5)
    assert result.battery.shape == (slots + 1, devices)
    assert (result.battery[0] == 8.0).all() and result.battery.min() >= 0.0 and result.battery.max() <= 8.0
    assert (result.cost_limit, result.threshold) == pytest.approx((0.4, 2.4))
    assert result.request_gain.min() >= strong[0] and result.request_gain.max() <= strong[1]


def test_the_local_control_takes_the_planners_settings(settings, default, root):
    state = replace(default, controller="always_local")
    planned = explorer.compute(settings, state, read_controllers(root, settings)).measures
    middling = explorer.compute(settings, state).measures
    assert planned["request_share"] == 0.0 and np.isnan(planned["sor"])
    assert planned["reward"] > middling["reward"]
    assert planned["energy"] <= 1.001 * settings.game.cost_limit_fraction * settings.game.battery_capacity


def test_the_planner_is_searched_once_in_the_background(small, bare):
    app = explorer.Explorer(small, bare)
    assert app.controller.options[-1] == (PLANNER, "planner")
    before = app.picture.value
    app.controller.value = "planner"
    assert "The planner searches" in app.notice.value or "planner" in app.policies
    search = app.search
    search.join(120)
    assert app.picture.value != before and app.result.label == PLANNER and app.notice.value == ""
    app.controller.value = "random"
    app.controller.value = "planner"
    assert app.search is search
    app.sliders["battery_capacity"].value = 9.0
    assert "Planned for the default setting" in app.notice.value
    assert app.snippet.value.count("cpo_maddpg:") == 1


def test_alone_only_the_error_of_the_gain_decides(settings):
    """No other device sends: always secure above p_e 10^(2 rho / 10), never below p_e (Eq. 12 without interference)."""
    game = settings.game.changed(eavesdropper_power=0.5)
    nothing, gain = torch.zeros(4, 2, 20, 3), torch.linspace(3.5, 16.0, 21)
    power, secure = playing.secure_plane(game, gain, nothing, nothing, nothing, 1)
    assert secure.shape == (len(gain), len(power))
    surely = 0.5 * 10.0 ** (2.0 * 0.1 * 10.0 / 10.0)
    assert (secure[:, power < 0.5] == 0).all() and (secure[:, power > surely] == 1).all()
    between = secure[:, (power > 0.5) & (power < surely)]
    assert 0 < between.mean() < 1
    # In dB the own gain cancels; with a linear error it does not.
    assert (secure == secure[:1]).all()
    _, linear = playing.secure_plane(game.changed(gain_error="linear"), gain, nothing, nothing, nothing, 1)
    assert not (linear == linear[:1]).all()


@pytest.mark.parametrize(
    "reading",
    [
        {"access": "orthogonal"},
        {"eavesdropper_gain": "independent"},
        {"listening_power": "user"},
        {"gain_error": "linear"},
        {"gain_set": "true_gain"},
    ],
)
def test_every_reading_has_a_plane(settings, default, reading):
    game = settings.game.changed(**reading)
    changed = settings.model_copy(update={"game": game})
    secure = explorer.compute(changed, replace(default, controller="all_request")).secure
    assert np.isfinite(secure).all() and secure.min() >= 0 and secure.max() <= 1
    if "listening_power" in reading:
        assert secure.max() < 0.5


# -- the picture -------------------------------------------------------------------------------------------


def texts(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_the_picture_shows_numbers_and_the_papers_points(settings, default, policies, root):
    reported = explorer.read_reported(root, settings)
    assert reported["attacker_strong", "sor"] == 0.7412 and reported[("users_50", "reward")] == 1.13
    result = explorer.compute(settings, default, policies)
    figure = explorer.draw(result, reported)
    assert isinstance(figure, Figure) and len(figure.axes) == 7
    shown = texts(figure)
    assert f"reward {result.measures['reward']:.2f}" in shown and "paper's reward 1.27" in shown
    assert "threshold 2.40 J" in shown and "limit 0.400 J" in shown
    elsewhere = explorer.compute(settings, replace(default, gain_db=(5.0, 9.0)), policies)
    assert "paper's reward" not in texts(explorer.draw(elsewhere, reported))


def test_a_figure_can_be_filled_again_and_again(settings, default):
    figure = panels.canvas()
    states = [replace(default, controller=name) for name in ("all_request", "always_local", "random", "all_request")]
    pictures = [panels.png(explorer.draw(explorer.compute(settings, s), None, figure)) for s in states]
    assert pictures[0] == pictures[3]
    assert len({*pictures}) == 3
    assert Image.open(io.BytesIO(pictures[0])).size == (1260, 640)


def test_a_search_that_fails_says_so_and_can_be_repeated(small, bare, monkeypatch):
    tried = []

    def fails(*arguments):
        tried.append(arguments)
        raise MemoryError

    monkeypatch.setattr(widgets, "find_plan", fails)
    app = explorer.Explorer(small, bare)
    for times in (1, 2):
        app.controller.value = "planner"
        for thread in threading.enumerate():
            if thread.name == "planner":
                thread.join(60)
        assert len(tried) == times and app.search is None
        assert "The search failed: MemoryError" in app.notice.value
        app.controller.value = "random"


def test_with_kept_frames_the_picture_is_the_same_but_where_lines_lie_on_axes(settings, default, policies):
    figure, layers = panels.canvas(), {}
    changes = ({}, {"battery_capacity": 3.0, "gain_db": (-4.0, 20.0)}, {"controller": "always_local"}, {})
    pictures = []
    for change in changes:
        explorer.draw(explorer.compute(settings, replace(default, **change), policies), None, figure)
        pictures.append(panels.png(figure, layers))
        kept, whole = (np.asarray(Image.open(io.BytesIO(one)), int) for one in (pictures[-1], panels.png(figure)))
        differs = np.abs(kept - whole).max(axis=-1) > 8
        for axes in figure.axes:
            left, bottom, right, top = axes.bbox.extents
            inside = differs[int(640 - top) : int(640 - bottom) - 3, int(left) + 3 : int(right) + 1]
            assert not inside.any()
        assert differs.mean() < 0.005
    assert pictures[0] == pictures[3]
    # What is turned a little keeps its axes.
    assert len(layers) < 7 * 3
    panels.png(
        explorer.draw(explorer.compute(settings, replace(default, battery_capacity=8.2), policies), None, figure),
        layers,
    )
    assert len(layers) < 7 * 3 + 4


@pytest.mark.parametrize(("value", "limit"), [(0.1, 0.1), (0.11, 0.12), (1.35, 1.5), (8.1, 10.0), (99.0, 100.0)])
def test_limits_of_axes_are_rounded_up(value, limit):
    assert panels.round_up(value) == pytest.approx(limit)


def test_without_requests_the_panels_say_so(settings, default):
    figure = explorer.draw(explorer.compute(settings, replace(default, controller="always_local")))
    assert texts(figure).count("no offload requests") == 2


# -- what can be rebuilt -----------------------------------------------------------------------------------


def merged(root, added):
    """params.yaml with the lines of a snippet under the sections that are there."""
    data = YAML(typ="safe", pure=True).load((root / "params.yaml").read_text())
    new = YAML(typ="safe", pure=True).load(added)
    data["scenarios"] |= new.get("scenarios", {})
    for algorithm, names in new["experiments"].items():
        data["experiments"][algorithm] = [*data["experiments"][algorithm], *names]
    data["policies"] = [*data["policies"], *new.get("policies", [])]
    return config.parse(config.Config, data)


def test_the_snippet_rebuilds_the_state(root, settings, default):
    state = replace(default, gain_db=(6.5, 12.0), battery_capacity=9.5, harvest_fraction=0.07, devices=24)
    state = replace(state, cost_limit_fraction=0.06)
    added = snippet(settings, state, "matd3")
    changed = merged(root, added)
    assert changed.scenario("explored") == game_of(settings, state)
    assert changed.experiments["matd3"][-1] == "explored" and changed.policies[-1] == "explored"
    # Explored again, it is a scenario like any other; another state then gets another name.
    assert "Nothing to add" in snippet(changed, state, "matd3")
    assert "explored_2:" in snippet(changed, replace(state, devices=25), "matd3")


def test_the_snippet_of_a_known_setting_adds_no_scenario(root, settings, default, strong):
    assert snippet(settings, default, "cpo_maddpg").startswith("# Nothing to add")
    added = snippet(settings, replace(default, gain_db=strong), "mappo")
    assert "scenarios" not in added
    assert merged(root, added).experiments["mappo"][-1] == "attacker_strong"
    assert "policies" not in snippet(settings, replace(default, devices=7), "random")


# -- a little training -------------------------------------------------------------------------------------


@pytest.fixture
def no_writing(monkeypatch):
    def refuse(path, content):
        raise AssertionError(f"{path} was to be written")

    users = [m for name, m in sys.modules.items() if name.startswith("mecpaper.") and hasattr(m, "write_atomically")]
    for module in users:
        monkeypatch.setattr(module, "write_atomically", refuse)
    assert results in users


@pytest.mark.parametrize("algorithm", live.LEARNERS)
def test_a_live_training_ends_with_a_policy_and_writes_nothing(small, algorithm, no_writing):
    state = replace(explorer.state_of(small.game, "random"), gain_db=(6.0, 12.0))
    reports = []
    training = live.LiveTraining(small, state, algorithm, 12, lambda: reports.append(training.status))
    training.start()
    training.join(60)
    assert training.status == "done" and training.problem == ""
    assert [point[0] for point in training.curve] == [0, 4, 8, 12]
    assert reports[-1] == "done" and len(reports) >= 2
    result = explorer.compute(small, replace(state, controller="live"), {"live": training.policy})
    assert result.notices == () and result.label.startswith("Trained here")
    assert len(live.draw_live(training).axes) == 3


def test_a_live_training_stops_after_the_round_under_way(small, no_writing):
    training = live.LiveTraining(small, explorer.state_of(small.game, "random"), "maddpg", 4000)
    training.report = lambda: len(training.curve) > 1 and training.stop()
    training.start()
    training.join(60)
    assert training.status == "stopped" and training.policy is not None
    assert training.curve[-1][0] < 100


def test_a_live_training_that_fails_says_why(small, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("reward is not finite\nat update 3")

    monkeypatch.setattr(live, "Training", broken)
    training = live.LiveTraining(small, explorer.state_of(small.game, "random"), "maddpg", 12)
    training.start()
    training.join(60)
    assert (training.status, training.problem, training.policy) == ("failed", "reward is not finite", None)


# -- the controls ------------------------------------------------------------------------------------------


def test_every_control_moves_the_picture_and_the_numbers(app):
    moves = {
        "gain_db": (6.5, 12.0), "battery_capacity": 11.0, "harvest_fraction": 0.02, "devices": 12,
        "cost_limit_fraction": 0.1,
    }  # fmt: skip
    app.controller.value = "random"  # it requests offloads, so that the gain matters
    for key, value in moves.items():
        before, numbers = app.picture.value, app.numbers.value
        app.sliders[key].value = value
        assert getattr(app.result.state, key) == value
        assert app.picture.value != before and app.numbers.value != numbers
    for control, value in ((app.controller, "all_request"), (app.episodes, 7)):
        before = app.picture.value
        control.value = value
        assert app.picture.value != before
    assert app.drawn == 9
    assert "All request, random power: g 6.5 to 12 dB, battery 11 J" in app.footer.value


def test_the_hints_name_the_papers_points_and_the_training(app, settings):
    game = settings.game
    for key in ("battery_capacity", "harvest_fraction", "devices"):
        values = ", ".join(f"{low:g}" for low, _ in values_of(settings, key))
        assert f"paper {values}; trained on {getattr(game, key):g}<" in app.hints[key].value
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in attackers_of(settings).values())
    assert f"paper {ranges}; trained on " + "{:g} to {:g}<".format(*game.gain_db) in app.hints["gain_db"].value
    assert f"paper {game.cost_limit_fraction:g}<" in app.hints["cost_limit_fraction"].value
    app.sliders["battery_capacity"].value = 12.0
    assert "Outside the training range: battery = 12 J" in app.notice.value
    app.controller.value = "random"
    assert app.notice.value == "" and "trained" not in app.hints["battery_capacity"].value


def test_impossible_input_is_answered_beside_its_control_or_cannot_be_entered(app):
    before = app.picture.value
    app.sliders["gain_db"].value = (-3.0, -1.0)
    assert 'class="mx-error">game.gain_db = [-3.0, -1.0]' in app.hints["gain_db"].value
    assert "mx-error" not in app.hints["devices"].value
    assert app.picture.value == before and "last valid setting" in app.footer.value
    app.live.start.click()
    assert "game.gain_db" in app.live.text.value and app.live.training is None
    app.sliders["gain_db"].value = (8.0, 10.0)
    assert "mx-error" not in app.hints["gain_db"].value
    app.sliders["devices"].value = 0
    app.sliders["battery_capacity"].value = -5.0
    assert (app.state.devices, app.state.battery_capacity) == (1, 1.0)


def test_a_problem_without_a_control_of_its_own_is_shown_as_well(app, monkeypatch):
    def fail(*arguments):
        raise config.ConfigError("game.chunks = 0: at least 1")

    monkeypatch.setattr(widgets, "compute", fail)
    app.sliders["devices"].value = 21
    assert "mx-error" in app.notice.value and "game.chunks = 0" in app.notice.value


def test_an_operating_point_sets_all_sliders_in_one_drawing(app, settings, root, strong):
    app.sliders["devices"].value = 30
    drawn = app.drawn
    with_loop(lambda: setattr(app.points, "value", "attacker_strong"))
    assert app.drawn == drawn + 1
    assert app.result.point == "attacker_strong" and app.state.gain_db == strong
    assert app.state.devices == settings.game.devices and app.points.value == ""
    printed = f"paper {explorer.read_reported(root, settings)['attacker_strong', 'reward']:.3f}"
    # The paper prints it for CPO-MADDPG; this policy is of MADDPG.
    assert printed not in app.numbers.value
    key = "cpo_maddpg/default"
    app.policies[key] = replace(app.policies["maddpg/default"], algorithm="cpo_maddpg")
    app.controller.options = [*app.controller.options, ("CPO-MADDPG", key)]
    app.controller.value = key
    assert printed in app.numbers.value


def test_a_move_is_said_and_undone(app):
    assert app.undo.disabled
    before = app.picture.value
    app.sliders["battery_capacity"].value = 9.0
    assert "Battery capacity, J: 8 → 9. " in app.change.value and "mean battery, J" in app.change.value
    app.controller.value = "random"
    assert "→ Random" in app.change.value
    app.undo.click()
    assert app.controller.value == "maddpg/default" and app.state.battery_capacity == 9.0
    app.undo.click()
    assert app.picture.value == before and app.undo.disabled


def test_a_controller_beside_another_is_drawn_and_numbered_and_undone(app):
    alone, numbers = app.picture.value, app.numbers.value
    app.beside.value = "always_local"
    assert app.picture.value != alone and " beside " in app.footer.value
    played = explorer.compute(app.settings, replace(app.state, controller="always_local"), app.policies)
    for key in ("reward", "energy"):
        assert f'<span class="mx-other">{played.measures[key]:.3f}</span>' in app.numbers.value
    assert app.result.label == app.policies["maddpg/default"].label
    app.sliders["battery_capacity"].value = 9.0
    local = app.policies["always_local"].label
    measured = r"mean battery, J [\d.]+ → [\d.]+"
    assert re.search(rf"J: 8 → 9\. .*{measured}.*\. {local}: .*{measured}", app.change.value)
    app.undo.click()
    app.undo.click()
    assert app.beside.value == "" and (app.picture.value, app.numbers.value) == (alone, numbers)


@pytest.mark.parametrize("names", [("random", "always_local"), ("always_local", "random"), ("always_local",) * 2])
def test_a_controller_without_requests_beside_one_with_some(settings, default, names):
    one, other = (explorer.compute(settings, replace(default, controller=name)) for name in names)
    figure = explorer.draw(one, other=other)
    for axes in figure.axes[:2]:
        texts = [text.get_text() for text in axes.texts]
        missing = "no offload requests" in texts, "┅ beside: no requests" in texts
        assert missing == ((True, False) if names[0] == names[1] else tuple(name == "always_local" for name in names))


def test_the_seed_of_a_stored_policy_is_named_beside_the_mean(tmp_path):
    path = tmp_path / "data" / "runs" / "summary.csv"
    runs = {"algorithm": "maddpg", "scenario": "default", "seed": [1, 2], "reward": [1.3, 1.1]}
    write_table(path, read_table(path, optional=True).reindex(range(2)).assign(**runs))
    said = "Plays seed 1, which earned 1.300 in its final evaluation; mean of 2 seeds 1.200 (1.100 to 1.300)."
    assert read_seeds(tmp_path) == {"maddpg/default": said} and read_seeds(tmp_path / "nowhere") == {}


def test_the_snippet_follows_the_state(app):
    assert app.snippet.value.startswith("# Nothing to add")
    app.sliders["battery_capacity"].value = 9.5
    assert "  explored: {battery_capacity: 9.5}\nexperiments:\n  maddpg:\n    - explored\n" in app.snippet.value
    assert "battery_capacity: 9.5" in app.copy.value and "clipboard" in app.copy.value
    app.controller.value = "always_local"
    assert "  cpo_maddpg:\n" in app.snippet.value


def with_loop(change):
    """Make a change inside an event loop, as a kernel does, and wait for the drawing."""

    async def work():
        change()
        await asyncio.sleep(0.5)

    asyncio.run(work())


def test_a_burst_of_changes_draws_the_last_state_once(app):
    def burst():
        for capacity in np.arange(8.5, 15.5, 0.5):
            app.sliders["battery_capacity"].value = float(capacity)

    drawn = app.drawn
    with_loop(burst)
    assert app.drawn == drawn + 1 and app.result.state.battery_capacity == 15.0


def test_changes_from_several_threads_end_with_the_last_state(app):
    def change(key, values):
        for value in values:
            app.sliders[key].value = value

    threads = [
        threading.Thread(target=change, args=("battery_capacity", [9.0, 10.0, 11.0])),
        threading.Thread(target=change, args=("devices", [10, 11, 12])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (app.result.state.battery_capacity, app.result.state.devices) == (11.0, 12)
    assert "battery 11 J" in app.footer.value and "N = 12" in app.footer.value


def test_the_buttons_train_and_stop(small, bare, no_writing):
    app = explorer.Explorer(small, bare)
    app.live.length.value = 40
    app.live.start.click()
    assert app.live.start.disabled and not app.live.stop.disabled
    first = app.live.training
    app.live.begin(None)
    assert app.live.training is first
    app.live.training.join(120)
    assert not app.live.start.disabled and app.live.stop.disabled
    assert app.live.bar.value == 40 and bytes(app.live.picture.value).startswith(b"\x89PNG")
    assert "now in the list of controllers" in app.live.text.value
    assert ("Trained here: CPO-MADDPG, 40 episodes", "live") in app.controller.options
    assert app.controller.value == "random"
    app.live.length.value = 800
    app.live.start.click()
    app.live.stop.click()
    app.live.training.join(120)
    assert "Stopped before the first episode" in app.live.text.value and app.live.stop.disabled
    assert "live+" not in [key for _, key in app.controller.options]


def test_in_a_kernel_a_training_and_the_planner_report_to_the_kernels_thread(small, bare, monkeypatch):
    app = explorer.Explorer(small, bare)
    threads = {"show": set(), "work": set()}
    for owner, name in ((app.live, "show"), (app.redraw, "work")):
        step = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda step=step, name=name: (threads[name].add(threading.get_ident()), step())
        )

    async def kernel():
        app.live.length.value = 40
        app.live.start.click()
        app.controller.value = "planner"
        while app.result.label != PLANNER or app.live.start.disabled:
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(kernel(), 120))
    assert threads == {"show": {threading.get_ident()}, "work": {threading.get_ident()}}
    assert "now in the list of controllers" in app.live.text.value


def test_a_failed_training_says_why_on_the_page(app, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("reward is not finite")

    monkeypatch.setattr(live, "Training", broken)
    app.live.start.click()
    app.live.training.join(60)
    assert "mx-error" in app.live.text.value and "reward is not finite" in app.live.text.value
    assert not app.live.start.disabled


def test_without_any_policy_the_controls_remain(settings, bare):
    app = explorer.Explorer(settings, bare)
    assert app.controller.value == "random" and app.picture.value


def test_what_a_notebook_keeps_of_it_is_one_line(app):
    bundle = app._repr_mimebundle_()
    assert bundle["text/plain"].startswith("The explorer needs a running kernel")
    assert "application/vnd.jupyter.widget-view+json" in bundle


ROOMS = {"config", "system", "env", "policies", "training", "report", "explorer"}
"""What the explorer may import."""


def test_the_explorer_imports_the_rooms_below_it_and_no_room_imports_it():
    for module, names in graph().items():
        rooms = {name.split(".")[1] for name in names if name.startswith("mecpaper.")}
        assert rooms <= ROOMS if module.startswith("mecpaper.explorer") else "explorer" not in rooms, module


def test_only_the_explorer_and_pictures_with_sliders_know_widgets():
    users = {module for module, names in graph().items() if any(n.split(".")[0] == "ipywidgets" for n in names)}
    rooms = {f"mecpaper.explorer.{name}" for name in ("live", "parts", "widgets")}
    assert users == rooms | {"mecpaper.report.pictures"}
