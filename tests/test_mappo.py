"""MAPPO's pieces on literal arrays. Whole problems are in test_known_answers.py."""

from dataclasses import replace

import pytest
import torch

from mecpaper.algorithms.learner import Tally
from mecpaper.algorithms.mappo import Moments, advantages, centred, clipped_slope, log_probability, standardised
from mecpaper.config import Config, ConfigError, parse, resolve
from mecpaper.env.streams import Stream
from mecpaper.training.loop import Training

CPU = torch.device("cpu")


@pytest.fixture
def learner(small):
    return Training(resolve(small, "mappo", "default")).learner


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_the_log_density_is_that_of_independent_gaussians():
    action, mean, log_std = drawn(2, 5, 3, 4), drawn(2, 5, 3, 4).flip(1), drawn(2, 1, 3, 4)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(dim=-1)
    torch.testing.assert_close(log_probability(action, mean, log_std), expected)


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_d26_advantages_are_discounted_sums_of_one_step_errors_through_the_last_slot(decay):
    reward, value, discount = drawn(4, 2), drawn(5, 2).flip(0), 0.9
    found = advantages(reward, value, discount, decay)
    for t in range(4):
        errors = [reward[i] + discount * value[i + 1] - value[i] for i in range(t, 4)]
        expected = sum((discount * decay) ** i * error for i, error in enumerate(errors))
        torch.testing.assert_close(found[t], expected)
    if decay == 1.0:
        returns = sum(discount**i * reward[i] for i in range(4)) + discount**4 * value[4]
        torch.testing.assert_close(found[0], returns - value[0])


def test_the_clipped_slope_is_the_derivative_of_the_clipped_surrogate():
    log_ratio, advantage, clip = (0.4 * drawn(500)).requires_grad_(), drawn(500).flip(0), 0.2
    ratio = log_ratio.exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
    (expected,) = torch.autograd.grad(surrogate.sum(), log_ratio)
    found = clipped_slope(ratio.detach(), advantage, clip)
    torch.testing.assert_close(found, expected)
    assert 0.1 < (found == 0).double().mean() < 0.9


@pytest.mark.parametrize("whose", ["own", "team"])
def test_d20_advantages_have_mean_0_and_std_1_over_the_rows_of_each_agent(whose):
    raw = 3.0 + drawn(2, 200, 3) * torch.tensor([1.0, 2.0, 5.0])
    found = standardised(raw, whose)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(found.std(dim=1, correction=0), torch.ones(2, 3, dtype=torch.float64))
    agents = found.unbind(dim=2)
    assert torch.equal(agents[0], agents[1]) is (whose == "team")
    # The agents' sum orders the rows as the team's advantage does.
    if whose == "team":
        assert torch.equal(raw.sum(dim=2).argsort(dim=1), agents[0].argsort(dim=1))


def test_d39_no_slot_is_better_than_another_as_such():
    estimate = drawn(4, 2, 5, 3)
    found = centred(estimate)
    torch.testing.assert_close(found.mean(dim=(2, 3)), torch.zeros(4, 2, dtype=torch.float64))
    # What depends on the slot alone, such as the rewards that are left, has no effect; the rest is kept.
    left = torch.arange(4.0, dtype=torch.float64).view(4, 1, 1, 1)
    torch.testing.assert_close(centred(estimate + 10.0 * left), found)
    torch.testing.assert_close(found[..., 0] - found[..., 1], estimate[..., 0] - estimate[..., 1])


def test_advantages_without_a_baseline_in_their_slot_are_refused(small):
    experiment = resolve(small, "mappo", "default")
    team = replace(experiment, scale=experiment.scale.model_copy(update={"episodes_at_once": 1}))
    alone = replace(team, own=team.own.model_copy(update={"advantage": "own"}))
    assert Training(alone).learner
    single = replace(alone, game=alone.game.changed(devices=1))
    for wrong, whose in ((team, "team"), (single, "own")):
        with pytest.raises(ConfigError, match=f"^mappo.advantage = '{whose}': two episodes at once or more"):
            Training(wrong)


def test_every_scale_has_episodes_to_compare_with(settings):
    for scale in settings.scales:
        config = parse(Config, settings.model_dump() | {"scale": scale})
        assert Training(resolve(config, "mappo", "default", [1])).learner
        # The effort is the algorithm's alone.
        assert resolve(config, "maddpg", "default").scale.episodes_at_once == config.run.episodes_at_once


def test_moments_are_those_of_the_first_returns_and_then_forget_them():
    moments, values = Moments(2, 0.75, CPU), 5.0 + 3.0 * drawn(2, 400, 3)
    torch.testing.assert_close(moments.scaled(values), values)
    moments.take(values)
    for run in range(2):
        mean, std = (part[run].item() for part in moments.mean_and_std())
        assert mean == pytest.approx(values[run].mean().item())
        assert std == pytest.approx(values[run].std(correction=0).item())
    torch.testing.assert_close(moments.unscaled(moments.scaled(values)), values)
    # Weights (1/4, 3/16) / (7/16) for the newer and the older returns.
    moments.take(values + 7.0)
    shift = moments.mean_and_std()[0] - values.mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(shift, torch.full_like(shift, 4.0))
    for _ in range(100):
        moments.take(values - 2.0)
    mean, std = moments.mean_and_std()
    torch.testing.assert_close(mean, (values - 2.0).mean(dim=(1, 2), keepdim=True))
    torch.testing.assert_close(std.flatten(), values.std(dim=(1, 2), correction=0))


def test_equal_returns_scale_to_finite_numbers():
    moments = Moments(1, 0.5, CPU)
    moments.take(torch.full((1, 4, 2), 3.0))
    assert torch.isfinite(moments.scaled(torch.full((1, 4, 2), 3.1))).all()


@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_d35_noise_is_as_correlated_between_slots_as_the_others(small, correlation):
    data = small.model_dump()
    data["learning"]["noise_correlation"] = correlation
    learner = Training(resolve(type(small).model_validate(data), "mappo", "default")).learner
    noise, game = learner.noise(), learner.game
    assert noise.shape == (game.slots, game.runs, game.envs, game.devices, game.action_size)
    first, second = noise[0].flatten(), noise[1].flatten()
    found = torch.corrcoef(torch.stack([first, second]))[0, 1].item()
    assert found == pytest.approx(correlation, abs=4.0 * (1.0 - correlation**2) / len(first) ** 0.5 + 1e-6)
    assert noise.std().item() == pytest.approx(1.0, abs=4.0 / (2.0 * len(first)) ** 0.5)


def test_the_state_holds_the_moments_and_a_round_moves_them_in_place(learner):
    state = learner.tensors()["moments"]
    assert (state == 0).all()
    learner.play_round(0.0, Tally())
    assert learner.tensors()["moments"] is state and (state[2] > 0).all()


def test_rates_and_penalty_follow_the_share_of_the_training(learner):
    learning, hold = learner.learning, learner.learning.rate_hold
    for done, share in ((0.0, 1.0), (hold, 1.0), ((1.0 + hold) / 2.0, (1.0 + learning.rate_last) / 2.0)):
        learner.play_round(done, Tally())
        assert learner.actor_optimiser.rate.item() == pytest.approx(share * learning.actor_learning_rate)
        assert learner.critic_optimiser.rate.item() == pytest.approx(share * learning.critic_learning_rate)
    learner.play_round(0.99, Tally())
    assert learner.saturation.item() == pytest.approx(learning.saturation_last)


def test_an_agents_own_draws_decide_its_action(learner):
    game = learner.game
    observation = game.reset(learner.sources[Stream.GAME])
    mean = learner.act(observation)
    noise = torch.ones_like(mean)
    torch.testing.assert_close(learner.explore(observation, noise) - mean, learner.log_std.exp().expand_as(mean))
