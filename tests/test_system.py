"""Equations 1-24 and 26-31, one by one: a value worked out by hand, and what the formula must obey besides."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mecpaper.system import channel, energy, latency, quality, secrecy, tasks

MHZ = 1.0e6


def of(*rows: list[float] | float) -> torch.Tensor:
    """Double-precision tensor; a row per device, a column per chunk."""
    return torch.tensor(rows, dtype=torch.float64)


def column(*values: float) -> torch.Tensor:
    """One chunk on each of several devices."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def close(actual: torch.Tensor, *expected: float, rel: float = 1e-12, absolute: float = 0.0) -> None:
    assert actual.flatten().tolist() == pytest.approx(list(expected), rel=rel, abs=absolute)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def gradients_agree(function, *inputs: torch.Tensor) -> None:
    """Derivatives by autograd against differences, in double precision."""
    assert torch.autograd.gradcheck(function, [tensor.clone().requires_grad_() for tensor in inputs])


# -- Section 3.2 ---------------------------------------------------------------------------------------


def test_eq01_the_decision_is_binary_and_zero_is_local():
    close(tasks.offload_decision(of(-1.0, -1e-12, 0.0, 1e-12, 1.0)), 0, 0, 0, 1, 1)


def test_eq01_a_signal_and_its_opposite_decide_differently():
    signal = uniform(50, 3, low=-1.0)
    assert (tasks.offload_decision(signal) + tasks.offload_decision(-signal) == 1).all()


def test_eq02_size_of_a_chunk():
    # 12 bit * 2 * 100^2 = 240 000 bit; 12 * 30 * 480^2 = 82.944 Mbit
    close(tasks.chunk_size(12.0, of(2.0, 30.0), of(100.0, 480.0)), 240_000, 82_944_000)


def test_eq02_twice_the_resolution_is_four_times_the_bits_and_twice_the_frames_two_times():
    frames, pixels = uniform(4, 3, low=1.0, high=30.0), uniform(4, 3, low=300.0, high=1080.0, seed=1)
    size = tasks.chunk_size(12.0, frames, pixels)
    torch.testing.assert_close(tasks.chunk_size(12.0, frames, 2 * pixels), 4 * size)
    torch.testing.assert_close(tasks.chunk_size(12.0, 2 * frames, pixels), 2 * size)


def test_eq02_gradient():
    gradients_agree(lambda f, r: tasks.chunk_size(12.0, f, r), uniform(3, 2, low=1, high=5), uniform(3, 2, seed=1))


# -- Section 3.3 ---------------------------------------------------------------------------------------


def test_eq03_latency_of_local_processing():
    # 1e6 bit * 50 cycles/bit / 1e9 cycles/s = 0.05 s; nothing where the chunk is offloaded
    close(latency.local_latency(of(0.0, 1.0), of(1e6, 1e6), 50.0, of(1e9, 1e9)), 0.05, 0.0)


def test_eq03_half_the_frequency_takes_twice_as_long():
    size, frequency = uniform(4, 3, low=1e5, high=1e7), uniform(4, 3, low=1e8, high=2e9, seed=1)
    once = latency.local_latency(torch.zeros(4, 3), size, 50.0, frequency)
    torch.testing.assert_close(latency.local_latency(torch.zeros(4, 3), size, 50.0, frequency / 2), 2 * once)


def test_eq03_gradient():
    gradients_agree(
        lambda x, s, c: latency.local_latency(x, s, 50.0, c), uniform(3, 2), uniform(3, 2, low=1, high=2, seed=1),
        uniform(3, 2, low=1, high=2, seed=2),
    )  # fmt: skip


def test_eq04_latency_of_edge_processing():
    # 1e6 bit / 20e6 bit/s = 0.05 s on the air and 50e6 cycles / 50e9 Hz = 0.001 s at the server
    close(latency.offload_latency(of(1.0, 0.0), of(1e6, 1e6), of(2e7, 2e7), 50.0, 5e10), 0.051, 0.0)


def test_eq04_only_the_upload_is_left_with_an_endless_server_and_only_the_server_with_an_endless_link():
    size, rate = of(3e6), of(1e7)
    close(latency.offload_latency(of(1.0), size, rate, 50.0, math.inf), 0.3)
    close(latency.offload_latency(of(1.0), size, of(math.inf), 50.0, 5e10), 0.003)


def test_eq04_gradient():
    gradients_agree(
        lambda x, s, d: latency.offload_latency(x, s, d, 50.0, 20.0), uniform(3, 2),
        uniform(3, 2, low=1, high=2, seed=1), uniform(3, 2, low=1, high=2, seed=2),
    )  # fmt: skip


def test_eq05_gain_in_decibel():
    close(channel.from_decibel(of(-10.0, 0.0, 10.0, 20.0)), 0.1, 1.0, 10.0, 100.0)
    close(channel.from_decibel(of(10 * math.log10(2.0))), 2.0)


def test_eq05_interference_is_what_the_others_send():
    # chunk 1: received 2 * 1, 3 * 2 and 4 * 0.5, the last silent; chunk 2: only the first sends, 1 * 3
    offload = of([1.0, 1.0], [1.0, 0.0], [0.0, 0.0])
    power = of([2.0, 1.0], [3.0, 1.0], [4.0, 1.0])
    gain = of([1.0, 3.0], [2.0, 1.0], [0.5, 1.0])
    close(channel.interference(offload, power, gain), 6.0, 0.0, 2.0, 3.0, 8.0, 3.0)


def test_eq05_upload_rate():
    # Device 1: 6 W * 1 / (1 + 2 * 0.5) = 3, log2 4 = 2. Device 2: 2 * 0.5 / (1 + 6) = 1/7, log2 8/7 = 0.19264507794.
    offload, power, gain = column(1.0, 1.0), column(6.0, 2.0), column(1.0, 0.5)
    close(channel.upload_rate(MHZ, offload, power, gain, 1.0), 2.0e6, 0.19264507794e6, rel=1e-10)
    # When the second is silent the first has 6 / 1: log2 7 = 2.80735492206; the second is told what it would get.
    rates = channel.upload_rate(MHZ, column(1.0, 0.0), power, gain, 1.0)
    close(rates, 2.80735492206e6, 0.19264507794e6, rel=1e-10)


def test_eq05_orthogonal_access_shares_the_band_and_has_no_interference():
    # log2 7 on half of the band
    rates = channel.upload_rate(MHZ, column(1.0, 1.0), column(6.0, 2.0), column(1.0, 0.5), 1.0, "orthogonal")
    close(rates, 1.40367746103e6, 0.5e6, rel=1e-10)


def test_eq05_another_sender_lowers_every_other_rate_and_leaves_its_own():
    power, gain = uniform(5, 2, low=0.3), uniform(5, 2, low=6.0, high=10.0, seed=1)
    offload = torch.zeros(5, 2, dtype=torch.float64)
    before = channel.upload_rate(MHZ, offload, power, gain, 1.0)
    offload[2, 0] = 1.0
    after = channel.upload_rate(MHZ, offload, power, gain, 1.0)
    others = [0, 1, 3, 4]
    assert (after[others, 0] < before[others, 0]).all()
    torch.testing.assert_close(after[2], before[2], rtol=1e-14, atol=0.0)
    torch.testing.assert_close(after[:, 1], before[:, 1], rtol=0.0, atol=0.0)


def test_eq05_with_all_powers_large_the_rate_no_longer_depends_on_them():
    # Three equal senders: 1 of signal to 2 of interference, log2 1.5 = 0.58496250072
    rates = channel.upload_rate(MHZ, column(1.0, 1.0, 1.0), column(1e12, 1e12, 1e12), column(2.0, 2.0, 2.0), 1.0)
    close(rates, *[0.58496250072e6] * 3, rel=1e-10)


def test_eq05_a_weak_signal_carries_bits_in_proportion_to_its_power():
    # log2(1 + s) -> s / ln 2 = 1.44269504089 s
    rate = channel.upload_rate(MHZ, column(1.0), column(1e-9), column(1.0), 1.0)
    close(rate, 1.44269504089e-3, rel=1e-8)


def test_eq05_gradient():
    gradients_agree(
        lambda x, p, g: channel.upload_rate(2.0, x, p, g, 1.0), uniform(3, 2, low=0.2),
        uniform(3, 2, low=0.3, seed=1), uniform(3, 2, low=1, high=3, seed=2),
    )  # fmt: skip


# -- Section 3.4 ---------------------------------------------------------------------------------------


def test_eq06_energy_of_local_processing():
    # 5e-28 * (1e9)^2 * 1e6 * 50 = 0.025 J; at 2 GHz four times that; nothing where the chunk is offloaded
    spent = energy.local_energy(of(0.0, 0.0, 1.0), 5e-28, of(1e9, 2e9, 1e9), of(1e6, 1e6, 1e6), 50.0)
    close(spent, 0.025, 0.1, 0.0)


def test_eq06_power_times_latency():
    """A processor of power varsigma c^3 that runs for the time of Eq 3 spends the energy of Eq 6."""
    frequency, size = uniform(4, 3, low=4e8, high=1.5e9), uniform(4, 3, low=1e6, high=1e7, seed=1)
    local = torch.zeros(4, 3, dtype=torch.float64)
    watt = 5e-28 * frequency * frequency * frequency
    seconds = latency.local_latency(local, size, 50.0, frequency)
    torch.testing.assert_close(energy.local_energy(local, 5e-28, frequency, size, 50.0), watt * seconds)


def test_eq06_gradient():
    gradients_agree(
        lambda x, c, s: energy.local_energy(x, 0.5, c, s, 3.0), uniform(3, 2), uniform(3, 2, seed=1),
        uniform(3, 2, low=1, high=2, seed=2),
    )  # fmt: skip


def test_eq07_energy_of_the_upload():
    # 0.5 W for 1e6 / 20e6 = 0.05 s
    close(energy.offload_energy(of(1.0, 0.0), of(0.5, 0.5), of(1e6, 1e6), of(2e7, 2e7)), 0.025, 0.0)


def test_eq07_energy_per_bit_grows_with_power_from_its_limit_at_none():
    """With Eq 5, p / D falls to sigma^2 ln 2 / (W g) as p goes to 0: sending slowly is cheap, but not free."""
    power = torch.logspace(-9, 1, 60, dtype=torch.float64).unsqueeze(-1)
    alone = torch.ones_like(power).unsqueeze(-2)
    rate = channel.upload_rate(MHZ, alone, power.unsqueeze(-2), 4.0 * alone, 1.0).squeeze(-2)
    per_bit = energy.offload_energy(torch.ones_like(power), power, torch.ones_like(power), rate).flatten()
    assert (per_bit.diff() > 0).all()
    # ln 2 / 4 = 0.17328679514 micro joule
    assert per_bit[0].item() == pytest.approx(0.17328679514e-6, rel=1e-7)


def test_eq07_gradient():
    gradients_agree(
        energy.offload_energy, uniform(3, 2), uniform(3, 2, low=0.3, seed=1), uniform(3, 2, low=1, high=2, seed=2),
        uniform(3, 2, low=1, high=2, seed=3),
    )  # fmt: skip


def test_eq08_the_battery_pays_for_all_chunks_and_takes_the_harvest():
    # 5 - (1 + 0.5) + 0.25 = 3.75
    close(energy.next_battery(of(5.0), of([1.0, 0.5]), of(0.25), 8.0), 3.75)


def test_eq08_the_battery_is_neither_overfull_nor_below_empty():
    # 7.9 - 0.1 + 0.5 = 8.3 -> 8 and 1 - 3 + 0.5 = -1.5 -> 0; the third has a capacity of its own, 10
    battery = energy.next_battery(of(7.9, 1.0, 9.5), of([0.1], [3.0], [0.1]), of(0.5, 0.5, 0.2), of(8.0, 8.0, 10.0))
    close(battery, 8.0, 0.0, 9.6)


def test_eq08_more_harvest_never_leaves_less_and_more_work_never_more():
    battery, spent = uniform(200, high=8.0), uniform(200, 3, high=3.0, seed=1)
    harvest = uniform(200, high=2.0, seed=2)
    after = energy.next_battery(battery, spent, harvest, 8.0)
    assert (energy.next_battery(battery, spent, harvest + 0.1, 8.0) >= after).all()
    assert (energy.next_battery(battery, spent + 0.1, harvest, 8.0) <= after).all()
    assert ((after == 0) | (after == 8) | ((after - (battery - spent.sum(-1) + harvest)).abs() < 1e-12)).all()
    assert (after == 0).any() and ((after > 0) & (after < 8)).any()


# -- Section 3.5 ---------------------------------------------------------------------------------------


def test_eq09_eavesdropping_rate():
    # Device 1 is covered by the second: 1 * 3 / (0.5 + 1 * 1) = 2, log2 3 = 1.58496250072.
    # Device 2 is covered by the first: 1 * 4.5 / (0.5 + 2 * 0.5) = 3, log2 4 = 2.
    rates = secrecy.eavesdropping_rate(
        MHZ, 1.0, column(3.0, 4.5), column(1.0, 1.0), column(2.0, 1.0), column(0.5, 1.0), 0.5
    )
    close(rates, 1.58496250072e6, 2.0e6, rel=1e-10)


def test_eq09_orthogonal_access_uncovers():
    # Half the band without interference: log2(1 + 3 / 0.5) = log2 7 and log2(1 + 3.5 / 0.5) = 3
    rates = secrecy.eavesdropping_rate(
        MHZ, 1.0, column(3.0, 3.5), column(1.0, 1.0), column(2.0, 1.0), column(0.5, 1.0), 0.5, "orthogonal"
    )
    close(rates, 1.40367746103e6, 1.5e6, rel=1e-10)


def test_eq09_the_noise_of_others_covers_a_chunk():
    gain, power = uniform(4, 2, low=6.0, high=10.0), uniform(4, 2, low=0.3, seed=1)
    silent, busy = torch.zeros(4, 2, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64)
    covered = secrecy.eavesdropping_rate(MHZ, 0.25, gain, busy, power, gain, 1.0)
    assert (covered < secrecy.eavesdropping_rate(MHZ, 0.25, gain, silent, power, gain, 1.0)).all()
    assert (secrecy.eavesdropping_rate(MHZ, 0.0, gain, busy, power, gain, 1.0) == 0).all()


def test_eq09_gradient():
    gradients_agree(
        lambda w, x, p, g: secrecy.eavesdropping_rate(2.0, 0.25, w, x, p, g, 1.0), uniform(3, 2, low=1, high=3),
        uniform(3, 2, low=0.2, seed=1), uniform(3, 2, low=0.3, seed=2), uniform(3, 2, low=1, high=3, seed=3),
    )  # fmt: skip


def test_eq10_gain_from_a_draw():
    close(secrecy.draw_gain(of(0.0, 0.25, 0.5, 1.0), 8.0, 10.0), 8.0, 8.5, 9.0, 10.0)


def test_eq10_mean_and_variance_of_the_uniform_law():
    """Midpoint rule over the draws: mean (a + b) / 2 = 9, variance (b - a)^2 / 12 = 100 / 12."""
    gain = secrecy.draw_gain((torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000, 4.0, 14.0)
    assert gain.mean().item() == pytest.approx(9.0, rel=1e-12)
    assert gain.var(correction=0).item() == pytest.approx(100.0 / 12.0, rel=1e-7)


def test_eq11_the_estimate_and_its_set_in_decibel():
    # rho = 10 log10 2 is a factor of 2; at the middle draw the estimate is the true gain, 10 dB = 10
    rho = 10.0 * math.log10(2.0)
    for draw, (estimate, maximum, minimum) in {
        0.5: (10.0, 20.0, 5.0),
        1.0: (20.0, 40.0, 10.0),
        0.0: (5.0, 10.0, 2.5),
    }.items():
        gains = secrecy.estimated_gain_set(of(10.0), of(draw), rho)
        close(torch.cat(gains), estimate, maximum, minimum)


def test_eq11_the_estimate_and_its_set_in_linear_units():
    # 10 dB is 10; draw 0.75 of [8, 12] is 11; rho = 2 around it. 0 dB is 1: 1 - 2 is no gain, so 0.
    close(torch.cat(secrecy.estimated_gain_set(of(10.0), of(0.75), 2.0, "linear")), 11.0, 13.0, 9.0)
    close(torch.cat(secrecy.estimated_gain_set(of(0.0), of(0.0), 2.0, "linear")), 0.0, 2.0, 0.0)


def test_eq11_the_set_around_the_true_gain_does_not_depend_on_the_estimate():
    close(torch.cat(secrecy.estimated_gain_set(of(10.0), of(0.75), 2.0, "linear", "true_gain")), 11.0, 12.0, 8.0)
    for draw, estimate in ((0.0, 1.0), (0.5, 10.0), (1.0, 100.0)):
        close(torch.cat(secrecy.estimated_gain_set(of(10.0), of(draw), 10.0, centre="true_gain")), estimate, 100.0, 1.0)


@pytest.mark.parametrize(("unit", "error"), [("decibel", 1.4), ("linear", 2.5)])
def test_eq11_the_true_gain_is_always_in_the_set(unit, error):
    true_db, draw = uniform(2000, low=4.0, high=14.0), uniform(2000, seed=1)
    estimate, maximum, minimum = secrecy.estimated_gain_set(true_db, draw, error, unit)
    true = channel.from_decibel(true_db)
    assert (minimum <= estimate).all() and (estimate <= maximum).all()
    assert (minimum <= true * (1 + 1e-12)).all() and (true <= maximum * (1 + 1e-12)).all()


def test_eq12_worst_case_secrecy_rate():
    # Device 1: 3e6 less log2(1 + 1 * 6 / (1 + 2 * 0.5)) = log2 4 -> 1e6.
    # Device 2: 3e6 less log2(1 + 1 * 8.75 / (1 + 1 * 0.25)) = log2 8 -> 0.
    rates = secrecy.secrecy_rate(
        column(3e6, 3e6), MHZ, 1.0, column(6.0, 8.75), column(0.25, 0.5), column(1.0, 1.0), column(1.0, 2.0), 1.0
    )
    close(rates, 1.0e6, 0.0, absolute=1e-6)


def test_eq12_no_gains_of_the_set_give_less():
    """Brute force: over 4000 members of the set and its corners, nothing is below Eq 12, and one corner is it."""
    offload, power = column(1.0, 1.0, 0.0, 1.0), uniform(4, 1, low=0.3)
    _, maximum, minimum = secrecy.estimated_gain_set(uniform(4, 1, low=8, high=10, seed=1), uniform(4, 1, seed=2), 1.0)
    upload = uniform(4, 1, low=1e6, high=2e6, seed=3)
    worst = secrecy.secrecy_rate(upload, MHZ, 0.25, maximum, minimum, offload, power, 1.0)
    inside = minimum + uniform(4000, 4, 1, seed=4) * (maximum - minimum)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4).unsqueeze(-1)
    members = torch.cat([inside, minimum + corners * (maximum - minimum)])
    heard = secrecy.eavesdropping_rate(MHZ, 0.25, members, offload, power, members, 1.0)
    assert (upload - heard >= worst - 1e-6).all()
    torch.testing.assert_close((upload - heard).min(dim=0).values, worst)


def test_eq12_more_error_never_leaves_more_secrecy():
    offload, power = torch.ones(4, 2, dtype=torch.float64), uniform(4, 2, low=0.3)
    true_db, middle = uniform(4, 2, low=8, high=10, seed=1), torch.full((4, 2), 0.5, dtype=torch.float64)
    upload = channel.upload_rate(MHZ, offload, power, channel.from_decibel(true_db), 1.0)
    rates = []
    for error in (0.0, 0.5, 1.0, 2.0):
        _, maximum, minimum = secrecy.estimated_gain_set(true_db, middle, error)
        rates.append(secrecy.secrecy_rate(upload, MHZ, 0.25, maximum, minimum, offload, power, 1.0))
    assert (torch.stack(rates).diff(dim=0) < 0).all()


def test_eq12_gradient():
    gradients_agree(
        lambda d, a, b, x, p: secrecy.secrecy_rate(d, 2.0, 0.25, a, b, x, p, 1.0), uniform(3, 2, high=4.0),
        uniform(3, 2, low=3, high=4, seed=1), uniform(3, 2, low=1, high=2, seed=2), uniform(3, 2, low=0.2, seed=3),
        uniform(3, 2, low=0.3, seed=4),
    )  # fmt: skip


def test_eq13_only_a_positive_secrecy_rate_is_secure():
    assert secrecy.is_secure(of(-1.0, -1e-9, 0.0, 1e-9, 1.0)).tolist() == [False, False, False, True, True]


def test_eq13_an_eavesdropper_as_good_as_the_server_hears_everything():
    """Same power, same gain, same noise: the secrecy rate is 0, which is not secure."""
    offload, power, gain = torch.ones(5, 2, dtype=torch.float64), uniform(5, 2, low=0.3), uniform(5, 2, low=6, high=10)
    upload = channel.upload_rate(MHZ, offload, power, gain, 1.0)
    left = secrecy.secrecy_rate(upload, MHZ, power, gain, gain, offload, power, 1.0)
    assert (left == 0).all() and not secrecy.is_secure(left).any()


# -- Section 3.6 ---------------------------------------------------------------------------------------


def test_eq14_quality_weighs_accuracy_and_smoothness():
    # 0.5 * 0.8 + 0.5 * 0.4 = 0.6; 0.25 * 0.8 + 0.75 * 0.4 = 0.5
    close(quality.recognition_quality((0.5, 0.5), of(0.8), of(0.4)), 0.6)
    close(quality.recognition_quality((0.25, 0.75), of(0.8), of(0.4)), 0.5)


def test_eq14_quality_lies_between_its_parts():
    accuracy, smooth = uniform(50, 3, low=-1.0), uniform(50, 3, low=-4.0, seed=1)
    value = quality.recognition_quality((0.3, 0.7), accuracy, smooth)
    assert (value >= torch.minimum(accuracy, smooth) - 1e-12).all()
    assert (value <= torch.maximum(accuracy, smooth) + 1e-12).all()
    close(quality.recognition_quality((1.0, 0.0), of(0.8), of(0.4)), 0.8)


def means(values: torch.Tensor) -> list[torch.Tensor]:
    mean, made = torch.full_like(values[0], 7.0), []  # what is handed in at slot 1 must not matter
    for slot, value in enumerate(values, start=1):
        mean = quality.running_mean(mean, value, slot)
        made.append(mean)
    return made


def test_eq15_mean_accuracy_over_the_slots_so_far():
    # 0.2; (0.2 + 0.4) / 2 = 0.3; (0.2 + 0.4 + 0.9) / 3 = 0.5; (1.5 - 0.3) / 4 = 0.3
    close(torch.stack(means(of([0.2], [0.4], [0.9], [-0.3]))), 0.2, 0.3, 0.5, 0.3)


def test_eq15_every_slot_counts_the_same_whatever_the_order():
    values = uniform(300, 4, 2)
    final = means(values)[-1]
    torch.testing.assert_close(final, values.mean(dim=0))
    torch.testing.assert_close(means(values.flip(0))[-1], final)
    constant = torch.full((50, 1, 1), 0.3, dtype=torch.float64)
    close(torch.stack(means(constant)), *[0.3] * 50)


def test_eq16_accuracy_of_a_resolution(settings):
    # r = 0: 0.988 - 4.469 = -3.481; r = 200: less 4.469 / e = 1.64405322260; r = 200 ln 10: less 0.4469
    expected = (-3.481, -0.65605322260, 0.5411)
    resolution = of(0.0, 200.0, 200.0 * math.log(10.0))
    close(quality.accuracy(resolution), *expected, rel=1e-9)
    game = settings.game  # the constants of params.yaml are those of the paper
    close(
        quality.accuracy(resolution, game.accuracy_ceiling, game.accuracy_drop, game.accuracy_scale),
        *expected, rel=1e-9,
    )  # fmt: skip


def test_eq16_accuracy_rises_to_its_ceiling_and_is_zero_near_302_pixel():
    resolution = torch.linspace(100.0, 6000.0, 200, dtype=torch.float64)
    accuracy = quality.accuracy(resolution)
    assert (accuracy.diff() > 0).all() and (accuracy < 0.988).all()
    assert accuracy[-1].item() == pytest.approx(0.988, abs=1e-11)
    # 200 ln(4.469 / 0.988) = 200 * 1.50923 = 301.85
    assert quality.accuracy(of(301.8)).item() < 0 < quality.accuracy(of(301.9)).item()


def test_eq16_gradient():
    gradients_agree(quality.accuracy, uniform(3, 2, low=300, high=800))


def test_eq17_mean_smoothness_over_the_slots_so_far():
    # products 0.5 * 0.8 = 0.4, 1 * 0.2 = 0.2 and 0.5 * -4 = -2; means 0.4, 0.3 and -1.4 / 3
    products = quality.smoothness(of([0.5], [1.0], [0.5]), of([0.8], [0.2], [-4.0]))
    close(products, 0.4, 0.2, -2.0)
    close(torch.stack(means(products)), 0.4, 0.3, -1.4 / 3)


def test_eq17_a_held_frame_rate_keeps_the_mean_smoothness_where_it_is():
    frames = torch.full((30, 2, 3), 12.0, dtype=torch.float64)
    previous, values = None, []
    for rate in frames:
        values.append(quality.smoothness(quality.frame_smoothness(rate, 30.0), quality.frame_change(rate, previous)))
        previous = rate
    close(torch.stack(means(torch.stack(values))), *[0.4] * (30 * 6))


def test_eq18_frame_smoothness():
    close(quality.frame_smoothness(of(1.0, 15.0, 30.0), 30.0), 1 / 30, 0.5, 1.0)


def test_eq18_frame_smoothness_knows_no_unit():
    """Frames per minute in both places are as good as frames per second."""
    rate = uniform(20, low=1.0, high=30.0)
    torch.testing.assert_close(quality.frame_smoothness(60 * rate, 1800.0), quality.frame_smoothness(rate, 30.0))


def test_eq19_frame_change():
    # 10 -> 12: 1 - 2/10; 10 -> 5: 1 - 5/10; 5 -> 30: 1 - 25/5 = -4; 7 -> 7: 1
    rate, before = of(12.0, 5.0, 30.0, 7.0), of(10.0, 10.0, 5.0, 7.0)
    close(quality.frame_change(rate, before), 0.8, 0.5, -4.0, 1.0)
    close(quality.frame_change(rate, before, "clipped"), 0.8, 0.5, 0.0, 1.0)


def test_eq19_there_is_no_change_before_the_first_slot():
    close(quality.frame_change(of(5.0, 30.0), None), 1.0, 1.0)


def test_eq19_a_change_is_never_a_gain_and_up_costs_as_much_as_down():
    before = uniform(100, low=5.0, high=30.0)
    step = uniform(100, high=5.0, seed=1)
    up, down = quality.frame_change(before + step, before), quality.frame_change(before - step, before)
    torch.testing.assert_close(up, down)
    assert (up <= 1).all() and (up >= 0).all()  # no step is more than the rate before


def test_eq20_compute_cost():
    # 0.5 * 0.3 s + 0.5 * 0.1 J = 0.2; 0.9 * 0.3 + 0.1 * 0.1 = 0.28
    close(quality.compute_cost((0.5, 0.5), of(0.3), of(0.1)), 0.2)
    close(quality.compute_cost((0.9, 0.1), of(0.3), of(0.1)), 0.28)


def test_eq20_the_cheapest_local_frequency_balances_time_and_energy():
    """Per cycle the cost is beta_1 / c + beta_2 varsigma c^2, minimal at c = (beta_1 / (2 beta_2 varsigma))^(1/3):
    1e9 Hz for varsigma = 5e-28 and equal weights."""
    frequency = torch.linspace(0.5e9, 2e9, 1501, dtype=torch.float64)
    local, bit = torch.zeros_like(frequency), torch.full_like(frequency, 1e6)
    cost = quality.compute_cost(
        (0.5, 0.5),
        latency.local_latency(local, bit, 50.0, frequency),
        energy.local_energy(local, 5e-28, frequency, bit, 50.0),
    )
    assert frequency[cost.argmin()].item() == pytest.approx(1e9, abs=1e6)


def test_eq20_gradient():
    gradients_agree(lambda s, j: quality.compute_cost((0.3, 0.7), s, j), uniform(3, 2), uniform(3, 2, seed=1))


def test_eq21_latency_of_a_chunk_is_local_or_at_the_edge():
    close(latency.total_latency(of(0.05, 0.0), of(0.0, 0.051)), 0.05, 0.051)
    offload = tasks.offload_decision(uniform(6, 3, low=-1.0))
    size, rate = uniform(6, 3, low=1e6, high=1e7, seed=1), uniform(6, 3, low=1e6, high=1e8, seed=2)
    local = latency.local_latency(offload, size, 50.0, torch.full_like(size, 1e9))
    edge = latency.offload_latency(offload, size, rate, 50.0, 5e10)
    assert ((local == 0) != (edge == 0)).all()
    assert torch.equal(latency.total_latency(local, edge), torch.where(offload > 0, edge, local))


def test_eq22_energy_of_a_chunk_is_local_or_of_the_upload():
    close(energy.total_energy(of(0.025, 0.0), of(0.0, 0.03)), 0.025, 0.03)
    offload = tasks.offload_decision(uniform(6, 3, low=-1.0))
    size, rate = uniform(6, 3, low=1e6, high=1e7, seed=1), uniform(6, 3, low=1e6, high=1e8, seed=2)
    local = energy.local_energy(offload, 5e-28, torch.full_like(size, 1e9), size, 50.0)
    sent = energy.offload_energy(offload, torch.full_like(size, 0.5), size, rate)
    assert ((local == 0) != (sent == 0)).all()
    assert torch.equal(energy.total_energy(local, sent), torch.where(offload > 0, sent, local))


def test_eq23_what_is_missing_below_the_threshold():
    close(quality.battery_penalty(2.4, of(0.0, 2.0, 2.4, 3.0)), 2.4, 0.4, 0.0, 0.0)
    close(quality.battery_penalty(of(2.4, 3.0), of(2.5, 2.5)), 0.0, 0.5)


def test_eq23_the_penalty_falls_joule_by_joule_and_stops_at_the_threshold():
    battery = torch.linspace(0.0, 8.0, 81, dtype=torch.float64)
    slope = quality.battery_penalty(2.4, battery).diff() / 0.1
    torch.testing.assert_close(slope[:24], torch.full((24,), -1.0, dtype=torch.float64))
    torch.testing.assert_close(slope[24:], torch.zeros(56, dtype=torch.float64))


def test_eq24_reward_of_a_device():
    # (0.6 + 0.5 + 0.4) - (0.1 + 0.2 + 0.3) - 3 * 0.2 = 0.3: the penalty counts once per chunk
    reward = quality.device_reward(of([0.6, 0.5, 0.4]), of([0.1, 0.2, 0.3]), of(0.2))
    close(reward, 0.3)


@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_eq24_a_joule_below_the_threshold_costs_one_per_chunk(chunks):
    value, cost = uniform(4, chunks), uniform(4, chunks, seed=1)
    without = quality.device_reward(value, cost, torch.zeros(4, dtype=torch.float64))
    with_one = quality.device_reward(value, cost, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(without - with_one, torch.full((4,), float(chunks), dtype=torch.float64))


# -- the constraints -----------------------------------------------------------------------------------


def check_range(minimum: float, maximum: float, quarter: float) -> None:
    """Ends, middle and a quarter of a range; beyond the ends nothing; never outside, and rising."""
    middle = (minimum + maximum) / 2
    outputs = of(-1.0, -0.5, 0.0, 1.0, -7.0, 7.0, math.inf, -math.inf)
    values = tasks.scale_to_range(outputs, torch.tensor(minimum), torch.tensor(maximum))
    close(values, minimum, quarter, middle, maximum, minimum, maximum, maximum, minimum, rel=1e-6)
    for dtype in (torch.float32, torch.float64):
        low, high = (torch.tensor(bound, dtype=dtype) for bound in (minimum, maximum))
        many = tasks.scale_to_range(torch.linspace(-1.5, 1.5, 4001, dtype=dtype), low, high)
        assert (many >= low).all() and (many <= high).all()
        assert (many.diff() >= 0).all()


def test_eq26_c1_the_decision_is_zero_or_one_even_for_wild_outputs():
    outputs = of(math.inf, -math.inf, 1e30, -1e30, -0.0, 5e-324)
    close(tasks.offload_decision(outputs), 1, 0, 1, 0, 0, 1)
    assert set(tasks.offload_decision(uniform(1000, low=-3, high=3)).tolist()) == {0.0, 1.0}


def test_eq27_c2_transmit_power_stays_in_its_range():
    check_range(0.3, 1.0, 0.475)


def test_eq28_c3_cpu_frequency_stays_in_its_range():
    check_range(0.4e9, 1.5e9, 0.675e9)


def test_eq29_c4_resolution_stays_in_its_range():
    check_range(320.0, 720.0, 420.0)


def test_eq30_c5_frame_rate_stays_in_its_range():
    check_range(1.0, 5.0, 2.0)


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    ends=st.tuples(st.floats(1e-6, 1e12), st.floats(1e-6, 1e12)).map(sorted),
    output=st.floats(allow_nan=False),
    single=st.booleans(),
)
def test_eq27_eq30_no_output_leaves_any_range(ends, output, single):
    dtype = torch.float32 if single else torch.float64
    minimum, maximum = (torch.tensor(end, dtype=dtype) for end in ends)
    value = tasks.scale_to_range(torch.tensor([output], dtype=torch.float64).to(dtype), minimum, maximum)
    assert (value >= minimum).all() and (value <= maximum).all()


def test_eq31_c6_what_is_executed_is_secure_under_what_is_executed():
    """A rule with a chain: each chunk is secure only while its predecessor is on the air, and the first never."""

    def secure_given(offload):
        secure = offload.roll(1, dims=-2) > 0
        secure[0] = False
        return secure

    executed, first = secrecy.executed_offload(column(1.0, 1.0, 1.0, 1.0), secure_given)
    assert first.flatten().tolist() == [False, True, True, True]
    close(executed, 0, 0, 0, 0)


def test_eq31_c6_secure_requests_are_kept_and_nothing_is_added():
    requested = column(1.0, 0.0, 1.0)
    secure = column(1.0, 1.0, 0.0) > 0
    executed, first = secrecy.executed_offload(requested, lambda _: secure)
    close(executed, 1, 0, 0)
    assert first.flatten().tolist() == [True, False, False]


def test_eq31_c6_holds_for_real_rates():
    power, true_db = uniform(200, 8, 2, low=0.2), uniform(200, 8, 2, low=1.0, high=9.0, seed=1)
    gain = channel.from_decibel(true_db)
    _, maximum, minimum = secrecy.estimated_gain_set(true_db, uniform(200, 8, 2, seed=2), 0.2)

    def rates(offload):
        upload = channel.upload_rate(MHZ, offload, power, gain, 6.0)
        return secrecy.secrecy_rate(upload, MHZ, 0.25, maximum, minimum, offload, power, 1.0)

    requested = tasks.offload_decision(uniform(200, 8, 2, low=-0.5, seed=3))
    executed, first = secrecy.executed_offload(requested, lambda offload: secrecy.is_secure(rates(offload)))
    assert (rates(executed)[executed > 0] > 0).all()
    assert (executed <= requested).all() and (executed <= first.double()).all()
    # Some fell although they were secure at first, and not all fell.
    assert 0 < executed.sum() < first.sum() < requested.sum()
