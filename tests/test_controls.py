"""Controls: each does what its name says, in games of any size, and is the same wherever it is used."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mecpaper import explorer
from mecpaper.config import ALGORITHMS
from mecpaper.env.game import Game
from mecpaper.env.streams import generators
from mecpaper.policies.controls import (
    CONTROLS,
    all_request,
    always_local,
    measure_controls,
    random_offloading,
    uniform_random,
)
from mecpaper.policies.planner import find_plan, planned_local
from mecpaper.policies.plans import SIGNALS, Plan


def play(game, policy):
    """The first slot of an episode, and the actions in it."""
    observation = game.reset(generators([1], 0))
    shape = (1, game.envs, game.devices, game.action_size)
    action = policy(observation, torch.rand(*shape, generator=torch.Generator().manual_seed(1)))
    return game.step(action), action


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("devices", [1, 5, 20])
def test_a_control_plays_any_game(settings, name, devices):
    game = Game([settings.game.changed(devices=devices)], 3)
    action = play(game, CONTROLS[name].policy(game))[1]
    assert action.shape == (1, 3, devices, game.action_size) and action.abs().max() <= 1.0


def test_the_random_control_is_the_random_algorithm(settings):
    uniform = torch.rand(1, 2, 20, 15)
    algorithm = ALGORITHMS["random"].learner_class()(Game([settings.game]), settings.learning, [settings.random], [1])
    assert torch.equal(uniform_random(Game([settings.game]))(uniform, uniform), algorithm.act(uniform, uniform))


def test_random_as_printed_draws_only_what_the_text_names(settings):
    game = Game([settings.game], 20)
    slot, action = play(game, random_offloading(game))
    random = play(game, uniform_random(game))[1].unflatten(-1, (game.chunks, -1))
    action = action.unflatten(-1, (game.chunks, -1))
    assert torch.equal(action[..., [0, 3, 4]], random[..., [0, 3, 4]])
    assert slot.requested.mean().item() == pytest.approx(0.5, abs=0.06)
    for name in ("frame_rate", "resolution"):
        assert (getattr(slot, name) == sum(getattr(settings.game, name)) / 2.0).all()


def test_the_table_of_controls_is_what_they_play(settings):
    config = settings.game.changed(devices=4, slots=5)
    table = measure_controls(config, 3, 4).set_index("policy")
    assert list(table.index) == list(CONTROLS) and table["label"].is_unique
    assert table.loc["always_local", "request_share"] == 0.0 and np.isnan(table.loc["always_local", "sor"])
    assert table.loc["all_request", "request_share"] == 1.0
    assert table.loc["always_local", "frame_rate"] == sum(config.frame_rate) / 2.0


def test_all_request_asks_for_every_chunk_and_leaves_the_rest_random(settings):
    game = Game([settings.game], 2)
    slot, action = play(game, all_request(game))
    assert (slot.requested == 1).all()
    assert slot.transmit_power.unique().numel() == slot.transmit_power.numel()
    random = play(game, uniform_random(game))[1].unflatten(-1, (game.chunks, -1))
    assert torch.equal(action.unflatten(-1, (game.chunks, -1))[..., 1:], random[..., 1:])


def test_always_local_is_the_planners_family_without_offloading(settings):
    game = Game([settings.game], 2)
    vector = dict.fromkeys(SIGNALS, 0.0) | dict(zip(SIGNALS[:3], (0.5, -0.25, 1.0), strict=True))
    planned = play(game, Plan(offloading=False).policy(game, torch.tensor([[-1.0, *vector.values()]])))
    direct = play(game, always_local(0.5, -0.25, 1.0)(game))
    assert torch.equal(direct[1], planned[1]) and (direct[0].requested == 0).all()


def test_without_a_planner_table_the_local_control_is_in_the_middle(settings, root, tmp_path):
    assert planned_local(tmp_path, settings.game) is CONTROLS["always_local"]
    assert planned_local(root, settings.game).planned and not CONTROLS["always_local"].planned


def test_a_plan_suits_any_number_of_devices_and_keeps_the_limit(small):
    found = {"planner": find_plan(small.game, small.planner.generations)}
    state = explorer.state_of(small.game, "planner")
    measures = explorer.compute(small, state, found).measures
    assert measures["energy"] <= 1.05 * small.game.cost_limit_fraction * small.game.battery_capacity
    assert measures["reward"] > explorer.compute(small, replace(state, controller="random")).measures["reward"]
    assert np.isfinite(explorer.compute(small, replace(state, devices=9), found).measures["reward"])
