"""The game as a PettingZoo environment: the library's own checks, the game's numbers, and a public learner."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from pettingzoo.test import parallel_api_test, parallel_seed_test
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from mecpaper.env.game import Game
from mecpaper.env.parallel import parallel_env
from mecpaper.env.streams import Stream, generators


@pytest.fixture
def game(settings):
    return settings.game.changed(devices=4, chunks=2, slots=6)


def play(env, seed, act):
    """Observations, rewards, ends and infos of one episode; `act(slot, observations) -> actions`."""
    observation, info = env.reset(seed=seed)
    steps = [(observation, None, None, None, info)]
    while env.agents:
        steps.append(env.step(act(len(steps) - 1, steps[-1][0])))
    return steps


def random_actions(env, seed):
    draws = np.random.default_rng(seed).uniform(-1, 1, (50, env.game.devices, env.game.action_size))
    return lambda slot, observation: dict(zip(env.possible_agents, draws[slot].astype(np.float32), strict=True))


@pytest.mark.filterwarnings("error")
def test_the_librarys_own_api_check(settings, game):
    parallel_api_test(parallel_env(game), num_cycles=20)
    parallel_api_test(parallel_env(settings.game), num_cycles=60)


def test_the_librarys_own_seed_check(game):
    parallel_seed_test(lambda: parallel_env(game), num_cycles=20)


def test_seeds_that_libraries_derive_are_taken(game):
    def first(seed):
        return np.stack(list(parallel_env(game).reset(seed=seed)[0].values()))

    assert np.array_equal(first(3), first(3 + 2**31)) and not np.array_equal(first(3), first(2**32 - 2))
    with pytest.raises(ValueError, match="seed"):
        first(-1)


def test_nothing_is_rendered(game):
    env = parallel_env(game)
    assert env.metadata["name"] == "mecpaper_secure_offloading"
    assert env.metadata["render_modes"] == [] and env.render_mode is None


@pytest.mark.parametrize("observation", ["literal", "augmented"])
def test_every_observation_lies_in_its_space(game, observation):
    env = parallel_env(game.changed(observation=observation))
    agents = [f"device_{n}" for n in range(4)]
    assert env.possible_agents == agents
    for agent in agents:
        assert env.action_space(agent) == Box(-1.0, 1.0, (10,), np.float32)
        assert env.observation_space(agent).shape == (env.game.observation_size,)
    for seed in range(5):
        for seen, *_ in play(env, seed, random_actions(env, seed)):
            assert set(seen) == set(agents)
            assert all(env.observation_space(agent).contains(seen[agent]) for agent in agents)


def test_a_device_sees_its_scaled_gains_battery_and_harvest_and_no_constant(game):
    env = parallel_env(game)
    names = env.game.observation_names
    first = env.reset(seed=3)[0]["device_1"]
    raw = dict(zip(names, env.game.observe()[0, 0, 1].tolist(), strict=True))
    seen = dict(zip(names, first.tolist(), strict=True))
    for name in ("transmit_power_max", "transmit_power_min", "cpu_frequency_max", "cpu_frequency_min", "bandwidth"):
        assert seen[name] == 0.0 and raw[name] > 0.0
    assert seen["battery"] == 1.0  # full, between 0 and 8 J
    assert seen["gain_db_2"] == pytest.approx(raw["gain_db_2"] - 9.0)  # 8 to 10 dB
    assert seen["harvest"] == pytest.approx((raw["harvest"] - 0.8) / 0.8)  # 0 to 1.6 J


def test_the_numbers_are_the_games(game):
    env = parallel_env(game)
    act = random_actions(env, 1)
    steps = play(env, 8, act)
    same = Game([game], 1, dtype=torch.float64)
    same.reset(generators([8], Stream.PARALLEL_ENV))
    for t, (_, reward, _, _, info) in enumerate(steps[1:]):
        action = torch.tensor(np.stack(list(act(t, None).values())), dtype=torch.float64)
        slot = same.step(action.view(1, 1, 4, 10))
        for n, agent in enumerate(env.possible_agents):
            assert reward[agent] == slot.reward[0, 0, n].item()
            assert info[agent]["cost"] == slot.cost[0, 0, n].item()
            assert info[agent]["cost_limit"] == pytest.approx(0.4)  # 0.05 of 8 J
            for key, tensor in (("requested", slot.requested), ("executed", slot.offload)):
                assert info[agent][key].tolist() == tensor[0, 0, n].tolist()
            assert info[agent]["secrecy_rate"].tolist() == slot.secrecy_rate[0, 0, n].tolist()


def test_the_terms_in_the_info_sum_to_the_reward_and_the_mask_holds(game):
    env = parallel_env(game.changed(gain_db=[4.0, 14.0], battery_capacity=1.0, harvest_fraction=0.0))
    penalised = masked = 0
    for seed in range(5):
        for _, reward, _, _, info in play(env, seed, random_actions(env, seed))[1:]:
            for agent, terms in info.items():
                total = terms["quality"] - terms["compute_cost"] - terms["penalty"]
                assert total == pytest.approx(reward[agent], abs=1e-12)
                assert (terms["secrecy_rate"][terms["executed"] == 1] > 0).all()
                assert (terms["executed"] <= terms["requested"]).all()
                penalised += terms["penalty"] > 0
                masked += (terms["executed"] < terms["requested"]).sum()
    assert penalised and masked


def test_an_episode_is_cut_at_its_last_slot_and_never_terminates(game):
    env = parallel_env(game)
    steps = play(env, 0, random_actions(env, 0))
    assert len(steps) == 1 + 6
    for t, (_, _, terminated, truncated, _) in enumerate(steps[1:], start=1):
        assert list(terminated.values()) == [False] * 4
        assert list(truncated.values()) == [t == 6] * 4
    assert env.agents == []
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(random_actions(env, 0)(0, None))


def test_without_a_seed_the_random_numbers_go_on(game):
    first, second = parallel_env(game), parallel_env(game)
    start = first.reset(seed=5)[0]["device_0"]
    second.reset(seed=5)
    following = first.reset()[0]["device_0"]
    assert not np.array_equal(start, following)
    assert np.array_equal(following, second.reset()[0]["device_0"])
    assert not np.array_equal(parallel_env(game).reset()[0]["device_0"], parallel_env(game).reset()[0]["device_0"])


@pytest.mark.parametrize("wrong", [None, [0.0] * 9, [float("nan")] * 10])
def test_a_wrong_action_is_named(game, wrong):
    env = parallel_env(game)
    env.reset(seed=0)
    actions = random_actions(env, 0)(0, None)
    if wrong is None:
        del actions["device_2"]
    else:
        actions["device_2"] = np.array(wrong)
    with pytest.raises(ValueError, match="action of device_2: 10 finite numbers"):
        env.step(actions)


def mean_return(env, model):
    total = 0.0
    for seed in range(10):
        for _, reward, *_ in play(
            env, seed, lambda slot, seen: {agent: model.predict(seen[agent], deterministic=True)[0] for agent in seen}
        )[1:]:
            total += sum(reward.values())
    return total / 10


def test_a_public_learner_improves_its_policy_through_it(settings):
    """PPO of Stable-Baselines3, one policy shared by all devices, on a short game with a constant channel."""
    supersuit = pytest.importorskip("supersuit", reason="for later Pythons it has to be compiled")
    env = parallel_env(settings.game.changed(devices=3, chunks=1, slots=4, gain_db=[9.0, 9.0]))
    set_random_seed(0)
    env.reset(seed=0)
    devices = supersuit.pettingzoo_env_to_vec_env_v1(env)
    many = supersuit.concat_vec_envs_v1(devices, 4, base_class="stable_baselines3")
    model = PPO("MlpPolicy", many, n_steps=20, batch_size=60, n_epochs=5, gamma=0.9, learning_rate=1e-3, device="cpu")
    before = mean_return(env, model)
    model.learn(30 * 20 * many.num_envs)
    # Over initial weights, untrained policies returned 4.7 to 6.0 and trained ones 6.9.
    assert mean_return(env, model) > before + 1.0
