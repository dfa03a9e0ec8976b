"""The controls: plans do what they say, and the planner finds what a grid finds."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from mecpaper.env.game import Game
from mecpaper.env.streams import generators
from mecpaper.policies import planner
from mecpaper.policies.planner import FAMILIES, SIGNALS, Plan


@pytest.fixture(scope="module")
def game(settings):
    return settings.game.changed(devices=4, slots=10)


def _play(config, plan, vector, envs=1):
    game = Game([config], envs, dtype=torch.float64)
    game.reset(generators([1], 0))
    policy = plan.policy(game, torch.tensor([vector], dtype=torch.float64))
    nothing = torch.empty(0)
    return [game.step(policy(nothing, nothing)) for _ in range(config.slots)]


@pytest.mark.parametrize(("signal", "senders"), [(-1.0, 0), (-0.5, 1), (0.0, 2), (1.0, 4)])
def test_a_plan_asks_the_named_share_of_devices_to_send_each_chunk(game, signal, senders):
    slots = _play(game, Plan(), [signal] + [0.0] * len(SIGNALS))
    for slot in slots:
        assert (slot.requested.sum(dim=2) == senders).all()
    if senders == 1:
        # Another device for each chunk, so that the roles are spread.
        assert slots[0].requested[0, 0].argmax(dim=0).unique().numel() == game.chunks


def test_local_and_sent_chunks_have_their_own_settings(game):
    vector = [0.0, 1.0, -1.0, 0.0, -1.0, 1.0, 0.5]
    slot = _play(game, Plan(), vector)[0]
    sent = slot.requested > 0
    assert (slot.frame_rate[sent] == game.frame_rate[0]).all()
    assert (slot.frame_rate[~sent] == game.frame_rate[1]).all()
    assert (slot.resolution[sent] == game.resolution[1]).all()
    assert (slot.resolution[~sent] == game.resolution[0]).all()


def test_always_local_never_asks(game):
    assert all((slot.requested == 0).all() for slot in _play(game, FAMILIES["always-local"], [1.0] + [0.0] * 6))


def test_an_adaptive_plan_follows_the_payback_of_the_slot_and_sums_to_none(game):
    vector = [-1.0] + [0.0] * 6 + [0.2] + [0.0] * 11
    rates = torch.stack([slot.frame_rate.mean() for slot in _play(game, Plan(adaptive=True), vector)])
    middle = sum(game.frame_rate) / 2.0
    assert (rates.diff() < 0).all()
    # The payback less one has mean zero over the episode; nothing is clipped at this slope.
    assert rates.mean().item() == pytest.approx(middle, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("constrained", [True, False])
def test_the_planner_comes_up_to_a_grid_of_local_policies(settings, constrained):
    config = settings.game.changed(slots=20)
    family = FAMILIES["always-local"]
    ticks = np.linspace(-1.0, 1.0, 13)
    grid = list(itertools.product(ticks, ticks, ticks))
    # Devices that stay local do not meet, so the grid can be the devices of one game.
    wide = Game([config.changed(devices=len(grid))], dtype=torch.float64)
    wide.reset(generators([3], 0))
    point = torch.tensor(grid, dtype=torch.float64).view(1, 1, len(grid), 1, 3).expand(-1, -1, -1, config.chunks, -1)
    away = -torch.ones_like(point[..., :1])
    action = torch.cat([away, point[..., :2], away, point[..., 2:]], dim=-1).flatten(-2)
    slots = [wide.step(action) for _ in range(config.slots)]
    reward = torch.stack([slot.reward for slot in slots]).mean(dim=0)[0, 0]
    energy = torch.stack([slot.cost for slot in slots]).mean(dim=0)[0, 0]
    limit = config.cost_limit_fraction * config.battery_capacity
    allowed = energy <= limit if constrained else torch.ones_like(energy, dtype=torch.bool)
    found = planner.plan([config] * 4, range(4), family, constrained, generations=60)
    table = planner.measure([config] * 4, family, [vector for vector, _ in found], [5] * 4, episodes=8)
    best = table.loc[int(np.argmax([planned for _, planned in found]))]
    assert best["reward"] > reward[allowed].max().item() - 0.01
    if constrained:
        assert best["energy"] < limit + 0.005


def test_a_search_does_not_depend_on_those_beside_it(game):
    alone = planner.plan([game], [2], FAMILIES["stationary"], True, generations=4)
    beside = planner.plan([game.changed(cycles_per_bit=30.0), game], [1, 2], FAMILIES["stationary"], True, 4)
    np.testing.assert_allclose(beside[1][0], alone[0][0], rtol=1e-6)
    assert beside[1][1] == pytest.approx(alone[0][1], rel=1e-6)


def test_the_planner_table_has_a_row_per_search(game):
    table = planner.planner_table({"a": game, "b": game}, ["always-local", "stationary"], 2, 3, 1, 2)
    assert len(table) == 2 * 2 * 2 * 2
    assert not table.duplicated(["game", "policy", "constrained", "restart"]).any()
    assert table["reward"].between(table["reward_lower"], table["reward_upper"]).all()
    assert table[table["policy"] == "always-local"]["offload_share"].eq(0).all()


def test_the_untrained_control_falls_with_the_attackers_spread(settings):
    rates = [
        planner.fixed_power_sor(settings.scenario(f"attacker_{name}"), 1, 4) for name in ("weak", "moderate", "strong")
    ]
    assert 1.0 > rates[0] > rates[1] > rates[2] > 0.0


def test_without_an_eavesdropper_every_request_is_safe(game):
    assert planner.fixed_power_sor(game.changed(eavesdropper_power=0.0), 1, 2) == 1.0


def test_stored_plans_are_what_the_planner_finds(root, settings):
    """The first search of the largest family with and without the limit, of those that notebook 06 stores."""
    chosen, family = settings.evaluation, "time and battery"
    stored = pd.read_csv(root / "data" / "runs" / "planner.csv").query("policy == @family and restart == 0")
    size = (1, settings.planner.generations, chosen.seed + 1, chosen.final_episodes)
    found = planner.planner_table({"default": settings.game}, [family], *size)
    columns = ["planned_reward", "reward", "energy", "frame_rate", "resolution"]
    assert found["constrained"].tolist() == stored["constrained"].tolist() == [True, False]
    np.testing.assert_allclose(found[columns], stored[columns], rtol=1e-3)
