"""A scalar implementation of the game of Sections 3 and 4.1, the reference for the batched one.

Written from the paper's text with loops over devices and chunks and Python's own double-precision floats. It
does not use the package. Where the text is ambiguous it takes the readings of these deviations:

    D1, D3-D7, D9-D14, D16, D17, D30, D32, D36, D37, and D2 for the battery.

Inputs: `constants` is a dictionary of numbers (a device constant may be a list with one number
per device) with the chosen readings under "readings"; `draws` are an episode's numbers from [0, 1).
"""

import math

import numpy as np


def of_device(value, n):
    """A device constant of device n: the list's entry, or the one number that holds for all."""
    return float(value[n]) if isinstance(value, (list, tuple)) else float(value)


def decide(constants, action, n, k):
    """Eq 1 and 34 with C1-C5: the five outputs of an actor for one chunk become x, f, r, p, c."""

    def between(output, bounds):
        output = min(1.0, max(-1.0, float(output)))
        low, high = of_device(bounds[0], n), of_device(bounds[1], n)
        return ((1.0 - output) * low + (1.0 + output) * high) / 2.0

    first = 5 * k
    x = 1 if action[first] > 0 else 0
    f = between(action[first + 1], constants["frame_rate"])
    r = between(action[first + 2], constants["resolution"])
    p = between(action[first + 3], constants["transmit_power"])
    c = between(action[first + 4], constants["cpu_frequency"])
    return x, f, r, p, c


def gain_in_db(constants, draw):
    """Eq 10."""
    low, high = constants["gain_db"]
    return (1.0 - draw) * low + draw * high


def gains(constants, draws, t, n, k):
    """Eq 10 and 11 for one link: server's gain, minimum and maximum gain the eavesdropper may have (linear)."""
    readings = constants["readings"]
    own_db = gain_in_db(constants, draws["gain"][t][n][k])
    heard_db = own_db
    if readings["eavesdropper_gain"] == "independent":
        heard_db = gain_in_db(constants, draws["other_gain"][t][n][k])
    error = draws["error"][t][n][k]
    fraction, maximum_db = constants["gain_error_fraction"], constants["gain_db"][1]
    if readings["gain_error"] == "decibel":
        rho = fraction * maximum_db
        low_db, high_db = heard_db - rho, heard_db + rho
        middle = heard_db if readings["gain_set"] == "true_gain" else (1.0 - error) * low_db + error * high_db
        return linear(own_db), linear(middle - rho), linear(middle + rho)
    rho = fraction * linear(maximum_db)
    heard = linear(heard_db)
    estimate = max(0.0, (1.0 - error) * (heard - rho) + error * (heard + rho))
    middle = heard if readings["gain_set"] == "true_gain" else estimate
    return linear(own_db), max(0.0, middle - rho), middle + rho


def linear(decibel):
    """Convert decibels to a ratio of powers."""
    return 10.0 ** (decibel / 10.0)


def bits_per_second(bandwidth, signal, noise):
    """Shannon's capacity; log1p keeps the digits where the signal is weak."""
    return bandwidth * math.log1p(signal / noise) / math.log(2.0)


def link_rates(constants, x, p, gain, minimum, maximum, n, k):
    """Eq 5 and 12 for one chunk, x, p and the gains being lists [device][chunk]: upload and secrecy rate."""
    readings = constants["readings"]
    bandwidth, devices = constants["bandwidth"], constants["devices"]
    at_server, at_eavesdropper = constants["noise_power"], constants["eavesdropper_noise_power"]
    if readings["access"] == "full_band":
        for other in range(devices):
            if other != n and x[other][k] == 1:
                at_server += p[other][k] * gain[other][k]
                at_eavesdropper += p[other][k] * minimum[other][k]
    else:
        bandwidth = bandwidth / devices
    listening = p[n][k] if readings["listening_power"] == "user" else constants["eavesdropper_power"]
    upload = bits_per_second(bandwidth, p[n][k] * gain[n][k], at_server)
    heard = bits_per_second(bandwidth, listening * maximum[n][k], at_eavesdropper)
    return upload, upload - heard, upload + heard


def all_rates(constants, x, p, gain, minimum, maximum):
    """`link_rates` of every chunk, as three lists [device][chunk]; the third is the size of the two terms."""
    devices, chunks = range(constants["devices"]), range(constants["chunks"])
    every = [[link_rates(constants, x, p, gain, minimum, maximum, n, k) for k in chunks] for n in devices]
    return tuple([[every[n][k][part] for k in chunks] for n in devices] for part in range(3))


def allowed(constants, x, p, gain, minimum, maximum):
    """Section 3.5: insecure requests become local, all at once, again and again until none is left.

    Returns x as executed, the requests that were secure at the first look, and the number of looks that
    changed something.
    """
    devices, chunks = constants["devices"], constants["chunks"]
    left = [list(row) for row in x]
    first, changes = None, 0
    while True:
        secrecy = all_rates(constants, left, p, gain, minimum, maximum)[1]
        insecure = [(n, k) for n in range(devices) for k in range(chunks) if left[n][k] == 1 and secrecy[n][k] <= 0]
        for n, k in insecure:
            left[n][k] = 0
        if first is None:
            first = [list(row) for row in left]
        if not insecure:
            return left, first, changes
        changes += 1


def observation(constants, draws, t, n, battery, accuracies, smoothnesses, last_frame_rate):
    """Eq 32: what device n sees before it decides in slot t (counted from 0)."""
    power, frequency, chunks = constants["transmit_power"], constants["cpu_frequency"], range(constants["chunks"])
    seen = [of_device(power[1], n), of_device(power[0], n), of_device(frequency[1], n), of_device(frequency[0], n)]
    seen += [gain_in_db(constants, draws["gain"][t][n][k]) for k in chunks]
    seen += [battery[n], harvested(constants, draws, t, n), constants["bandwidth"]]
    if constants["readings"]["observation"] == "augmented":
        seen += [float(np.mean(accuracies[n][k])) if t else 0.0 for k in chunks]
        seen += [float(np.mean(smoothnesses[n][k])) if t else 0.0 for k in chunks]
        seen += [last_frame_rate[n][k] if t else constants["frame_rate"][0] for k in chunks]
        seen.append(t / constants["slots"])
    return seen


def harvested(constants, draws, t, n):
    """Energy that arrives at device n in slot t."""
    mean = constants["harvest_fraction"] * of_device(constants["battery_capacity"], n)
    return 2.0 * draws["harvest"][t][n] * mean if constants["readings"]["harvest"] == "uniform" else mean


def play(constants, draws, actions):
    """An episode.

    Args:
        constants: see the module.
        draws: "gain", "other_gain", "error" as [slot][device][chunk] and "harvest" as [slot][device], with one
            slot more than is played (the last observation shows it).
        actions: [slot][device][5 K], chunk by chunk (x, f, r, p, c).
    Returns:
        every quantity by name as an array [slot, device, chunk] or [slot, device]; "rounds" is [slot].
        "observation" is [slot + 1, device, feature].
    """
    devices, chunks = range(constants["devices"]), range(constants["chunks"])
    mu, beta = constants["quality_weights"], constants["cost_weights"]
    capacity = [of_device(constants["battery_capacity"], n) for n in devices]
    battery = list(capacity)
    accuracies = [[[] for _ in chunks] for _ in devices]
    smoothnesses = [[[] for _ in chunks] for _ in devices]
    frame_rate = None
    record, observations = [], []

    def table(entry):
        return [[entry(n, k) for k in chunks] for n in devices]

    for t in range(len(actions)):
        observations.append(
            [observation(constants, draws, t, n, battery, accuracies, smoothnesses, frame_rate) for n in devices]
        )
        chosen = table(lambda n, k, t=t: decide(constants, actions[t][n], n, k))
        wanted, f, r, p, c = (table(lambda n, k, i=i, chosen=chosen: chosen[n][k][i]) for i in range(5))
        links = table(lambda n, k, t=t: gains(constants, draws, t, n, k))
        gain, minimum, maximum = (table(lambda n, k, i=i, links=links: links[n][k][i]) for i in range(3))
        requested_rates = all_rates(constants, wanted, p, gain, minimum, maximum)
        x, first, changes = allowed(constants, wanted, p, gain, minimum, maximum)
        upload, secrecy, rate_size = all_rates(constants, x, p, gain, minimum, maximum)

        size, latency, energy = table(lambda *_: 0.0), table(lambda *_: 0.0), table(lambda *_: 0.0)
        accuracy, mean_accuracy = table(lambda *_: 0.0), table(lambda *_: 0.0)
        mean_smoothness, quality, cost = table(lambda *_: 0.0), table(lambda *_: 0.0), table(lambda *_: 0.0)
        penalty, reward, spent, reward_size = [], [], [], []
        for n in devices:
            for k in chunks:
                size[n][k] = constants["bits_per_pixel"] * f[n][k] * r[n][k] ** 2  # Eq 2
                cycles = size[n][k] * constants["cycles_per_bit"]
                if x[n][k] == 0:  # Eq 3, 6
                    latency[n][k] = cycles / c[n][k]
                    energy[n][k] = of_device(constants["energy_coefficient"], n) * c[n][k] ** 2 * cycles
                else:  # Eq 4, 7
                    sending = size[n][k] / upload[n][k]
                    latency[n][k] = sending + cycles / constants["server_frequency"]
                    energy[n][k] = p[n][k] * sending
                cost[n][k] = beta[0] * latency[n][k] + beta[1] * energy[n][k]  # Eq 20-22
                accuracy[n][k] = constants["accuracy_ceiling"] - constants["accuracy_drop"] / math.exp(
                    r[n][k] / constants["accuracy_scale"]
                )  # Eq 16
                change = 1.0  # Eq 19; there is no f(0)
                if frame_rate is not None:
                    before = frame_rate[n][k]
                    change = 1.0 - abs(f[n][k] - before) / before
                    if constants["readings"]["frame_change"] == "clipped":
                        change = max(0.0, change)
                accuracies[n][k].append(accuracy[n][k])
                smoothnesses[n][k].append(f[n][k] / constants["frame_rate"][1] * change)  # Eq 17, 18
                mean_accuracy[n][k] = math.fsum(accuracies[n][k]) / (t + 1)  # Eq 15
                mean_smoothness[n][k] = math.fsum(smoothnesses[n][k]) / (t + 1)  # Eq 17
                quality[n][k] = mu[0] * mean_accuracy[n][k] + mu[1] * mean_smoothness[n][k]  # Eq 14
            missing = max(0.0, constants["battery_threshold_fraction"] * capacity[n] - battery[n])  # Eq 23
            penalty.append(missing)
            reward.append(math.fsum(quality[n][k] - cost[n][k] - missing for k in chunks))  # Eq 24, 36
            reward_size.append(math.fsum(abs(quality[n][k]) + cost[n][k] + missing for k in chunks))
            spent.append(math.fsum(energy[n]))  # Eq 39
        for n in devices:  # Eq 8
            level = battery[n] - spent[n] + harvested(constants, draws, t, n)
            battery[n] = min(capacity[n], max(0.0, level))
        # Eq 39: the energy, and what a reading charges for each request that was not secure (D21).
        refused = [sum(wanted[n]) - sum(first[n]) for n in devices]
        bounded = [spent[n] + constants["insecure_request_cost"] * refused[n] for n in devices]
        frame_rate = f
        record.append(
            {
                "requested": wanted, "first_pass": first, "offload": x, "rounds": changes,
                "frame_rate": f, "resolution": r, "transmit_power": p, "cpu_frequency": c,
                "requested_upload_rate": requested_rates[0], "requested_secrecy_rate": requested_rates[1],
                "requested_rate_size": requested_rates[2],
                "upload_rate": upload, "secrecy_rate": secrecy, "rate_size": rate_size,
                "size": size, "latency": latency, "energy": energy, "accuracy": accuracy,
                "mean_accuracy": mean_accuracy, "mean_smoothness": mean_smoothness, "quality": quality,
                "compute_cost": cost, "penalty": penalty, "battery": list(battery), "reward": reward,
                "reward_size": reward_size, "cost": bounded,
            }
        )  # fmt: skip
    observations.append(
        [observation(constants, draws, len(actions), n, battery, accuracies, smoothnesses, frame_rate) for n in devices]
    )
    played = {name: np.array([slot[name] for slot in record], dtype=float) for name in record[0]}
    return played | {"observation": np.array(observations, dtype=float)}
