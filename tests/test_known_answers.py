"""Every learner solves small problems whose answer is known, played through the training loop as it is.

Three problems of two devices: a one-slot quadratic, the same with a limit that binds, and a channel on which one
device should send and the other should not. Each test says what its tolerance rests on, and that the policy before
training misses it.
"""

import itertools
from dataclasses import replace

import pytest
import torch

from mecpaper.config import ALGORITHMS, Config, parse, resolve
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.env.streams import Stream, generators
from mecpaper.training import loop
from mecpaper.training.loop import Training

LEARNING = {
    "hidden": [32, 32, 16], "actor_learning_rate": 1e-3, "critic_learning_rate": 3e-3, "gradient_norm": 1.0,
    "polyak": 0.01, "batch": 64, "buffer": 4096, "reward_scale": 0.1, "noise": [0.4, 0.02], "noise_correlation": 1.0,
    "warmup_fraction": 0.05, "warmup": "policy", "actor_output_start": 0.03, "permute_chunks": False,
    "rate_hold": 0.0, "rate_last": 1.0, "critic_first_fraction": 0.0, "noise_until": 1.0, "noise_free_share": 0.0,
    "credit": "printed", "critic": "pooled",
}  # fmt: skip
MAPPO = {
    "clip": 0.2, "advantage": "own", "value_decay": 0.9, "advantage_decay": 0.95, "entropy": 0.001, "std": 0.4,
    "minibatch": 32, "epochs": 4,
}  # fmt: skip
"""Numbers for small problems, all fixed here: what is tuned for the paper's game does not change these tests."""

LEARNERS = [name for name, entry in ALGORITHMS.items() if entry.learns]


@pytest.fixture(params=["float32", "bfloat16"])
def small(small, request):
    """`small` in either precision of products."""
    data = small.model_dump()
    data["learning"]["precision"] = request.param
    return parse(Config, data)


def configured(small, game, rounds, at_once, learning=None, **own):
    """`small` with two devices, one chunk, no tuned numbers, and the given changes."""
    data = small.model_dump()
    data["game"] |= {"devices": 2, "chunks": 1} | game
    data["scenarios"], data["policies"] = {"default": {}}, []
    data["learning"] |= LEARNING | (learning or {})
    for name in ALGORITHMS:
        data[name]["learning"] = {}
    data["mappo"] |= MAPPO
    for name, changes in own.items():
        data[name] |= changes
    scale = data["scales"][data["scale"]]
    scale |= {"episodes": rounds * at_once, "episodes_at_once": at_once, "curve_every": rounds * at_once}
    scale["slots_per_update"] = 1
    return parse(Config, data)


def played(training, watch=lambda: None):
    """Train to the end; what `watch` returned after every tenth round."""
    seen, at_once = [], training.scale.episodes_at_once
    while training.episode < training.scale.episodes:
        training.play_round()
        if training.episode % (10 * at_once) == 0:
            seen.append(watch())
    return seen


# -- one slot, a quadratic reward ----------------------------------------------------------------------

ONE_SLOT = {"slots": 1, "battery_capacity": 2.0}
PLAIN = {
    "reward_discount": 0.0,
    "saturation_penalty": 0.0,
    "saturation_last": 0.0,
    "critic_learning_rate": 5e-3,
}
"""A slot that has no next one needs no discount, and the penalty of D34 would move the best action."""

WEIGHTS = torch.tensor([0.4, 0.3, 0.2, 0.1])
"""Of the four outputs behind the offloading decision in the cost."""


class Quadratic(Game):
    r"""The game with another reward, $r_n = -\frac14 \sum_d (a_{nd} - b_d(o_n))^2$, and cost, $c_n = 1 + w \cdot a_n$.

    a is the action less the offloading decision. The best action b is linear in the observed channel gain z, which is
    uniform in [-1, 1].
    """

    centre = torch.tensor([0.5, -0.5, 0.3, -0.3])
    slope = torch.tensor([0.3, 0.3, -0.3, -0.3])

    def best(self, observation):
        middle, half = (part.unsqueeze(1) for part in self.observation_range())
        place = self.observation_names.index("gain_db_1")
        return self.centre + self.slope * ((observation - middle) / half)[..., place, None]

    def step(self, action):
        best, action_part = self.best(self.observe()), action[..., 1:].clamp(-1.0, 1.0)
        reward = -(action_part - best).square().mean(dim=-1)
        return replace(super().step(action), reward=reward, cost=1.0 + action_part @ WEIGHTS)


class Apart(Quadratic):
    """The second device's best action is the first one's with the other sign."""

    centre = Quadratic.centre * torch.tensor([[1.0], [-1.0]])


class Constant(Quadratic):
    """Every output is best at 1/2, whatever is observed."""

    centre, slope = torch.full((4,), 0.5), torch.zeros(4)


def started(monkeypatch, kind, config, algorithm):
    """A training on another game, and 200 observations of each run with their best actions."""
    monkeypatch.setattr(loop, "Game", kind)
    training = Training(resolve(config, algorithm, "default"))
    game = kind(training.game.configs, 200)
    observation = game.reset(generators([8] * game.runs, Stream.EVALUATION))
    return training, observation, game.best(observation)


@pytest.mark.parametrize(
    ("algorithm", "critic", "kind"),
    # Critics that agents share cannot tell devices apart whose observations look alike; the other two can.
    [
        *((name, "pooled", Quadratic) for name in LEARNERS),
        *((name, "channel", Quadratic) for name in LEARNERS if name != "mappo"),
        ("maddpg", "separate", Apart),
        ("maddpg", "joint", Apart),
    ],
)
def test_eq42_eq43_every_learner_finds_the_best_action(small, monkeypatch, algorithm, critic, kind):
    # Tolerance: the root of the mean square of 0.3 z is 0.17, by which a policy misses that is right on average but
    # blind to the channel. Half of that is allowed; a small critic that is still learning leaves 0.03 to 0.07.
    game = ONE_SLOT | {"cost_limit_fraction": 1.0}
    learning = PLAIN | {"critic": critic, "hidden": [32, 32, 16] if critic in ("pooled", "channel") else [64, 64, 32]}
    # MAPPO makes four updates a round; MATD3's actors move at every second update; MADDPG hears little on a channel.
    rounds = 1200 if (algorithm, critic) == ("maddpg", "channel") else {"mappo": 400, "matd3": 1200}.get(algorithm, 800)
    config = configured(small, game, rounds, 32, learning, cpo_maddpg={"multiplier_fixed": 0.0})
    training, observation, best = started(monkeypatch, kind, config, algorithm)

    def miss():
        error = training.learner.act(observation)[..., 1:] - best
        return error.square().mean(dim=(1, 3)).sqrt()

    assert miss().min().item() > 0.4
    played(training)
    assert miss().max().item() < 0.085
    multiplier = training.learner.multiplier()
    assert multiplier is None or (multiplier == 0).all()


# -- the same with a limit that binds ------------------------------------------------------------------

# maximise -1/4 |a - b|^2 under 1 + w a <= C: a = b - 2 lambda w, and lambda = (1 + w b - C) / (2 |w|^2). With b = 1/2
# everywhere, w = (0.4, 0.3, 0.2, 0.1) and C = 1.2 that is lambda = 0.3 / 0.6 and a = (0.1, 0.2, 0.3, 0.4). Reward and
# cost are multiplied by the same reward_scale in the critic, so lambda does not depend on it.
LIMIT, MULTIPLIER, CONSTRAINED = 1.2, 0.5, [0.1, 0.2, 0.3, 0.4]


def constrained(small, monkeypatch, algorithm, rounds, rate, **changes):
    """Learn the problem above; per tenth round of the last third the mean action `[., run, 4]` and multiplier."""
    game = ONE_SLOT | {"cost_limit_fraction": LIMIT / ONE_SLOT["battery_capacity"]}
    # One step per slot and episode: the excess is the mean of the 32 that are played side by side (D38).
    config = configured(small, game, rounds, 32, PLAIN, **{algorithm: changes | {"multiplier_rate": 32 * rate}})
    training, observation, _ = started(monkeypatch, Constant, config, algorithm)

    def watch():
        return training.learner.act(observation)[..., 1:].mean(dim=(1, 2)), training.learner.multiplier().mean(dim=1)

    seen = played(training, watch)
    actions, multipliers = (torch.stack(part) for part in zip(*seen[-len(seen) // 3 :], strict=True))
    return actions, multipliers


@pytest.mark.parametrize(
    ("algorithm", "changes"), [("cpo_maddpg", {"gradient": "lagrangian"}), ("lmaddpg", {})], ids=["cpo", "lmaddpg"]
)
def test_eq39_eq40_the_lagrangian_rule_finds_the_constrained_optimum_and_its_multiplier(
    small, monkeypatch, algorithm, changes
):
    # Tolerance: the multiplier integrates the excess, so the limit is met closely. How the outputs share the cost, and
    # the multiplier itself, rest on slopes of a small critic that is still learning, good to a fifth of 1/2. Equal
    # outputs that meet the limit miss the last one by 0.2, a policy without a limit the first one by 0.4.
    action, multiplier = constrained(small, monkeypatch, algorithm, 1000, 5e-4, **changes)
    for run in range(2):
        assert (1.0 + action[:, run].mean(dim=0) @ WEIGHTS).item() == pytest.approx(LIMIT, abs=0.03)
        assert action[:, run].mean(dim=0).tolist() == pytest.approx(CONSTRAINED, abs=0.1)
        assert multiplier[:, run].mean().item() == pytest.approx(MULTIPLIER, abs=0.1)
    # It settles there.
    assert (multiplier.amax(dim=0) - multiplier.amin(dim=0)).max().item() < 0.15


def test_eq48_the_papers_rule_cannot_hold_the_limit_with_a_multiplier_below_one(small, monkeypatch):
    # D25. A multiplier of 0.5 would do. But the step -g_r + lambda |g_r| g_c / |g_c| of opposed gradients rests only at
    # lambda = 1; below, it climbs to where little but noise is left of g_r, near the unconstrained cost of 1.5.
    action, multiplier = constrained(small, monkeypatch, "cpo_maddpg", 600, 1e-3, gradient="paper", multiplier_max=0.6)
    assert multiplier.unique().tolist() == [pytest.approx(0.6)]
    assert (1.0 + action @ WEIGHTS).min().item() > LIMIT + 0.15


def test_eq48_the_papers_rule_swings_about_the_limit_when_the_multiplier_may_pass_one(small, monkeypatch):
    # The step changes sign where lambda passes 1 and is as long on both sides, and lambda integrates the excess: two
    # integrators in a ring. Cost and multiplier swing about the limit and about 1, twice the true multiplier; only
    # means over the swings are known, and a third of the training holds a few of them: hence the wider tolerance.
    action, multiplier = constrained(small, monkeypatch, "cpo_maddpg", 1200, 3e-4, gradient="paper", multiplier_max=5.0)
    cost = 1.0 + action @ WEIGHTS
    for run in range(2):
        assert cost[:, run].mean().item() == pytest.approx(LIMIT, abs=0.06)
        assert action[:, run].mean(dim=0).tolist() == pytest.approx(CONSTRAINED, abs=0.1)
        assert multiplier[:, run].mean().item() == pytest.approx(1.0, abs=0.1)
        assert cost[:, run].min() < LIMIT - 0.1 and cost[:, run].max() > LIMIT + 0.1


# -- two devices on one channel ------------------------------------------------------------------------

SENDER = {
    "slots": 4, "frame_rate": [5.0, 5.0], "resolution": [400.0, 400.0], "transmit_power": [1.0, 1.0],
    "cpu_frequency": [0.2e9, 1.2e9], "energy_coefficient": [5e-28, 4e-27], "cycles_per_bit": 40.0, "bandwidth": 25e6,
    "gain_db": [8.5, 9.5], "eavesdropper_power": 0.25, "battery_capacity": 8.0, "harvest_fraction": 1.0,
    "cost_limit_fraction": 1.0,
}  # fmt: skip
"""What is left to decide is which device sends, and the frequency of the one that does not. Alone on the channel either
device gains by sending. The second one, whose processor needs more energy, gains even beside the other; the first then
loses. So the second one should send, for the sum of the rewards and for each device's own. (From the seeds below, the
untrained actors of three runs of four ask the first one to send.)"""

SIGNALS = [-1.0 + 0.2 * i for i in range(11)]
JOINT = list(itertools.product([-1.0, 1.0], [-1.0, 1.0], SIGNALS, SIGNALS))
"""Offloading of both devices, then their frequencies."""


def enumerated(config):
    """Mean reward of every action in JOINT, all on the same episodes."""
    game = Game([config.game] * len(JOINT), 10)
    action = torch.zeros(len(JOINT), 10, 2, 5)
    action[..., [0, 4]] = torch.tensor(JOINT).view(-1, 1, 2, 2).transpose(2, 3)
    return evaluate(lambda observation, uniform: action, game, [9] * len(JOINT))["reward"]


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [*((name, {}) for name in LEARNERS), ("mappo", {"advantage": "team"})],
    ids=[*LEARNERS, "mappo_team"],
)
def test_eq24_every_learner_finds_who_should_send(small, algorithm, changes):
    # At least 95 % of the best enumerated reward: no other decision comes up to 75 % of it. Three seeds of four: those
    # that replay sometimes stay where the critic's slope at a decision of -1 or 1, which is all that D30 hands the
    # actors, has not the sign of what the other decision would change. Of 16 seeds 14 to 16 found the sender.
    learning = {"critic": "joint", "warmup": "uniform", "warmup_fraction": 0.2}
    learning |= {
        "reward_discount": 0.2,
        "saturation_penalty": 0.01,
        "saturation_last": 0.01,
    }
    config = configured(small, SENDER, 200, 16, learning, **{algorithm: changes})
    rewards = enumerated(config)
    best = rewards.max().item()
    others = [r for r, joint in zip(rewards.tolist(), JOINT, strict=True) if joint[:2] != (-1.0, 1.0)]
    assert JOINT[rewards.argmax()][:2] == (-1.0, 1.0) and max(others) < 0.75 * best

    training = Training(resolve(config, algorithm, "default", seeds=[1, 2, 3, 4]))
    game = Game(training.game.configs, 10)
    before = evaluate(training.learner.act, game, [9] * 4)
    assert before["reward"].max().item() < 0.75 * best
    played(training)
    after = evaluate(training.learner.act, game, [9] * 4)
    assert (after["reward"] >= 0.95 * best).sum() >= 3, after["reward"] / best
    # The constraint is slack, so nothing but the reward was followed.
    multiplier = training.learner.multiplier()
    assert multiplier is None or (multiplier == 0).all()
