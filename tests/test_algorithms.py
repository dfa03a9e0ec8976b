"""Eq 38-56 on literal arrays, the networks and the replay. Whole problems are in test_known_answers.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats as distributions

from mecpaper.algorithms.cpo_maddpg import CPOMADDPG, critic_loss, dual_channel
from mecpaper.algorithms.lagrange import next_multiplier
from mecpaper.algorithms.maddpg import MADDPG
from mecpaper.algorithms.networks import Actors, Critic, binary_offload, copies, follow
from mecpaper.algorithms.off_policy import Phase, td_target
from mecpaper.algorithms.optimiser import Factored, Optimiser, clip_stacks, stack_norm
from mecpaper.algorithms.replay import (
    Batch,
    Replay,
    annealed,
    importance_weights,
    normalised_error,
    priority,
    sample_indices,
)
from mecpaper.config import ALGORITHMS, ConfigError, resolve
from mecpaper.env.game import Game
from mecpaper.env.streams import Stream, generators
from mecpaper.system.tasks import offload_decision
from mecpaper.training.loop import Training

POWER = 3
"""The component of an action that rewards and costs depend on in `random_batch`."""


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, tensor(expected), rtol=1e-12, atol=1e-12)


def tiny_game(settings, runs=1, devices=2, chunks=1):
    return Game([settings.game.changed(devices=devices, chunks=chunks)] * runs, 1, dtype=torch.float64)


def sections(learner, settings, **changes):
    """Learning and own section with narrow networks, no shaping, no discount, a plain start; `changes` to either."""
    key = next(name for name, entry in ALGORITHMS.items() if entry.learner_class() is learner)
    learning, own = settings.learner_with(key, settings.changes("default"))
    bare = {"hidden": [16, 16, 8], "reward_discount": 0.0, "reward_scale": 1.0, "saturation_penalty": 0.0}
    bare |= {"actor_output_start": 1.0, "cost_discount": 0.0, "buffer": 64}
    updates = bare | changes
    return [
        part.model_copy(update={k: v for k, v in updates.items() if k in type(part).model_fields})
        for part in (learning, own)
    ]


def make(learner, game, settings, seed=1, **changes):
    """A learner with `sections` as above."""
    learning, own = sections(learner, settings, **changes)
    return learner(game, learning, [own] * game.runs, list(range(seed, seed + game.runs)))


def learn(learner, batch, excess=0.0):
    """One update; `excess` is one number for all agents or one per run."""
    learner.excess.copy_(torch.as_tensor(excess, dtype=torch.float64).reshape(-1, 1))
    return learner.update(batch)


def make_actors(game, settings, **changes):
    sources = generators(list(range(1, 1 + game.runs)), Stream.WEIGHTS)
    return Actors(game, sections(MADDPG, settings, **changes)[0], sources)


def observations(game, batch, source):
    """Random observations within the game's range."""
    centre, half = (part.unsqueeze(1) for part in game.observation_range())
    shape = (game.runs, batch, game.devices, game.observation_size)
    return centre + half * (2.0 * torch.rand(shape, generator=source, dtype=torch.float64) - 1.0)


def random_batch(game, source, size=32, reward=None, cost=None):
    """Transitions of a one-slot game; reward and cost are functions of the played action's power component."""
    shape = (game.runs, size, game.devices, game.action_size)
    action = 2.0 * torch.rand(shape, generator=source, dtype=torch.float64) - 1.0
    played = action[..., POWER]
    return Batch(
        observation=observations(game, size, source),
        action=action,
        reward=reward(played) if reward else torch.ones_like(played),
        cost=cost(played) if cost else torch.ones_like(played),
        next_observation=observations(game, size, source),
        weight=torch.ones(game.runs, size, dtype=torch.float64),
        places=torch.zeros(game.runs, size, dtype=torch.long),
    )


def source(seed=0):
    return torch.Generator().manual_seed(seed)


# -- Eq 39-41: the constraint and its multiplier -------------------------------------------------------


@pytest.mark.parametrize(("share", "judged"), [(0.5, [0.0, 1.0]), (0.0, [0.5, 0.5]), (1e-308, [0.0, 0.0])])
def test_eq39_the_excess_is_that_of_the_episodes_without_noise_summed_over_slots(small, monkeypatch, share, judged):
    experiment = resolve(small, "cpo_maddpg", "default")
    scale = experiment.scale.model_copy(update={"slots_per_update": 5})
    learning = experiment.learning.model_copy(update={"noise_free_share": share})
    training = Training(replace(experiment, scale=scale, learning=learning))
    learner, seen = training.learner, []
    update = learner.update
    monkeypatch.setattr(learner, "update", lambda batch: (seen.append(learner.excess.clone()), update(batch))[1])
    for _ in range(2):
        training.play_round()
    # Round 2 is the last 5 slots of 2 episodes; the cost column stands before the next observation. The limit
    # is 0.05 of 8 J per device and slot.
    costs = learner.replay.data[:, 10:20, :, -training.game.observation_size - 1].unflatten(1, (5, 2))
    assert learner.replay.size == 20 and len(seen) == 1
    expected = (torch.tensor(judged).view(1, 1, 2, 1) * (costs - 0.4)).sum(dim=(1, 2))
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-5)


def test_episodes_without_noise_follow_the_policy_and_are_evenly_spread(small):
    experiment = resolve(small, "maddpg", "default")
    learner = Training(
        replace(experiment, learning=experiment.learning.model_copy(update={"noise_free_share": 0.3}))
    ).learner
    free = []
    for _ in range(50):
        free += learner.noise_free().tolist()
        learner.rounds += 1
    assert sum(free) == 30 and max(len(run) for run in "".join("x" if f else " " for f in free).split("x")) == 3
    learner.rounds = 1
    inputs = learner.draw_round(Phase(False, False, 0, 0), 2, 0.2)
    assert learner.noise_free().tolist() == [False, True]
    assert inputs.noise[:, :, 1].abs().max() == 0.0 < inputs.noise[:, :, 0].abs().max()


def test_in_a_uniform_warm_up_no_episode_is_played_without_noise(small):
    experiment = resolve(small, "maddpg", "default")
    settings = experiment.learning.model_copy(update={"noise_free_share": 0.5, "warmup": "uniform"})
    learner = Training(replace(experiment, learning=settings)).learner
    inputs = learner.draw_round(Phase(True, True, 0, 0), 0, 0.0)
    assert learner.noise_free().any() and (inputs.noise.abs().amax(dim=(0, 1, 3, 4)) > 0.5).all()


def test_once_the_noise_is_gone_every_episode_counts(small):
    experiment = resolve(small, "maddpg", "default")
    learning = experiment.learning.model_copy(update={"noise": [0.3, 0.0]})
    learner = Training(replace(experiment, learning=learning)).learner
    free = learner.noise_free()
    assert learner.judged(free, 0.49).sum() != 1.0 or not free.any()
    assert learner.judged(free, 0.5).tolist() == [0.5, 0.5]


def test_actors_and_multipliers_wait_for_the_critic(small):
    experiment = resolve(small, "cpo_maddpg", "default")
    learning = experiment.learning.model_copy(update={"critic_first_fraction": 0.5, "noise_free_share": 0.0})
    game = experiment.game.changed(cost_limit_fraction=0.01)
    training = Training(replace(experiment, learning=learning, game=game))
    actor, critic = (part.weights[0].detach().clone() for part in (training.learner.actors, training.learner.critic))
    while training.episode < 10:
        training.play_round()
    assert torch.equal(training.learner.actors.weights[0], actor) and training.learner.multiplier().max() == 0.0
    assert not torch.equal(training.learner.critic.weights[0], critic)
    training.play_round()
    assert not torch.equal(training.learner.actors.weights[0], actor) and training.learner.multiplier().max() > 0.0


def test_eq24_every_credit_of_an_episode_sums_to_its_return(settings):
    # With held actions all three agree; otherwise "weighted" alone does.
    game = Game([settings.game.changed(devices=3, slots=12)], 2, dtype=torch.float64)
    learners = {rule: make(MADDPG, game, settings, credit=rule) for rule in ("printed", "equal_sum", "weighted")}
    for held in (True, False):
        game.reset([source()])
        drawn = 2.0 * torch.rand(12, 1, 2, 3, game.action_size, generator=source(1), dtype=torch.float64) - 1.0
        slots = [game.step(drawn[0 if held else t]) for t in range(12)]
        credit = {
            rule: sum(learner.credit(slot, t) for t, slot in enumerate(slots)) for rule, learner in learners.items()
        }
        torch.testing.assert_close(credit["weighted"], credit["printed"])
        assert torch.allclose(credit["equal_sum"], credit["printed"]) == held


def descent(g_r, g_c, multiplier, epsilon, rule):
    """The direction of `dual_channel` for gradients given weight by weight, `[stack, ., .]` each."""
    norms = (stack_norm(gradient).flatten() for gradient in (g_r, g_c))
    factors = dual_channel(*norms, multiplier.flatten(), epsilon, rule).unsqueeze(-1).unsqueeze(-1)
    return [factors[:, 0] * r + factors[:, 1] * c for r, c in zip(g_r, g_c, strict=True)]


def test_eq40_the_unnormalised_step_descends_minus_the_lagrangian():
    # J_r = -(x-1)^2 - (y+2)^2, J_c = 3x + y^2, C_limit = 5, at (x, y) = (2, 3) with lambda = 0.5.
    def lagrangian(x, y):
        return -((x - 1) ** 2) - (y + 2) ** 2 - 0.5 * (3 * x + y**2 - 5)

    h = 1e-5
    slope = [
        (lagrangian(2 + h, 3) - lagrangian(2 - h, 3)) / (2 * h),
        (lagrangian(2, 3 + h) - lagrangian(2, 3 - h)) / (2 * h),
    ]
    g_r, g_c = tensor([[[-2.0, -10.0]]]), tensor([[[3.0, 6.0]]])
    (step,) = descent([g_r], [g_c], tensor([[[0.5]]]), 1e-6, "lagrangian")
    torch.testing.assert_close(step, -tensor([[slope]]), rtol=1e-8, atol=1e-8)


def test_eq41_multiplier_by_hand():
    # 0.2 + 0.1 * 3 = 0.5; 0 - 0.5 is cut at 0; 0.95 + 0.2 is cut at 1; 0.5 - 0.1 = 0.4 falls when feasible (D23).
    close(
        next_multiplier(tensor([0.2, 0.0, 0.95, 0.5]), 0.1, tensor([3.0, -5.0, 2.0, -1.0]), 1.0), [0.5, 0.0, 1.0, 0.4]
    )


def test_eq41_one_step_with_a_sum_is_as_many_steps_one_by_one():
    excess = [0.3, -0.1, 0.25]
    value = tensor([0.4])
    for part in excess:
        value = next_multiplier(value, 0.1, tensor([part]), 1.0)
    torch.testing.assert_close(next_multiplier(tensor([0.4]), 0.1, tensor([sum(excess)]), 1.0), value)


def test_eq41_the_multiplier_moves_after_the_actors(settings):
    game = tiny_game(settings)
    learners = [make(CPOMADDPG, game, settings, multiplier_rate=0.1) for _ in range(2)]
    for learner, excess in zip(learners, (-1.0, 4.0), strict=True):
        learn(learner, random_batch(game, source()), excess)
    assert learners[0].multiplier().tolist() == [[0.0] * 2] and learners[1].multiplier().tolist() == [[0.4] * 2]
    for one, other in zip(learners[0].actors.weights, learners[1].actors.weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Excess 4 and -2 of two agents at rate 0.1, then -1 and -3, from 0 and cut to [0, 1].
        ({}, [[0.1, 0.1], [0.0, 0.0]]),
        ({"multipliers": "device"}, [[0.4, 0.0], [0.3, 0.0]]),
        ({"multiplier_rule": "text"}, [[0.1, 0.1], [0.1, 0.1]]),
        ({"multiplier_step": "episode"}, [[0.002, 0.002], [0.0, 0.0]]),
    ],
)
def test_eq41_readings_of_the_multiplier_by_hand(settings, changes, expected):
    # D21: one multiplier driven by the mean, or one for each device. D23: it never falls; one step per episode of 50.
    game = tiny_game(settings)
    learner = make(CPOMADDPG, game, settings, multiplier_rate=0.1, **changes)
    for excess, value in zip(([[4.0, -2.0]], [[-1.0, -3.0]]), expected, strict=True):
        learner.lagrange.update(tensor(excess))
        close(learner.multiplier(), [value])


def test_a_fixed_multiplier_stays(settings):
    game = tiny_game(settings)
    learner = make(CPOMADDPG, game, settings, multiplier_fixed=0.5, multiplier_rate=0.1)
    learn(learner, random_batch(game, source()), 4.0)
    assert learner.multiplier().tolist() == [[0.5] * 2]


# -- Eq 42-48: the policy gradient ---------------------------------------------------------------------


def freeze_offloading(actors, chunks):
    """Let the offload outputs not depend on the layers below, so that the critic's threshold has no slope to miss."""
    with torch.no_grad():
        actors.weights[-2].unflatten(-1, (chunks, 5))[..., 0] = 0.0


def returns(actors, critic, observation, head, agent=slice(None)):
    with torch.no_grad():
        action = actors(observation)
        return critic(observation, action)[:, :, agent, head].mean(dim=1).sum().item()


def difference(actors, critic, observation, head, layer, place, agent=slice(None), h=1e-6):
    """Central difference of the return with respect to one weight."""
    with torch.no_grad():
        weight = actors.weights[layer][place].item()
        ends = []
        for shift in (h, -h):
            actors.weights[layer][place] = weight + shift
            ends.append(returns(actors, critic, observation, head, agent))
        actors.weights[layer][place] = weight
    return (ends[0] - ends[1]) / (2.0 * h)


def places(actors, count, seed, chunks):
    """Random weights (layer, index), none of them of an offload output."""
    rng = np.random.default_rng(seed)
    chosen = []
    while len(chosen) < count:
        layer = int(rng.integers(len(actors.weights)))
        place = tuple(int(rng.integers(size)) for size in actors.weights[layer].shape)
        if layer < len(actors.weights) - 2 or place[-1] % (actors.weights[-1].shape[-1] // chunks):
            chosen.append((layer, place))
    return chosen


@pytest.mark.parametrize("rows", [3, 40])
def test_norms_and_combinations_of_factored_gradients_are_those_of_the_products(rows):
    # Two layers of 3 stacks and 2 channels, by the definition. 3 rows are fewer than the weights' sides, 40 are more.
    shapes = [(5, 7), (7, 4)]
    inputs = [torch.randn(3, rows, n, generator=source(n), dtype=torch.float64) for n, _ in shapes]
    flows = [torch.randn(3, 2, rows, n, generator=source(n), dtype=torch.float64) for _, n in shapes]
    whole = [
        part
        for x, d in zip(inputs, flows, strict=True)
        for part in (torch.einsum("sri,scro->scio", x, d), d.sum(dim=2, keepdim=True))
    ]
    gradients = Factored(inputs, flows, torch.float64)
    for channel in range(2):
        norm = stack_norm([part[:, channel] for part in whole]).flatten()
        torch.testing.assert_close(gradients.norms[:, channel], norm)
    coefficients = tensor([[1.0, -2.0], [0.5, 0.0], [-1.0, -1.0]])
    expected = [torch.einsum("sc,scio->sio", coefficients, part) for part in whole]
    for one, other in zip(gradients.combined(coefficients), expected, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(gradients.norm(coefficients), stack_norm(expected).flatten())


@pytest.mark.parametrize(
    ("reading", "actor"),
    [
        ("pooled", "per_agent"),
        ("pooled", "shared"),
        ("channel", "per_agent"),
        ("separate", "per_agent"),
        ("joint", "per_agent"),
    ],
)
def test_eq46_eq47_deterministic_policy_gradient_against_finite_differences(settings, reading, actor):
    # A separate critic's return reaches its own agent's actor alone, so there the difference is of that return.
    game = tiny_game(settings, runs=2, devices=3, chunks=2)
    learner = make(CPOMADDPG, game, settings, critic=reading, actor=actor)
    actors, critic = learner.actors, learner.critic
    freeze_offloading(actors, 2)
    observation = observations(game, 6, source())
    gradients, _ = learner.policy_gradients(observation, lambda values: values.unbind(dim=-1))
    checked = 0
    for head, exact in enumerate(gradients.channels()):
        for layer, place in places(actors, 40, 5, 2):
            agent = place[0] % 3 if reading == "separate" else slice(None)
            slope = difference(actors, critic, observation, head, layer, place, agent)
            assert slope == pytest.approx(exact[layer][place].item(), rel=1e-5, abs=1e-9)
            checked += abs(slope) > 1e-5
    assert checked > 20


def test_d19_others_reach_a_value_of_the_channel_critic_by_gain_decision_and_power_alone(settings):
    game = tiny_game(settings, devices=3, chunks=2)
    critic = make(MADDPG, game, settings, critic="channel").critic
    observation, action = observations(game, 4, source()), torch.zeros(game.runs, 4, 3, game.action_size).double()
    action.requires_grad_()
    value = critic(observation, action)[:, :, 0].sum()
    (slope,) = torch.autograd.grad(value, action)
    own, other = (slope[:, :, agent].unflatten(-1, (2, 5)) for agent in (0, 1))
    assert (own != 0).any(dim=(0, 1, 2)).all()
    assert (other != 0).any(dim=(0, 1, 2)).tolist() == [True, False, False, True, False]


def test_eq42_eq43_a_step_of_maddpg_goes_where_the_return_rises(settings):
    game = tiny_game(settings)
    learner = make(MADDPG, game, settings, critic_learning_rate=1e-30, actor_learning_rate=1e-4)
    freeze_offloading(learner.actors, 1)
    batch = random_batch(game, source())
    slopes = {
        (layer, place): difference(learner.actors, learner.critic, batch.observation, 0, layer, place)
        for layer, place in places(learner.actors, 60, 7, 1)
    }
    start = returns(learner.actors, learner.critic, batch.observation, 0)
    before = copies(learner.actors.weights)
    learn(learner, batch, 0.0)
    assert returns(learner.actors, learner.critic, batch.observation, 0) > start
    moves = [((learner.actors.weights[i] - before[i])[p].item(), slope) for (i, p), slope in slopes.items()]
    steep = [(move, slope) for move, slope in moves if abs(slope) > 1e-5]
    assert len(steep) > 15
    # The first step of Adam has the length of the learning rate in every coordinate with a slope.
    for move, slope in steep:
        assert move == pytest.approx(np.sign(slope) * 1e-4, rel=0.02)


def test_the_saturation_penalty_falls_linearly_between_the_ends_of_its_fall(settings):
    changes = {"saturation_penalty": 0.03, "saturation_last": 0.01, "saturation_fall": [0.5, 0.75]}
    learner = make(MADDPG, tiny_game(settings), settings, **changes)
    assert learner.saturation.item() == 0.03
    for done, wanted in ((0.0, 0.03), (0.5, 0.03), (0.625, 0.02), (0.75, 0.01), (0.99, 0.01)):
        learner.anneal(done)
        assert learner.saturation.item() == pytest.approx(wanted, rel=1e-9)


def test_the_learning_rates_are_held_and_then_fall_linearly_to_their_last_share(settings):
    # The first step of Adam has the length of the rate in every coordinate.
    for done, share in ((0.0, 1.0), (0.4, 1.0), (0.7, 0.6), (1.0, 0.2)):
        learner = make(MADDPG, tiny_game(settings), settings, rate_hold=0.4, rate_last=0.2)
        before = [w.detach().clone() for w in learner.critic.weights]
        learner.anneal(done)
        learn(learner, random_batch(learner.game, source()))
        moves = torch.cat([(w - b).flatten().abs() for w, b in zip(learner.critic.weights, before, strict=True)])
        assert moves.max().item() == pytest.approx(share * learner.learning.critic_learning_rate, rel=1e-3)


def test_the_saturation_penalty_alone_draws_outputs_to_the_middle(settings):
    game = tiny_game(settings)
    for kind in (MADDPG, CPOMADDPG):
        learner = make(kind, game, settings, critic_learning_rate=1e-30, saturation_penalty=1.0)
        with torch.no_grad():
            for weight in learner.critic.weights:
                weight.zero_()
        batch = random_batch(game, source())
        before = learner.actors.forward(batch.observation)[0].square().mean().item()
        for _ in range(20):
            learn(learner, batch, 0.0)
        assert learner.actors.forward(batch.observation)[0].square().mean().item() < 0.9 * before


def test_eq44_the_cost_channel_is_not_gated_by_feasibility(settings):
    # D24: the direction of Eq 45 holds whether the constraint is met or not.
    game = tiny_game(settings)
    weights = {}
    for name, multiplier, excess in (("met", 0.9, -5.0), ("broken", 0.9, 5.0), ("none", 0.0, 5.0)):
        learner = make(CPOMADDPG, game, settings, multiplier_fixed=multiplier)
        learn(learner, random_batch(game, source()), excess)
        weights[name] = torch.cat([w.detach().flatten() for w in learner.actors.weights])
    assert torch.equal(weights["met"], weights["broken"])
    assert not torch.equal(weights["met"], weights["none"])


def test_d24_a_gate_stays_as_it_was_last_judged(settings):
    # In a round without an episode to judge by, the excess is 0.
    learner = make(CPOMADDPG, tiny_game(settings), settings, gated=True)
    batch = random_batch(learner.game, source())
    opened = []
    for excess in (0.0, 5.0, 0.0, 0.0, -5.0, 0.0):
        learn(learner, batch, excess)
        opened.append(bool(learner.gate.any()))
    assert opened == [False, True, True, True, False, False]
    assert torch.equal(learner.tensors()["gate"], learner.gate)


# Two stacks of two weight tensors with one weight each. Norms over a stack: g_r 5 and 1, g_c 10 and 0.5.
REWARD_GRADIENT = ([[[3.0]], [[0.0]]], [[[4.0]], [[1.0]]])
COST_GRADIENT = ([[[0.0]], [[0.5]]], [[[10.0]], [[0.0]]])


@pytest.mark.parametrize(
    ("rule", "epsilon", "expected"),
    [
        # Eq 48: g_c~ = (0, 5) and (1, 0); times 0.4, less g_r.
        ("paper", 0.0, [[-3.0, -2.0], [0.4, -1.0]]),
        # epsilon = 10 halves the first ratio to 0.25; epsilon = 10 makes the second 1/10.5.
        ("paper", 10.0, [[-3.0, -3.0], [0.4 * 0.5 / 10.5, -1.0]]),
        # Eq 45 alone: 0.4 g_c - g_r.
        ("lagrangian", 0.0, [[-3.0, 0.0], [0.2, -1.0]]),
        # Normalised in the first stack (10 > 5), left alone in the second (0.5 < 1).
        ("bounded", 0.0, [[-3.0, -2.0], [0.2, -1.0]]),
    ],
)
def test_eq45_eq48_dual_channel_by_hand(rule, epsilon, expected):
    g_r, g_c = ([tensor(part) for part in gradients] for gradients in (REWARD_GRADIENT, COST_GRADIENT))
    step = descent(g_r, g_c, tensor([[[0.4]], [[0.4]]]), epsilon, rule)
    close(torch.cat(step, dim=1).squeeze(-1), expected)


def test_eq45_each_stack_has_its_own_multiplier():
    ones = [torch.ones(3, 1, 1, dtype=torch.float64)]
    (step,) = descent(ones, ones, tensor([[[0.0]], [[1.0]], [[3.0]]]), 0.0, "lagrangian")
    close(step.flatten(), [-1.0, 0.0, 2.0])


def random_gradients(seed):
    rng = source(seed)
    scale = 10.0 ** (6.0 * torch.rand(4, 1, 1, generator=rng, dtype=torch.float64) - 3.0)
    return [[s * torch.randn(4, n, 5, generator=rng, dtype=torch.float64) for n in (3, 1)] for s in (1.0, scale)]


@pytest.mark.parametrize("seed", range(20))
def test_eq48_the_normalised_cost_gradient_is_as_long_as_the_reward_gradient(seed):
    g_r, g_c = random_gradients(seed)
    multiplier = torch.ones(4, 1, 1, dtype=torch.float64)
    normalised = [step + g for step, g in zip(descent(g_r, g_c, multiplier, 1e-9, "paper"), g_r, strict=True)]
    torch.testing.assert_close(stack_norm(normalised), stack_norm(g_r), rtol=1e-5, atol=0.0)
    direction = [part / stack_norm(g_c) for part in g_c]
    for one, other in zip(normalised, direction, strict=True):
        torch.testing.assert_close(one / stack_norm(normalised), other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_eq48_below_one_the_step_never_stops_ascending_the_reward(seed):
    # D25: the product of step and g_r is -|g_r|^2 (1 - lambda cos), negative for every lambda < 1.
    g_r, g_c = random_gradients(seed)
    if seed % 2:
        g_c = [g.clone() for g in g_r]  # the cost rises exactly where the reward does
    multiplier = tensor([0.0, 0.5, 0.9, 0.99]).view(4, 1, 1)
    step = descent(g_r, g_c, multiplier, 1e-9, "paper")
    product = sum((one * other).sum(dim=(1, 2)) for one, other in zip(step, g_r, strict=True))
    assert (product < 0).all()


def test_eq48_without_a_cost_gradient_only_the_reward_is_left():
    (step,) = descent([tensor([[[2.0]]])], [tensor([[[0.0]]])], tensor([[[1.0]]]), 1e-6, "paper")
    close(step, [[[-2.0]]])


def test_clipping_is_per_stack_over_all_its_tensors():
    gradients = [tensor([[[3.0]], [[0.3]], [[0.0]]]), tensor([[[4.0]], [[0.4]], [[0.0]]])]
    norms = clip_stacks(gradients, 1.0)
    close(norms.flatten(), [5.0, 0.5, 0.0])
    close(torch.cat(gradients, dim=1).squeeze(-1), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])


# -- Eq 49-51, 56: the critic --------------------------------------------------------------------------


def test_eq49_eq50_td_target_by_hand():
    close(td_target(tensor([1.0, -2.0]), 0.5, tensor([4.0, 6.0])), [3.0, 1.0])
    close(td_target(tensor([0.3]), 0.0, tensor([100.0])), [0.3])


def test_eq49_eq50_each_head_converges_to_its_own_discounted_sum(settings):
    # Reward 1 and cost 3 in every slot for ever: 1 / (1 - 0.5) = 2 and 3 / (1 - 0.25) = 4.
    game = tiny_game(settings)
    changes = {"reward_discount": 0.5, "polyak": 0.1, "critic_learning_rate": 3e-3}
    generator = source()
    for kind in (MADDPG, CPOMADDPG):
        learner = make(kind, game, settings, cost_discount=0.25, **changes)
        for _ in range(500):
            batch = random_batch(game, generator, cost=lambda played: 3.0 * torch.ones_like(played))
            learn(learner, batch, 0.0)
        values = learner.critic(batch.observation, learner.act(batch.observation)).detach().mean(dim=(0, 1, 2))
        assert values.tolist() == pytest.approx([2.0, 4.0][: len(values)], rel=0.05)


def test_eq51_eq56_critic_loss_by_hand():
    # Run 0: (1 + 0), (4 + 1) | (0 + 4), (9 + 0): mean of 1, 5, 4, 9. Run 1: everything 2.
    reward = tensor([[[1.0, 2.0], [0.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]])
    cost = tensor([[[0.0, -1.0], [2.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    close(critic_loss(reward, cost, torch.ones(2, 2, dtype=torch.float64)), [4.75, 2.0])
    # Weights 1 and 0.5 halve the second transition: (1 + 5 + 2 + 4.5) / 4 and (2 + 2 + 1 + 1) / 4.
    close(critic_loss(reward, cost, tensor([[1.0, 0.5], [1.0, 0.5]])), [3.125, 1.5])


def test_eq51_a_critic_step_lowers_the_loss(settings):
    game = tiny_game(settings)
    learner = make(CPOMADDPG, game, settings)
    batch = random_batch(game, source(), reward=torch.square)
    losses = [learn(learner, batch, 0.0)["critic_loss"].item() for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_eq56_a_transition_of_weight_zero_teaches_nothing(settings):
    game = tiny_game(settings)
    batch = random_batch(game, source(), size=4)
    weight = tensor([[1.0, 1.0, 1.0, 0.0]])
    other_reward = batch.reward.clone()
    other_reward[:, 3] = 1e3
    critics = []
    for reward in (batch.reward, other_reward):
        learner = make(CPOMADDPG, game, settings)
        learn(learner, batch._replace(reward=reward, weight=weight), 0.0)
        critics.append(learner.critic.weights)
    for one, other in zip(*critics, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("head_hidden", [4, 0])
def test_a_head_does_not_touch_the_other_heads_weights(settings, head_hidden):
    game = tiny_game(settings)
    critic = Critic(game, [16, 16, 8], generators([1], Stream.WEIGHTS), heads=2, head_hidden=head_hidden)
    batch = random_batch(game, source())
    for head in (0, 1):
        grads = torch.autograd.grad(critic(batch.observation, batch.action)[..., head].sum(), critic.weights)
        # The heads' tensors hold reward columns first, cost columns second.
        for grad in grads[7:]:
            own, other = grad.chunk(2, dim=-1)[:: 1 if head == 0 else -1]
            assert own.abs().sum() > 0 and other.abs().sum() == 0
        assert all(grad.abs().sum() > 0 for grad in grads[:7])


def test_a_value_depends_on_what_all_agents_see_and_do_but_not_on_other_transitions(settings):
    game = tiny_game(settings, runs=2, devices=3)
    critic = Critic(game, [16, 16, 8], generators([1, 2], Stream.WEIGHTS), heads=2, head_hidden=4)
    batch = random_batch(game, source(), size=4)
    observation, action = batch.observation.requires_grad_(), batch.action.requires_grad_()
    value = critic(observation, action)[1, 2, 0].sum()
    for slope in torch.autograd.grad(value, [observation, action]):
        reach = slope.abs().sum(dim=-1) > 0
        assert reach[1, 2].all()
        assert reach.sum() == game.devices


def test_the_critic_does_not_care_how_agents_are_numbered(settings):
    game = tiny_game(settings, runs=2, devices=4)
    critic = Critic(game, [16, 16, 8], generators([1, 2], Stream.WEIGHTS), heads=2, head_hidden=4)
    batch = random_batch(game, source(), size=5)
    order = [2, 0, 3, 1]
    values = critic(batch.observation, batch.action)
    shuffled = critic(batch.observation[:, :, order], batch.action[:, :, order])
    torch.testing.assert_close(shuffled, values[:, :, order], rtol=1e-12, atol=1e-12)
    assert (values[:, :, 0] - values[:, :, 1]).abs().max() > 1e-6


def test_the_critic_sees_a_threshold_and_the_actor_a_slope():
    # Two chunks: 0.2 becomes 1 and -0.7 becomes -1, the other four of a chunk are left alone.
    action = tensor([[0.2, 0.1, 0.2, 0.3, 0.4, -0.7, 0.5, 0.6, 0.7, 0.8]]).requires_grad_()
    hard = binary_offload(action, 2)
    close(hard.detach(), [[1.0, 0.1, 0.2, 0.3, 0.4, -1.0, 0.5, 0.6, 0.7, 0.8]])
    close(torch.autograd.grad(hard @ torch.arange(10.0, dtype=torch.float64), action)[0], [list(range(10))])


def test_critic_and_game_agree_on_what_is_offloaded():
    signal = tensor([-1.0, -1e-9, 0.0, 1e-9, 1.0])
    action = torch.stack([signal] + [torch.zeros_like(signal)] * 4, dim=-1)
    assert torch.equal(binary_offload(action, 1)[..., 0] > 0, offload_decision(signal) > 0)


def test_an_agents_weights_move_that_agent_only(settings):
    game = tiny_game(settings, runs=2, devices=3)
    actors = make_actors(game, settings)
    observation = observations(game, 4, source())
    before = actors(observation)
    for layer in range(len(actors.weights)):
        weights = copies(actors.weights)
        weights[layer][1 * 3 + 2] += 0.3  # run 1, agent 2
        changed = (actors(observation, weights) != before).any(dim=-1).any(dim=1)
        assert changed.tolist() == [[False, False, False], [False, False, True]]


def test_actions_are_the_tanh_of_the_raw_outputs(settings):
    game = tiny_game(settings, devices=3)
    actors, observation = make_actors(game, settings), observations(game, 4, source())
    action, (raw, _) = actors(observation), actors.forward(observation)
    assert action.shape == (1, 4, 3, 5)
    np.testing.assert_allclose(action.detach().numpy(), np.tanh(raw.detach().numpy()), rtol=1e-12)


def test_targets_follow_by_hand():
    target, weight = tensor([0.0, 5.0]), tensor([10.0, 5.0])
    follow([target], [weight], 0.1)
    close(target, [1.0, 5.0])
    follow([target], [weight], 0.1)
    close(target, [1.9, 5.0])
    follow([target], [weight], 1.0)
    assert torch.equal(target, weight) and weight.tolist() == [10.0, 5.0]


@pytest.mark.parametrize("kind", [MADDPG, CPOMADDPG])
def test_both_targets_follow_after_an_update(settings, kind):
    game = tiny_game(settings)
    learner = make(kind, game, settings, polyak=0.25)
    old = [copies(learner.target_actors), copies(learner.target_critic)]
    learn(learner, random_batch(game, source()), 0.0)
    new = [learner.target_actors, learner.target_critic]
    for before, after, weights in zip(old, new, [learner.actors.weights, learner.critic.weights], strict=True):
        for start, end, goal in zip(before, after, weights, strict=True):
            torch.testing.assert_close(4.0 * (end - start), goal.detach() - start, rtol=1e-9, atol=1e-12)
            assert not torch.equal(start, end)


# -- Eq 52-55: prioritised replay ----------------------------------------------------------------------


def test_eq52_normalised_error_by_hand():
    # 1, 3, 5, 7: mean 4, population variance 5. The second agent's errors are ten times as large, plus 100.
    errors = tensor([[[1.0, 110.0], [3.0, 130.0], [5.0, 150.0], [7.0, 170.0]]])
    root = 5.0**0.5
    close(normalised_error(errors, 0.0), [[[x / root, x / root] for x in (-3.0, -1.0, 1.0, 3.0)]])
    close(normalised_error(errors, 1.0)[0, :, 0], [x / (root + 1.0) for x in (-3.0, -1.0, 1.0, 3.0)])


def test_eq52_runs_do_not_mix_and_equal_errors_give_zero():
    errors = tensor([[[2.0], [2.0]], [[0.0], [8.0]]])
    close(normalised_error(errors, 1e-6)[0], [[0.0], [0.0]])
    torch.testing.assert_close(normalised_error(errors, 1e-6)[1], tensor([[-1.0], [1.0]]), rtol=1e-6, atol=0.0)


def test_eq53_priority_by_hand():
    # Sums of magnitudes over heads: 1 + 2, 3 + 2 (mean over agents 4) and 0, 0; epsilon 5 and exponent 1/2.
    reward, cost = tensor([[[1.0, -3.0], [0.0, 0.0]]]), tensor([[[-2.0, 2.0], [0.0, 0.0]]])
    close(priority(reward, cost, 5.0, 0.5), [[3.0, 5.0**0.5]])
    close(priority(reward, cost, 1e-6, 0.0), [[1.0, 1.0]])


def test_eq53_what_surprises_either_head_gets_the_highest_priority(settings):
    game = tiny_game(settings)
    for part in ("reward", "cost"):
        learner, same = (make(CPOMADDPG, game, settings) for _ in range(2))
        batch = random_batch(game, source(), size=8)._replace(places=torch.arange(8).unsqueeze(0))
        getattr(batch, part)[:, 5] += 50.0
        _, priorities = learner.learn(batch, learner.excess)
        assert priorities.shape == (1, 8) and priorities.argmax() == 5 and (priorities > 0).all()
        learn(same, batch)
        assert torch.equal(same.replay.priorities[:, :8], priorities)


def test_eq54_sample_indices_by_hand():
    # Cumulative 1, 4, 4, 8: a draw below 1/8 is transition 0, below 1/2 is 1, never 2, else 3.
    indices, probability = sample_indices(
        tensor([[1.0, 3.0, 0.0, 4.0]]), tensor([[0.0, 0.124, 0.125, 0.499, 0.5, 0.999]])
    )
    assert indices.tolist() == [[0, 0, 1, 1, 3, 3]]
    close(probability, [[0.125, 0.125, 0.375, 0.375, 0.5, 0.5]])


def test_eq54_frequencies_are_the_probabilities():
    weights = [[0.5, 2.0, 1.0, 4.0, 0.1], [1.0, 1.0, 1.0, 1.0, 6.0]]
    draws = torch.rand(2, 40_000, generator=source(3), dtype=torch.float64)
    indices, _ = sample_indices(tensor(weights), draws)
    for run in range(2):
        counts = np.bincount(indices[run].numpy(), minlength=5)
        expected = 40_000 * np.array(weights[run]) / sum(weights[run])
        assert distributions.chisquare(counts, expected).pvalue > 1e-3


def test_eq55_importance_weights_by_hand():
    # N P = 2, 1, 0.5: weights 1/2, 1, 2, over the maximum 1/4, 1/2, 1; then their square roots; then ones.
    probability = tensor([[0.5, 0.25, 0.125]])
    close(importance_weights(probability, 4, 1.0), [[0.25, 0.5, 1.0]])
    close(importance_weights(probability, 4, 0.5), [[0.5, 0.5**0.5, 1.0]])
    close(importance_weights(probability, 4, 0.0), [[1.0, 1.0, 1.0]])


def test_eq55_at_exponent_one_the_weighted_mean_is_that_of_uniform_replay():
    probability, values = tensor([[0.1, 0.2, 0.3, 0.4]]), tensor([[5.0, -1.0, 7.0, 2.0]])
    weight = importance_weights(probability, 4, 1.0)
    mean = (probability * weight * values).sum() / (probability * weight).sum()
    assert mean.item() == pytest.approx(3.25)


def test_eq55_annealing(settings):
    assert [annealed((0.4, 1.0), done) for done in (-1.0, 0.0, 0.5, 1.0, 2.0)] == pytest.approx(
        [0.4, 0.4, 0.7, 1.0, 1.0]
    )
    learner = make(CPOMADDPG, tiny_game(settings), settings)
    assert [learner.importance_exponent(done) for done in (0.0, 0.25, 1.0)] == pytest.approx([0.4, 0.55, 1.0])


def filled(prioritised, steps, capacity=4, envs=1):
    """A buffer of 2 runs and 3 agents in which everything stored at step s by run r is about 100 r + s."""
    buffer = Replay(2, capacity, 3, 2, 5, torch.device("cpu"), torch.float64, prioritised)
    for step in range(steps):
        mark = (100.0 * torch.arange(2, dtype=torch.float64) + step).view(2, 1, 1, 1)
        observation = mark.expand(2, envs, 3, 2) + torch.arange(3).view(3, 1)
        action = mark.expand(2, envs, 3, 5) / 1000.0
        buffer.add(observation, action, observation[..., 0] + 0.25, observation[..., 0] + 0.5, observation + 0.75)
    return buffer


def test_a_buffer_that_no_memory_holds_is_refused_in_one_line():
    # 2 x 10^9 x 10^6 x 11 numbers are more than an address can reach, so nothing is allocated anywhere.
    with pytest.raises(ConfigError, match=r"^learning\.buffer = 1000000000: .*; this takes 176,000,000\.0 GB$"):
        Replay(2, 10**9, 10**6, 2, 5, torch.device("cpu"), torch.float64, True)


@pytest.mark.parametrize("prioritised", [False, True])
def test_what_is_replayed_is_what_was_stored(prioritised):
    batch = filled(prioritised, 3).sample(tensor([[0.0, 0.4, 0.9], [0.9, 0.4, 0.0]]), 1.0)
    for run, steps in enumerate([[0, 1, 2], [2, 1, 0]]):
        assert batch.places[run].tolist() == steps
        for row, step in enumerate(steps):
            mark = 100.0 * run + step
            for agent in range(3):
                close(batch.observation[run, row, agent], [mark + agent] * 2)
                close(batch.action[run, row, agent], [mark / 1000.0] * 5)
                close(batch.reward[run, row, agent], mark + agent + 0.25)
                close(batch.cost[run, row, agent], mark + agent + 0.5)
                close(batch.next_observation[run, row, agent], [mark + agent + 0.75] * 2)
    assert batch.weight.tolist() == [[1.0] * 3] * 2


def test_a_full_buffer_forgets_the_oldest():
    buffer = filled(False, 6)
    assert buffer.size == 4
    assert buffer.data[0, :, 0, 0].tolist() == [4.0, 5.0, 2.0, 3.0]
    wrapped = filled(False, 2, capacity=4, envs=3)
    assert wrapped.size == 4
    assert wrapped.data[1, :, 0, 0].tolist() == [101.0, 101.0, 100.0, 101.0]


def test_new_transitions_enter_at_the_maximum_priority_so_far():
    buffer = filled(True, 2)
    assert buffer.priorities.tolist() == [[1.0, 1.0, 0.0, 0.0]] * 2
    buffer.set_priorities(torch.tensor([[0, 1], [1, 0]]), tensor([[7.0, 0.5], [0.25, 0.125]]))
    assert buffer.priorities.tolist() == [[7.0, 0.5, 0.0, 0.0], [0.125, 0.25, 0.0, 0.0]]
    zeros = torch.zeros(2, 1, 3, 2, dtype=torch.float64)
    buffer.add(zeros, torch.zeros(2, 1, 3, 5, dtype=torch.float64), zeros[..., 0], zeros[..., 0], zeros)
    assert buffer.priorities[:, 2].tolist() == [7.0, 1.0]
    buffer.set_priorities(torch.tensor([[0], [0]]), tensor([[0.1], [0.1]]))
    assert buffer.highest.flatten().tolist() == [7.0, 1.0]


def test_replay_is_by_priority_with_weights_or_uniform_with_ones():
    draws = torch.rand(2, 20_000, generator=source(4), dtype=torch.float64)
    for prioritised, expected in ((True, [0.1, 0.2, 0.7]), (False, [1 / 3, 1 / 3, 1 / 3])):
        buffer = filled(prioritised, 3)
        buffer.set_priorities(torch.tensor([[0, 1, 2]] * 2), tensor([[1.0, 2.0, 7.0]] * 2))
        batch = buffer.sample(draws, 1.0)
        for run in range(2):
            counts = np.bincount(batch.places[run].numpy(), minlength=3)
            assert distributions.chisquare(counts, 20_000 * np.array(expected)).pvalue > 1e-3
        by_transition = [batch.weight[0][batch.places[0] == i].unique().tolist() for i in range(3)]
        wanted = [1.0, 1 / 2, 1 / 7] if prioritised else [1.0, 1.0, 1.0]
        assert [len(values) for values in by_transition] == [1, 1, 1]
        assert [values[0] for values in by_transition] == pytest.approx(wanted)


def test_adam_steps_a_gradient_whatever_its_memory_order():
    gradient = torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(1)).transpose(1, 2)
    moved = []
    for given in (gradient, gradient.contiguous()):
        weight = torch.zeros(1, 6, 2)
        Optimiser([weight], 0.1).step([given])
        moved.append(weight)
    assert torch.allclose(*moved)
