"""The game: against a slow reference, constraints C1-C6, independence of runs, observations, refusals."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mecpaper import config
from mecpaper.config import ConfigError, GameConfig
from mecpaper.env.game import Game
from mecpaper.env.streams import generators
from mecpaper.system import quality, tasks
from tests import reference_game

REPRODUCIBLE = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "phases": [Phase.generate],  # the numbers come from a seed, so a smaller seed would not be a simpler case
    "suppress_health_check": list(HealthCheck),
}
SLOTS = 12
RUNS = 5

DEFAULT = {
    "access": "full_band", "eavesdropper_gain": "shared", "listening_power": "fixed", "gain_error": "decibel",
    "gain_set": "estimate", "frame_change": "literal", "harvest": "uniform", "observation": "literal",
}  # fmt: skip
# A setting of the tests' own, so that the numbers worked out by hand below stand on their own feet.
BASE = {
    "devices": 20, "chunks": 3, "slots": 50, "frame_rate": [1.0, 5.0], "resolution": [320.0, 720.0],
    "transmit_power": [0.3, 1.0], "cpu_frequency": [0.4e9, 1.5e9], "bits_per_pixel": 12.0, "cycles_per_bit": 50.0,
    "energy_coefficient": 5.0e-28, "server_frequency": 50.0e9, "bandwidth": 120.0e6, "noise_power": 1.0,
    "eavesdropper_noise_power": 1.0, "eavesdropper_power": 0.25, "gain_db": [8.0, 10.0], "gain_error_fraction": 0.1,
    "accuracy_ceiling": 0.988, "accuracy_drop": 4.469, "accuracy_scale": 200.0, "quality_weights": [0.5, 0.5],
    "cost_weights": [0.5, 0.5], "battery_capacity": 8.0, "battery_threshold_fraction": 0.3, "harvest_fraction": 0.05,
    "cost_limit_fraction": 0.05, "insecure_request_cost": 0.0, "traces": None, "accuracy_curve": None,
}  # fmt: skip


def setting(readings: dict | None = None, **constants) -> GameConfig:
    """BASE with some constants and readings changed."""
    return config.parse(GameConfig, BASE | constants | {"readings": DEFAULT | (readings or {})})


READINGS = st.fixed_dictionaries(
    {
        "access": st.sampled_from(["full_band", "full_band", "orthogonal"]),
        "eavesdropper_gain": st.sampled_from(["shared", "independent"]),
        "listening_power": st.sampled_from(["fixed", "fixed", "user"]),
        "gain_error": st.sampled_from(["decibel", "linear"]),
        "gain_set": st.sampled_from(["estimate", "true_gain"]),
        "frame_change": st.sampled_from(["literal", "clipped"]),
        "harvest": st.sampled_from(["uniform", "fixed"]),
        "observation": st.sampled_from(["literal", "augmented"]),
    }
)


def constants(devices: int, chunks: int, readings: dict, cascading: bool, rng: np.random.Generator) -> dict:
    """Constants of a game, far wider than any setting of the paper; one number in ten is at its bound.

    A server noisier than the eavesdropper needs the others' interference to be secure: taking one sender off the
    air uncovers the next. With `cascading` the numbers are such.
    """

    def number(low, high):
        return float(rng.choice([low, high])) if rng.random() < 0.1 else float(rng.uniform(low, high))

    def span(low, high):
        ends = sorted([number(low, high), number(low, high)])
        return [ends[0]] * 2 if rng.random() < 0.1 else ends

    def one_or_each(low, high):
        return [number(low, high) for _ in range(devices)] if rng.random() < 0.4 else number(low, high)

    def spans(low, high):
        if rng.random() < 0.6:
            return span(low, high)
        each = [span(low, high) for _ in range(devices)]
        return [[pair[0] for pair in each], [pair[1] for pair in each]]

    mu, beta = number(0.0, 1.0), number(0.0, 1.0)
    return {
        "devices": devices,
        "chunks": chunks,
        "slots": SLOTS,
        "frame_rate": span(0.5, 30.0),
        "resolution": span(100.0, 1080.0),
        "transmit_power": spans(0.2, 2.0) if cascading else spans(0.01, 2.0),
        "cpu_frequency": spans(1e8, 3e9),
        "bits_per_pixel": number(0.5, 24.0),
        "cycles_per_bit": number(0.1, 1000.0),
        "energy_coefficient": one_or_each(1e-29, 1e-26),
        "server_frequency": number(1e9, 1e11),
        "bandwidth": number(1e5, 1e9),
        "noise_power": number(4.0, 12.0) if cascading else number(0.1, 50.0),
        "eavesdropper_noise_power": number(0.5, 2.0) if cascading else number(0.1, 50.0),
        "eavesdropper_power": number(0.1, 0.5) if cascading else number(0.0, 2.0),
        "gain_db": span(1.0, 9.0) if cascading else span(1.0, 20.0),
        "gain_error_fraction": number(0.005, 0.05) if cascading else number(0.01, 0.6),
        "accuracy_ceiling": number(0.5, 1.0),
        "accuracy_drop": number(0.5, 6.0),
        "accuracy_scale": number(50.0, 500.0),
        "quality_weights": [mu, 1.0 - mu],
        "cost_weights": [beta, 1.0 - beta],
        # From empty at once to never drained: a chunk may cost micro- or kilojoules.
        "battery_capacity": one_or_each(0.1, 10.0 ** rng.uniform(0.0, 4.0)),
        "battery_threshold_fraction": number(0.0, 1.0),
        "harvest_fraction": number(0.0, 0.5),
        "cost_limit_fraction": number(0.01, 1.0),
        "insecure_request_cost": number(0.0, 1.0),
        "readings": readings,
        "traces": None,
        "accuracy_curve": None,
    }


@st.composite
def batches(draw) -> tuple[list[dict], int, int]:
    """Games that may share a batch, the number of envs, and a seed for random numbers and actions."""
    devices, chunks = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    readings, seed = draw(READINGS), draw(st.integers(0, 2**31 - 1 - RUNS))
    cascading = draw(st.lists(st.booleans(), min_size=RUNS, max_size=RUNS))
    games = [
        constants(devices, chunks, readings, hot, np.random.default_rng([seed, run]))
        for run, hot in enumerate(cascading)
    ]
    return games, draw(st.integers(1, 2)), seed


def seeded(seeds) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def episode_draws(seed: int, slots: int, envs: int, devices: int, chunks: int) -> list[dict]:
    """The numbers from [0, 1) that an episode uses, per env, as the reference wants them."""
    shape = (slots + 1, envs, devices, 3 * chunks + 1)
    uniform = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    names = ("gain", "other_gain", "error")
    return [
        {name: uniform[:, env, :, i * chunks : (i + 1) * chunks].tolist() for i, name in enumerate(names)}
        | {"harvest": uniform[:, env, :, -1].tolist()}
        for env in range(envs)
    ]


def random_actions(seed: int, shape: tuple[int, ...], chunks: int) -> torch.Tensor:
    """Outputs inside and outside [-1, 1]; more requests than not, so that there is something to mask."""
    rng = np.random.default_rng(seed)
    actions = rng.normal(0.0, 1.0, (*shape, chunks, 5))
    actions[..., 0] += rng.choice([-0.5, 0.7, 2.0])
    return torch.from_numpy(actions.reshape(*shape, 5 * chunks))


def test_a_seed_is_an_integer_of_any_kind_in_the_range():
    def drawn(seeds):
        return [generator.get_state().tolist() for generator in generators(seeds, 1)]

    assert (
        drawn([0, 5, 2**31 - 1]) == drawn(np.array([0, 5, 2**31 - 1])) == drawn([np.int32(0), np.uint8(5), 2**31 - 1])
    )
    for wrong in (-1, np.int64(-1), 2**31, 1.0, np.float64(1.0), "1", None):
        with pytest.raises(ConfigError, match=r"^seed = .*: an integer from 0 to 2\*\*31 - 1$"):
            generators([wrong], 1)


def played(game: Game, generators: list[torch.Generator], actions: torch.Tensor) -> dict[str, np.ndarray]:
    """A trajectory of the batched game, every quantity as [slot, run, env, device, ...].

    Rates of what was requested are asked of the game after the slot, for the decisions that were requested.
    """
    observations, slots = [game.reset(generators)], []
    for t, action in enumerate(actions):
        slot = game.step(action)
        upload, secrecy = game.rates(t, slot.requested, slot.transmit_power)
        slots.append(vars(slot) | {"requested_upload_rate": upload, "requested_secrecy_rate": secrecy})
        observations.append(game.observe())
    record = {name: torch.stack([slot[name] for slot in slots]).double().numpy() for name in slots[0]}
    return record | {"observation": torch.stack(observations).double().numpy()}


EXACT = {"requested": "requested", "secure_request": "first_pass", "offload": "offload"}
CLOSE = (
    "frame_rate", "resolution", "transmit_power", "cpu_frequency", "upload_rate", "secrecy_rate",
    "requested_upload_rate", "requested_secrecy_rate", "latency", "energy", "accuracy", "quality",
    "compute_cost", "penalty", "battery", "reward", "cost", "observation",
)  # fmt: skip


def floors(data: dict, reference: dict[str, np.ndarray]) -> dict[str, np.ndarray | float]:
    """Size of the terms of which a quantity is the difference: what rounding is to be measured by."""
    capacity = np.array([reference_game.of_device(data["battery_capacity"], n) for n in range(data["devices"])])
    quality = data["accuracy_ceiling"] + data["accuracy_drop"] + np.abs(reference["mean_smoothness"])
    return {
        "secrecy_rate": reference["rate_size"],
        "requested_secrecy_rate": reference["requested_rate_size"],
        "accuracy": data["accuracy_ceiling"] + data["accuracy_drop"],
        "quality": quality,
        "penalty": capacity,
        "battery": capacity + reference["cost"],
        "reward": reference["reward_size"] + quality.sum(axis=-1),
        "observation": 1.0,
    }


def assert_same(batched: dict, reference: dict, data: dict) -> None:
    for name, other in EXACT.items():
        np.testing.assert_array_equal(batched[name], reference[other], err_msg=name)
    scale = floors(data, reference)
    for name in CLOSE:
        allowed = 1e-9 * np.abs(reference[name]) + 1e-11 * scale.get(name, 0.0)
        excess = np.abs(batched[name] - reference[name]) - allowed
        assert np.isfinite(batched[name]).all(), name
        assert excess.max() <= 0, f"{name}: {excess.max()} beyond the tolerance in {json.dumps(data)}"


@pytest.mark.slow
def test_the_batched_game_equals_the_reference_in_every_quantity():
    seen, cascades = set(), []

    @settings(max_examples=350, **REPRODUCIBLE)
    @given(batch=batches())
    def compare(batch):
        games, envs, seed = batch
        devices, chunks = games[0]["devices"], games[0]["chunks"]
        game = Game([config.parse(GameConfig, data) for data in games], envs, dtype=torch.float64)
        seeds = [seed + run for run in range(len(games))]
        actions = random_actions(seed, (SLOTS, len(games), envs, devices), chunks)
        batched = played(game, seeded(seeds), actions)
        for run, data in enumerate(games):
            seen.add(json.dumps(data, sort_keys=True))
            for env, draws in enumerate(episode_draws(seeds[run], SLOTS, envs, devices, chunks)):
                reference = reference_game.play(data, draws, actions[:, run, env].tolist())
                assert_same({name: values[:, run, env] for name, values in batched.items()}, reference, data)
                cascades.append(reference["rounds"].max())

    compare()
    assert len(seen) >= 1000
    # The comparison is worth little if masks never cascade: many trajectories must take two rounds, some three.
    assert sum(rounds >= 2 for rounds in cascades) >= 50
    assert sum(rounds >= 3 for rounds in cascades) >= 5


EXTREME = [math.inf, -math.inf, 0.0, -0.0, 1e-300, -1e-300, 1e30, -1e30, 1.0, -1.0, 1.0 + 1e-15]


@settings(max_examples=60, **REPRODUCIBLE)
@given(batch=batches(), scale=st.sampled_from([1.0, 1e3, 1e300]), single=st.booleans())
def test_every_executed_action_satisfies_c1_to_c6_whatever_the_actor_emits(batch, scale, single):
    games, envs, seed = batch
    devices, chunks = games[0]["devices"], games[0]["chunks"]
    dtype = torch.float32 if single else torch.float64
    game = Game([config.parse(GameConfig, data) for data in games], envs, dtype=dtype)
    rng = np.random.default_rng(seed)
    shape = (4, len(games), envs, devices, 5 * chunks)
    actions = rng.normal(0.0, scale, shape)
    actions = np.where(rng.random(shape) < 0.3, rng.choice(EXTREME, shape), actions)
    game.reset(seeded(range(len(games))))
    for action in torch.from_numpy(actions):
        slot = game.step(action)
        assert set(slot.offload.unique().tolist()) <= {0.0, 1.0}
        assert (slot.offload <= slot.requested).all()
        for name in ("transmit_power", "cpu_frequency", "resolution", "frame_rate"):
            values = getattr(slot, name)
            for run, data in enumerate(games):
                for n in range(devices):
                    low, high = (torch.tensor(reference_game.of_device(bound, n), dtype=dtype) for bound in data[name])
                    assert (values[run, :, n] >= low).all() and (values[run, :, n] <= high).all(), name
        assert (slot.secrecy_rate[slot.offload > 0] > 0).all()
        for quantity in (slot.latency, slot.energy, slot.battery, slot.reward):
            assert torch.isfinite(quantity).all()
        assert (slot.battery >= 0).all() and (slot.battery <= game.battery_capacity).all()


# -- the mask ------------------------------------------------------------------------------------------


@pytest.fixture
def cascade():
    """Four devices whose requests fall like dominoes; gains are 0 dB, so the linear gain is 1 and rho is 0.

    With p_e = 1, noise 4 at the server and 1 at the eavesdropper and interference I at both, a sender of power
    p is secure when p / (4 + I) > 1 / (1 + I), that is (p - 1) I > 4 - p:
        p = 0.50: never;  p = 1.41: I > 6.317;  p = 1.50: I > 5;  p = 4.50: always.
    """
    powers = [0.5, 1.41, 1.5, 4.5]
    return setting(
        devices=4, chunks=1, slots=2, gain_db=[0.0, 0.0], transmit_power=[powers, powers],
        eavesdropper_power=1.0, noise_power=4.0, eavesdropper_noise_power=1.0, bandwidth=1.0e6,
    )  # fmt: skip


def test_the_mask_is_repeated_until_what_is_left_is_secure(cascade):
    # First look: I = 7.41, 6.5, 6.41, 3.41: only the first is insecure. Without it 6.0 < 6.317: the second falls.
    # Without both 4.5 < 5: the third falls. The fourth is secure on its own.
    game = Game([cascade], dtype=torch.float64)
    game.reset(generators([1], 0))
    slot = game.step(torch.ones(1, 1, 4, 5, dtype=torch.float64))
    assert slot.requested.flatten().tolist() == [1, 1, 1, 1]
    assert slot.secure_request.flatten().tolist() == [False, True, True, True]
    assert slot.offload.flatten().tolist() == [0, 0, 0, 1]
    # What one look alone would execute breaks C6.
    _, secrecy = game.rates(0, slot.secure_request.double(), slot.transmit_power)
    assert secrecy[0, 0, 1, 0] < 0 < secrecy[0, 0, 2, 0]


def test_rates_and_energy_are_those_of_what_is_executed(cascade):
    game = Game([cascade], dtype=torch.float64)
    game.reset(generators([1], 0))
    slot = game.step(torch.ones(1, 1, 4, 5, dtype=torch.float64))
    # The last one is alone on the air: log2(1 + 4.5 / 4) = log2 2.125 = 1.0874628413 bit/s/Hz, and with the
    # requests of the others (0.5 + 1.41 + 1.5) log2(1 + 4.5 / 7.41) = 0.6847.
    assert slot.upload_rate[0, 0, 3, 0].item() == pytest.approx(1.0874628413e6, rel=1e-9)
    assert slot.secrecy_rate[0, 0, 3, 0].item() == pytest.approx(0.0874628413e6, rel=1e-8)  # less log2(1 + 1/1) = 1
    # 5 frames of 720 x 720 pixels of 12 bit are 31.104 Mbit.
    assert slot.energy[0, 0, 3, 0].item() == pytest.approx(4.5 * 31.104 / 1.0874628413, rel=1e-9)
    # The others compute locally at 1.5 GHz: 50 cycles for each of 31.104e6 bits.
    assert slot.latency[0, 0, :3, 0].tolist() == pytest.approx([31.104e6 * 50 / 1.5e9] * 3, rel=1e-12)


# -- seeds, batches, precision -------------------------------------------------------------------------


@pytest.fixture
def mixed():
    """Three runs that differ in what may differ."""
    base = setting({"observation": "augmented"}, devices=5, chunks=2, slots=8)
    return [base, base.changed(battery_capacity=11.0, gain_db=[4.0, 14.0]), base.changed(harvest_fraction=0.1)]


def whole(configs, seeds, envs=2, dtype=torch.float64, actions=None):
    game = Game(configs, envs, dtype=dtype)
    if actions is None:
        actions = random_actions(7, (game.slots, len(configs), envs, game.devices), game.chunks)
    return played(game, generators(seeds, 0), actions)


def test_the_same_seed_gives_the_same_trajectory_and_another_one_another(mixed):
    first, again, other = (whole(mixed, seeds) for seeds in ([1, 2, 3], [1, 2, 3], [1, 2, 4]))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
        np.testing.assert_array_equal(values[:, :2], other[name][:, :2], err_msg=name)
    assert not np.array_equal(first["reward"][:, 2], other["reward"][:, 2])


def test_envs_of_a_run_differ_and_streams_of_a_seed_differ(mixed):
    game = Game(mixed[:1], envs=2, dtype=torch.float64)
    training = game.reset(generators([1], 0))
    assert not torch.equal(training[:, 0], training[:, 1])
    assert not torch.equal(training, game.reset(generators([1], 1)))


def test_a_second_episode_starts_afresh(mixed):
    game = Game(mixed, envs=2, dtype=torch.float64)
    actions = random_actions(7, (8, 3, 2, 5), 2)
    fresh = played(game, generators([4, 5, 6], 0), actions)
    again = played(game, generators([4, 5, 6], 0), actions)
    for name, values in fresh.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_a_run_does_not_depend_on_the_runs_it_is_batched_with(mixed):
    actions = random_actions(7, (8, 3, 2, 5), 2)
    together = whole(mixed, [1, 2, 3], actions=actions)
    for run in range(3):
        alone = whole([mixed[run]], [run + 1], actions=actions[:, run : run + 1])
        for name, values in alone.items():
            np.testing.assert_allclose(values[:, 0], together[name][:, run], rtol=1e-12, atol=1e-12, err_msg=name)


def test_single_precision_is_close_to_double_precision():
    game = setting(slots=20)
    actions = random_actions(3, (20, 1, 4, 20), 3)
    single, double = (whole([game], [1], 4, dtype, actions) for dtype in (torch.float32, torch.float64))
    for name in ("requested", "secure_request", "offload"):
        np.testing.assert_array_equal(single[name], double[name], err_msg=name)
    assert 0 < double["offload"].mean() < double["requested"].mean()
    terms = np.abs(double["quality"]).sum(-1) + double["compute_cost"].sum(-1) + 3 * double["penalty"]
    floor = {
        "secrecy_rate": double["upload_rate"],
        "requested_secrecy_rate": double["requested_upload_rate"],
        "accuracy": 1.0,
        "quality": 1.0,
        "battery": 8.0,
        "penalty": 8.0,
        "reward": terms + 3 * 8.0,
        "observation": 8.0,
    }
    for name in CLOSE:
        error = np.abs(single[name] - double[name])
        assert (error <= 1e-4 * np.maximum(np.abs(double[name]), floor.get(name, 0.0))).all(), name


def test_device_constants_may_differ_from_device_to_device():
    """One number for all is a list of equal numbers, and what is listed belongs to the device at that place."""
    base = setting(devices=3, chunks=2, slots=6)
    listed = base.changed(
        transmit_power=[[0.3] * 3, [1.0] * 3], cpu_frequency=[[0.4e9] * 3, [1.5e9] * 3],
        energy_coefficient=[5.0e-28] * 3, battery_capacity=[8.0] * 3,
    )  # fmt: skip
    for name, values in whole([base], [1]).items():
        np.testing.assert_array_equal(values, whole([listed], [1])[name], err_msg=name)
    varied = base.changed(
        transmit_power=[[0.1, 0.3, 0.5], [0.2, 0.6, 1.0]], cpu_frequency=[1e9, [1e9, 2e9, 3e9]],
        energy_coefficient=[1e-28, 2e-28, 4e-28], battery_capacity=[1.0, 8.0, 20.0], harvest_fraction=0.0,
    )  # fmt: skip
    game = Game([varied], dtype=torch.float64)
    observed = game.reset(generators([1], 0))[0, 0]
    assert observed[:, 0].tolist() == [0.2, 0.6, 1.0] and observed[:, 1].tolist() == [0.1, 0.3, 0.5]
    assert observed[:, 2].tolist() == [1e9, 2e9, 3e9] and observed[:, 3].tolist() == [1e9] * 3
    assert game.battery.flatten().tolist() == [1.0, 8.0, 20.0]
    assert game.battery_threshold.flatten().tolist() == pytest.approx([0.3, 2.4, 6.0])
    assert game.cost_limit.flatten().tolist() == pytest.approx([0.05, 0.4, 1.0])
    action = torch.ones(1, 1, 3, 10, dtype=torch.float64)
    action[..., 0::5] = -1.0
    slot = game.step(action)
    # The same bits at 1, 2 and 3 GHz with coefficients 1, 2 and 4: energies as 1 : 2 * 4 : 4 * 9.
    energy = slot.energy[0, 0, :, 0]
    assert (energy / energy[0]).tolist() == pytest.approx([1.0, 8.0, 36.0])
    assert slot.battery.flatten().tolist() == pytest.approx(
        [max(0.0, full - spent) for full, spent in zip([1.0, 8.0, 20.0], slot.cost.flatten().tolist(), strict=True)]
    )


# -- equations of the game -----------------------------------------------------------------------------


@pytest.fixture
def plain():
    """Two devices, two chunks and no choice but where to process: all ranges have one member.

    By hand, local: S = 12 * 5 * 400^2 = 9.6e6 bit, 4.8e8 cycles; latency 4.8e8 / 1e9 = 0.48 s; energy
    5e-28 * 1e18 * 4.8e8 = 0.24 J; accuracy 0.988 - 4.469 e^-2 = 0.988 - 0.604813381 = 0.383186619; smoothness
    1; quality (0.383186619 + 1) / 2 = 0.691593310; cost (0.48 + 0.24) / 2 = 0.36.
    """
    return setting(
        devices=2, chunks=2, slots=40, frame_rate=[5.0, 5.0], resolution=[400.0, 400.0],
        transmit_power=[1.0, 1.0], cpu_frequency=[1e9, 1e9], harvest_fraction=0.0, gain_db=[9.0, 9.0],
    )  # fmt: skip


def local(game: Game) -> torch.Tensor:
    return -torch.ones(game.runs, game.envs, game.devices, game.action_size, dtype=game.dtype)


def test_eq25_the_objective_is_the_sum_over_slots_and_devices(plain):
    assert quality.objective(torch.tensor([[1.0, 2.0], [3.0, 4.0], [-5.0, 6.0]])).item() == 11.0
    batch = torch.tensor([[[1.0, 2.0]], [[10.0, 20.0]]])
    assert quality.objective(batch).tolist() == [3.0, 30.0]
    game = Game([plain], dtype=torch.float64)
    game.reset(generators([1], 0))
    rewards = torch.stack([game.step(local(game)).reward[0, 0] for _ in range(3)])
    # The battery is above its threshold, so each of 3 slots, 2 devices and 2 chunks brings 0.691593310 - 0.36.
    assert quality.objective(rewards).item() == pytest.approx(12 * 0.331593310, abs=1e-7)


def test_eq32_the_observation_holds_what_the_paper_lists_in_its_order():
    game = Game([setting(devices=2, chunks=2)], dtype=torch.float64)
    assert game.observation_names == (
        "transmit_power_max", "transmit_power_min", "cpu_frequency_max", "cpu_frequency_min",
        "gain_db_1", "gain_db_2", "battery", "harvest", "bandwidth",
    )  # fmt: skip
    assert game.observation_size == 9
    seen = dict(zip(game.observation_names, game.reset(generators([3], 0))[0, 0].T, strict=True))
    constant = {
        "transmit_power_max": 1.0, "transmit_power_min": 0.3, "cpu_frequency_max": 1.5e9, "cpu_frequency_min": 0.4e9,
        "battery": 8.0, "bandwidth": 120e6,
    }  # fmt: skip
    for name, value in constant.items():
        assert seen[name].tolist() == [value, value], name
    for name in ("gain_db_1", "gain_db_2"):
        assert ((seen[name] >= 8.0) & (seen[name] <= 10.0)).all()
    assert ((seen["harvest"] >= 0.0) & (seen["harvest"] <= 0.8)).all()


def test_eq32_the_gain_and_harvest_seen_are_those_that_act():
    """Device 0 alone on the air: its upload rate and its battery follow from what it saw before."""
    game = Game([setting(devices=1, chunks=1, eavesdropper_power=0.0)], dtype=torch.float64)
    seen = dict(zip(game.observation_names, game.reset(generators([3], 0)).flatten().tolist(), strict=True))
    slot = game.step(torch.ones(1, 1, 1, 5, dtype=torch.float64))
    assert slot.upload_rate.item() == pytest.approx(120e6 * math.log2(1 + 10 ** (seen["gain_db_1"] / 10)), rel=1e-12)
    second = dict(zip(game.observation_names, game.observe().flatten().tolist(), strict=True))
    assert second["battery"] == pytest.approx(min(8.0, 8.0 - slot.cost.item() + seen["harvest"]), rel=1e-12)
    assert second["gain_db_1"] != seen["gain_db_1"] and second["harvest"] != seen["harvest"]


def test_eq32_the_augmented_observation_adds_means_last_frame_rate_and_time():
    game = Game([setting({"observation": "augmented"}, devices=2, chunks=2, slots=4)], dtype=torch.float64)
    assert game.observation_names[9:] == (
        "mean_accuracy_1", "mean_accuracy_2", "mean_smoothness_1", "mean_smoothness_2",
        "previous_frame_rate_1", "previous_frame_rate_2", "elapsed",
    )  # fmt: skip
    assert game.reset(generators([3], 0))[0, 0, 0, 9:].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]
    game.step(torch.ones(1, 1, 2, 10, dtype=torch.float64))
    # r = 720: 0.988 - 4.469 e^-3.6 = 0.988 - 4.469 * 0.0273237224 = 0.865890284; f = 5 of 5.
    expected = [0.865890284, 0.865890284, 1.0, 1.0, 5.0, 5.0, 0.25]
    assert game.observe()[0, 0, 1, 9:].tolist() == pytest.approx(expected, abs=1e-8)


@settings(max_examples=40, **REPRODUCIBLE)
@given(batch=batches())
def test_eq32_the_scaled_observation_is_of_order_one(batch):
    games, envs, seed = batch
    game = Game([config.parse(GameConfig, data) for data in games], envs, dtype=torch.float64)
    observed = [game.reset(seeded(range(seed, seed + RUNS)))]
    for action in random_actions(seed, (3, RUNS, envs, game.devices), game.chunks):
        game.step(action)
        observed.append(game.observe())
    centre, half = game.observation_range()
    assert centre.shape == half.shape == (RUNS, game.devices, game.observation_size)
    assert (half > 0).all()
    scaled = (torch.stack(observed) - centre.unsqueeze(1)) / half.unsqueeze(1)
    for name, column in zip(game.observation_names, scaled.unbind(-1), strict=True):
        if name.startswith(("transmit_power", "cpu_frequency", "bandwidth")):
            assert (column == 0).all(), name
        elif name.startswith(("gain", "battery", "harvest", "previous", "elapsed")):
            assert (column.abs() <= 1.0 + 1e-9).all(), name


def test_eq33_the_state_is_the_observations_of_all_devices():
    base = setting(devices=3, chunks=2)
    game = Game([base.changed(battery_capacity=[8.0, 9.0, 10.0])], envs=4, dtype=torch.float64)
    state = game.reset(generators([1], 0))
    assert state.shape == (1, 4, 3, 9)
    assert state[0, 0, :, game.observation_names.index("battery")].tolist() == [8.0, 9.0, 10.0]
    gains = state[..., 4:6].flatten()
    assert len(set(gains.tolist())) == gains.numel()  # every link has its own


def test_eq34_an_action_is_five_variables_per_chunk_in_the_papers_order():
    assert tasks.VARIABLES == ("offload", "frame_rate", "resolution", "transmit_power", "cpu_frequency")
    game = Game([setting(devices=1, chunks=2)], dtype=torch.float64)
    outputs = torch.tensor([0.5, -0.5, 0.0, 1.0, -1.0, -0.5, 1.0, -1.0, 0.0, 0.5], dtype=torch.float64)
    decided = game.decode(outputs.view(1, 1, 1, 10))
    # Of [1, 5], [320, 720], [0.3, 1] and [0.4, 1.5] GHz: -1 is the start, 0 the middle, 1 the end.
    expected = {
        "offload": [1.0, 0.0],
        "frame_rate": [2.0, 5.0],
        "resolution": [520.0, 320.0],
        "transmit_power": [1.0, 0.65],
        "cpu_frequency": [0.4e9, 1.225e9],
    }
    assert set(decided) == set(expected)
    for name, values in expected.items():
        assert decided[name].flatten().tolist() == pytest.approx(values, rel=1e-12), name


def test_eq35_the_joint_action_holds_one_row_per_device():
    game = Game([setting(devices=3, chunks=2)], dtype=torch.float64)
    assert game.action_size == 10
    outputs = local(game)
    outputs[0, 0, 1] = 1.0
    decided = game.decode(outputs)
    assert decided["offload"][0, 0].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert decided["frame_rate"][0, 0].tolist() == [[1, 1], [5, 5], [1, 1]]


def test_eq36_the_reward_of_the_slot_is_the_quality_of_service_of_the_device(plain):
    game = Game([plain.changed(battery_threshold_fraction=0.955)], dtype=torch.float64)
    game.reset(generators([1], 0))
    first = game.step(local(game))
    # Two chunks of 0.691593310 - 0.36; the full battery, 8 J, is above 7.64 J.
    assert first.reward[0, 0].tolist() == pytest.approx([2 * 0.331593310] * 2, abs=1e-8)
    # 8 - 2 * 0.24 = 7.52 J are 0.12 J short of 7.64 J, in the slot after, once per chunk.
    assert first.battery[0, 0].tolist() == pytest.approx([7.52, 7.52])
    second = game.step(local(game))
    assert second.penalty[0, 0].tolist() == pytest.approx([0.12, 0.12])
    assert second.reward[0, 0].tolist() == pytest.approx([2 * (0.331593310 - 0.12)] * 2, abs=1e-8)


def test_eq39_the_cost_is_the_energy_of_the_slot_and_its_limit_a_share_of_the_battery(plain):
    game = Game([plain], dtype=torch.float64)
    game.reset(generators([1], 0))
    slot = game.step(local(game))
    assert slot.cost[0, 0].tolist() == pytest.approx([0.48, 0.48])
    assert game.cost_limit.flatten().tolist() == pytest.approx([0.4, 0.4])
    # Without harvest the battery has paid exactly what the cost says, down to the last slot that it can pay.
    for _ in range(15):
        slot = game.step(local(game))
    assert (8.0 - slot.battery[0, 0]).tolist() == pytest.approx([16 * 0.48] * 2)
    assert game.step(local(game)).battery[0, 0].tolist() == [0.0, 0.0]


# -- refusals ------------------------------------------------------------------------------------------


def test_a_step_after_the_end_is_refused_and_a_reset_begins_again():
    game = Game([setting(devices=1, chunks=1, slots=2)])
    game.reset(generators([1], 0))
    action = torch.zeros(1, 1, 1, 5)
    game.step(action)
    game.step(action)
    with pytest.raises(RuntimeError, match=r"slot 3 of 2: .*reset"):
        game.step(action)
    game.reset(generators([1], 0))
    game.step(action)


def test_an_empty_batch_is_refused():
    with pytest.raises(ConfigError, match=r"configs = \[\]: at least one"):
        Game([])


@pytest.mark.parametrize("envs", [0, -3])
def test_fewer_than_one_env_is_refused(envs):
    with pytest.raises(ConfigError, match=rf"envs = {envs}: at least 1"):
        Game([setting()], envs=envs)


@pytest.mark.parametrize("given_generators", [0, 1, 3])
def test_a_wrong_number_of_generators_is_refused(mixed, given_generators):
    game = Game(mixed[:2])
    with pytest.raises(ConfigError, match=rf"generators = {given_generators}: one per run, 2"):
        game.reset(generators(range(given_generators), 0))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"devices": 7}, "devices = 7: 5"),
        ({"chunks": 1}, "chunks = 1: 2"),
        ({"slots": 9}, "slots = 9: 8"),
        ({"access": "orthogonal"}, "readings = .*access='orthogonal'.*: .*access='full_band'"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(mixed, change, named):
    with pytest.raises(ConfigError, match=named):
        Game([mixed[0], mixed[1].changed(**change)])


def test_an_action_of_another_shape_or_before_reset_is_refused():
    game = Game([setting()], envs=3)
    action = torch.zeros(1, 1, game.devices, game.action_size)
    with pytest.raises(RuntimeError, match="call reset first"):
        game.step(action)
    game.reset(generators([1], 0))
    with pytest.raises(ConfigError, match=r"shape \(1, 1, .*\(1, 3, "):
        game.step(action)


def test_chunks_may_change_places_without_changing_rewards_or_costs(small):
    for reading in ("literal", "augmented"):
        game = Game([small.game.changed(observation=reading)] * 2, 3)
        other = Game([small.game.changed(observation=reading)] * 2, 3)
        observation, _ = game.reset(generators([1, 2], 0)), other.reset(generators([1, 2], 0))
        # The second game has its chunks in reverse: channels, and every action.
        other._episode_gain_db = other._episode_gain_db.flip(-1)
        other._episode_heard = tuple(gain.flip(-1) for gain in other._episode_heard)
        order = torch.arange(game.chunks).flip(0).expand(2, 3, -1)
        for _ in range(game.slots):
            action = 2.0 * torch.rand(2, 3, game.devices, game.action_size) - 1.0
            moved = game.reorder_chunks(order, observation=observation, action=action)
            torch.testing.assert_close(moved["observation"], other.observe())
            slot, twin = game.step(action), other.step(moved["action"])
            for name in ("reward", "cost"):
                torch.testing.assert_close(getattr(slot, name), getattr(twin, name))
            torch.testing.assert_close(slot.energy.flip(-1), twin.energy)
            observation = game.observe()
