r"""The explorer of notebook 40: move a number of the model and see what becomes of it.

Three layers. Pure functions: a `State` is what the controls say; `compute` plays it and returns a `Result` of plain
arrays; `draw` makes a figure of that. `LiveTraining` trains a little beside them, in a thread that can be stopped.
`Explorer` holds the controls and does nothing but pass values on; it needs ipywidgets, which only this module imports.
"""

from __future__ import annotations

import asyncio
import html
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mecpaper.config import OWN, Config, ConfigError, GameConfig, find_root, load, parse
from mecpaper.env.game import Game, generators
from mecpaper.env.measures import EVALUATION_STREAM, POLICY_STREAM, Measures, Policy
from mecpaper.policies.planner import FAMILIES, SIGNALS, Plan, plan
from mecpaper.policies.stored import StoredPolicy, read_policy
from mecpaper.report import figures
from mecpaper.system import channel, secrecy
from mecpaper.training.loop import Training

KEYS = ("gain_db", "battery_capacity", "harvest_fraction", "devices", "cost_limit_fraction")
"""The constants of the game that the explorer moves, by their names in params.yaml."""

DEVICE_EPISODES = 320
"""Devices times episodes that are played for one picture: 16 episodes of 20 devices."""

SITUATIONS = 64
"""Moments of the played episodes that the plane of power and gain is averaged over."""

NAME = "explored"
"""Name of the scenario in the snippet, and of the one that is trained live."""


# -- what the controls say ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What is explored: five constants of the game, who decides, and which random episodes are played."""

    gain_db: tuple[float, float]
    battery_capacity: float
    harvest_fraction: float
    devices: int
    cost_limit_fraction: float
    controller: str
    episodes: int = 1

    def changes(self, game: GameConfig) -> dict[str, Any]:
        """Constants that differ from those of `game`, as params.yaml writes them."""
        values = {key: getattr(self, key) for key in KEYS} | {"gain_db": list(self.gain_db)}
        return {key: value for key, value in values.items() if value != getattr(game, key)}


def state_of(game: GameConfig, controller: str, episodes: int = 1) -> State:
    """The state that plays a game as it is; batteries of several sizes become their mean."""
    values = {key: getattr(game, key) for key in KEYS} | {"gain_db": tuple(game.gain_db)}
    values["battery_capacity"] = float(np.mean(game.battery_capacity))
    return State(**values, controller=controller, episodes=episodes)


def game_of(settings: Config, state: State) -> GameConfig:
    """The game that a state describes.

    Raises ConfigError, one line with the key, the value and what is allowed, for one that cannot be played.
    """
    return settings.game.changed(**state.changes(settings.game))


def paper_points(settings: Config) -> dict[str, GameConfig]:
    """The paper's operating points: scenarios of params.yaml that change only what the explorer moves."""
    changes = settings.scenarios.items()
    return {name: settings.scenario(name) for name, parts in changes if set(parts) <= set(KEYS)}


def point_of(settings: Config, game: GameConfig) -> str | None:
    """Name of the paper's operating point that a game is; None for any other."""
    return next((name for name, point in paper_points(settings).items() if point == game), None)


# -- who decides -------------------------------------------------------------------------------------------


def read_policies(root: Path, settings: Config) -> dict[str, StoredPolicy]:
    """Trained policies in data/runs, by "algorithm/scenario"; a file that cannot be used is left out.

    Args:
        root: the project's folder.
        settings: gives the cost limit a scenario was trained with.
    """
    order = {name: place for place, name in enumerate(figures.ORDER)}
    paths = (root / "data" / "runs").glob("*/*/policy.safetensors")
    found = {}
    for path in sorted(paths, key=lambda p: (p.parent.name != "default", order.get(p.parts[-3], 9), p.parent.name)):
        algorithm, scenario = path.parts[-3:-1]
        name = figures.NAMES.get(algorithm, algorithm)
        label = name if scenario == "default" else f"{name}, {scenario.replace('_', ' ')}"
        limit = settings.scenario(scenario).cost_limit_fraction if scenario in settings.scenarios else None
        try:
            found[f"{algorithm}/{scenario}"] = read_policy(path, label, algorithm, limit)
        except ConfigError:
            continue
    return found


@dataclass(frozen=True)
class StoredPlan:
    """A stationary plan of `mecpaper.policies.planner`, found for the default setting.

    Args:
        label: name in the list of algorithms.
        vector: see `reference.Plan`.
    """

    label: str
    vector: tuple[float, ...]

    def policy(self, game: Game) -> Policy:
        """The plan for a game: a share of its devices sends, whatever their number."""
        return FAMILIES["stationary"].policy(game, torch.tensor([self.vector]))


def find_plan(settings: Config) -> StoredPlan:
    """The better of two searches for a stationary plan that keeps C_limit at the default setting; some seconds."""
    found = plan([settings.game] * 2, [0, 1], FAMILIES["stationary"], True, settings.planner.generations)
    return StoredPlan("Planner", tuple(max(found, key=lambda pair: pair[1])[0].tolist()))


Deciders = dict[str, StoredPolicy | StoredPlan]
"""Who may decide besides `CONTROLS`, by the name that a state uses."""

PLANNER = ("planner", "Planner: best stationary plan found")
"""Key and name of the control that has to be searched first, by `find_plan`."""

CONTROLS = {
    "random": "Random: every decision drawn anew",
    "ask": "Everyone asks, random power",
    "local": "Nobody asks, the planner's settings",
}
"""Other controls that learn nothing, by key, as the list of algorithms shows them."""


def planned_signals(root: Path, game: GameConfig) -> list[float]:
    """Signals of the best always-local plan that keeps C_limit at the default setting, from data/runs/planner.csv.

    In the order of `reference.SIGNALS`, each in [-1, 1]; all 0, mid-range, where there is no such file.
    """
    signals = dict.fromkeys(SIGNALS, 0.0)
    try:
        table = pd.read_csv(root / "data" / "runs" / "planner.csv")
        rows = table[(table["game"] == "default") & (table["policy"] == "always-local") & table["constrained"]]
        best = rows.loc[rows["reward"].idxmax()]
    except (OSError, KeyError, ValueError):
        return list(signals.values())
    for key in ("frame_rate", "resolution", "cpu_frequency"):
        least, greatest = (float(np.mean(value)) for value in getattr(game, key))
        if greatest > least:
            signals[f"local_{key}"] = float(np.clip(2.0 * (best[key] - least) / (greatest - least) - 1.0, -1.0, 1.0))
    return list(signals.values())


def control_policy(name: str, game: Game, local: list[float]) -> Policy:
    """A policy of `CONTROLS`; `local` are the signals of the one that never offloads."""

    def drawn(observation: Tensor, uniform: Tensor) -> Tensor:
        action = (2.0 * uniform - 1.0).unflatten(-1, (game.chunks, -1))
        if name == "ask":
            action = torch.cat([torch.ones_like(action[..., :1]), action[..., 1:]], dim=-1)
        return action.flatten(-2)

    if name in ("random", "ask"):
        return drawn
    if name == "local":
        return Plan(offloading=False).policy(game, torch.tensor([[-1.0, *local]]))
    raise ConfigError(f"controller = {name!r}: one of {', '.join(CONTROLS)}, or a trained policy")


# -- the paper's numbers -----------------------------------------------------------------------------------

Reported = dict[tuple[str, str], float]
"""(scenario, measure) -> what the paper prints for CPO-MADDPG."""


def read_reported(root: Path) -> Reported:
    """The paper's measures from data/paper/reported.csv; Table 3 before Table 4 where both have one."""
    table = pd.read_csv(root / "data" / "paper" / "reported.csv")
    rows = table[(table["algorithm"] == "cpo_maddpg") & table["measure"].isin(["reward", "sor"])]
    rows = rows.assign(value=rows["value"].astype(float)).drop_duplicates(["scenario", "measure"])
    return {(row["scenario"], row["measure"]): row["value"] for row in rows.to_dict("records")}


# -- what becomes of it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a state leads to, as plain arrays.

    measures: name -> number, as `Measures.result`. request_rate, request_done: `[request]`, worst-case secrecy rate of
    every offload asked for, as asked, Mbit/s, and whether it was carried out. request_power, request_gain: `[request]`,
    W and dB. episode_sor: `[episode]`; NaN where nothing was asked. slot_sor: `[episode * slot]`, without NaN. terms:
    name -> `[slot]`, mean over devices. battery: `[slot + 1, device]` of the first episode, and battery_mean `[slot +
    1]`, J. energy: `[slot, 3]`, mean, 5 % and 95 % quantile over device-slots, J. offload: `[slot, 2]`, share of
    chunks asked for and sent. power, gain, secure: axes `[p]` in W, `[g]` in dB and `[g, p]`, the share of situations
    in which a chunk sent so would be secure. notices: what has to be said about the controller.
    """

    state: State
    game: GameConfig
    label: str
    point: str | None
    measures: dict[str, float]
    request_rate: NDArray
    request_done: NDArray
    request_power: NDArray
    request_gain: NDArray
    episode_sor: NDArray
    slot_sor: NDArray
    terms: dict[str, NDArray]
    battery: NDArray
    battery_mean: NDArray
    energy: NDArray
    offload: NDArray
    power: NDArray
    gain: NDArray
    secure: NDArray
    cost_limit: float
    threshold: float
    notices: tuple[str, ...] = ()


@torch.no_grad()
def compute(settings: Config, state: State, policies: Deciders, local: list[float] | None = None) -> Result:
    """Play a state's episodes without exploration noise and measure them; the same state gives the same result.

    Args:
        settings: params.yaml.
        state: what to play.
        policies: trained policies and the plan, by the names a state may use besides `CONTROLS`.
        local: see `planned_signals`; mid-range by default.
    Raises:
        ConfigError: one line for a state that cannot be played.
    """
    config = game_of(settings, state)
    game = Game([config], max(1, DEVICE_EPISODES // config.devices))
    stored = policies.get(state.controller)
    mean = [0.0] * len(SIGNALS)
    act = stored.policy(game) if stored else control_policy(state.controller, game, local or mean)
    observation = game.reset(generators([state.episodes], EVALUATION_STREAM))
    source = generators([state.episodes], POLICY_STREAM)[0]
    uniform = torch.rand(game.slots, 1, game.envs, game.devices, game.action_size, generator=source)
    first_gain = game.observation_names.index("gain_db_1")
    measures, kept = Measures(game), []
    for t in range(game.slots):
        gain = observation[..., first_gain : first_gain + game.chunks]
        slot = game.step(act(observation, uniform[t]))
        asked_rate = game.rates(t, slot.requested, slot.transmit_power)[1]
        measures.add(slot)
        observation = game.observe()
        values = (slot.requested, slot.offload, slot.transmit_power, gain, asked_rate, slot.quality, slot.compute_cost)
        kept.append((torch.stack(values), slot.penalty, slot.battery, slot.energy.sum(dim=-1), slot.reward))
    chunks, penalty, battery, energy, reward = (torch.stack(part) for part in zip(*kept, strict=True))
    requested, offload, power, gain, rate, quality, cost = chunks[:, :, 0].unbind(dim=1)
    wanted = requested > 0
    asked, done = (part.sum(dim=(2, 3)) for part in (requested, offload))
    whole = battery[:, 0]
    full = game.battery_capacity[0, 0].expand(1, game.devices)
    quantiles = torch.quantile(energy.flatten(1), torch.tensor([0.05, 0.95]), dim=1)
    axis_power, axis_gain, secure = secure_plane(config, offload, power, gain, state.episodes)
    return Result(
        state=state,
        game=config,
        label=stored.label if stored else CONTROLS[state.controller].partition(":")[0],
        point=point_of(settings, config),
        measures={name: float(value[0]) for name, value in measures.result().items()},
        request_rate=(rate[wanted] / 1e6).numpy(),
        request_done=(offload[wanted] > 0).numpy(),
        request_power=power[wanted].numpy(),
        request_gain=gain[wanted].numpy(),
        episode_sor=(done.sum(0) / asked.sum(0)).numpy(),
        slot_sor=(done / asked)[asked > 0].numpy(),
        terms={
            "quality": quality.sum(-1).mean((1, 2)).numpy(),
            "cost": -cost.sum(-1).mean((1, 2)).numpy(),
            "penalty": -game.chunks * penalty.mean((1, 2, 3)).numpy(),
            "reward": reward.mean((1, 2, 3)).numpy(),
        },
        battery=torch.cat([full, whole[:, 0]]).numpy(),
        battery_mean=torch.cat([full, whole.mean(1)]).mean(-1).numpy(),
        energy=torch.stack([energy.mean((1, 2, 3)), *quantiles], dim=1).numpy(),
        offload=torch.stack([requested.mean((1, 2, 3)), offload.mean((1, 2, 3))], dim=1).numpy(),
        power=axis_power.numpy(),
        gain=axis_gain.numpy(),
        secure=secure.numpy(),
        cost_limit=float(game.cost_limit.mean()),
        threshold=float(game.battery_threshold.mean()),
        notices=tuple(notices(settings, state, stored, game)),
    )


def notices(settings: Config, state: State, stored: StoredPolicy | StoredPlan | None, game: Game) -> list[str]:
    """What a policy or plan is used for that it was not made for, one line each; none where all is as it was."""
    if isinstance(stored, StoredPlan) and state.changes(settings.game):
        return ["Planned for the default setting; here it decides as it does there."]
    if not isinstance(stored, StoredPolicy):
        return []
    names = {"gain_db": ("g", "dB"), "battery_capacity": ("B_max", "J"), "harvest_fraction": ("harvest", "B_max")}
    outside = []
    for key, (least, greatest) in stored.trained_range(game).items():
        value = getattr(state, key)
        low, high = value if isinstance(value, tuple) else (value, value)
        margin = 1e-3 * max(1.0, abs(greatest))
        if low < least - margin or high > greatest + margin:
            name, unit = names[key]
            outside.append(f"{name} = {_span(low, high)} {unit} (trained on {_span(least, greatest)})")
    lines = ["Outside its training: " + "; ".join(outside) + "."] if outside else []
    if stored.cost_limit_fraction is not None and state.cost_limit_fraction != stored.cost_limit_fraction:
        lines.append(
            f"Trained for C_limit = {stored.cost_limit_fraction:g} B_max: "
            "another limit changes the measures, not what the policy does."
        )
    if state.devices > stored.devices:
        lines.append(
            f"Trained for {stored.devices} devices, an actor each. With {state.devices} they serve in turn: "
            f"device {stored.devices + 1} acts as device 1, and so on."
        )
    elif state.devices < stored.devices:
        lines.append(f"Trained for {stored.devices} devices, an actor each; only the first {state.devices} act.")
    return lines


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if abs(high - low) < 1e-6 else f"{low:.3g} to {high:.3g}"


def gain_axis(config: GameConfig) -> tuple[float, float]:
    """Gains that the plane shows, dB: the game's and, for comparison, the paper's widest attacker [4, 14]."""
    return min(config.gain_db[0], 4.0) - 0.5, max(config.gain_db[1], 14.0) + 2.0


def secure_plane(
    config: GameConfig, offload: Tensor, power: Tensor, gain: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Where offloading is secure in the plane of own power and own gain, amid the others' transmissions, Eq. 5-13.

    Moments are drawn from what was played; in each, one device is replaced by a probe with the power and gain of
    the plane, and all others send what they sent. The estimation errors of the gains are drawn anew.

    Args:
        config: the game.
        offload, power, gain: `[slot, env, device, chunk]`: sent or not, W, true gain in dB.
        seed: of the moments and the errors.
    Returns:
        own powers `[p]`, W; own gains `[g]`, dB; share of moments in which the probe is secure `[g, p]`.
    """
    source = torch.Generator().manual_seed(seed)
    flat = [part.transpose(2, 3).flatten(0, 2) for part in (offload, power, gain)]
    moments = torch.randint(len(flat[0]), (SITUATIONS,), generator=source)
    probe = torch.randint(config.devices, (SITUATIONS, 1), generator=source)
    sent, others_power, others_db = (part[moments] for part in flat)
    sent = sent.scatter(1, probe, 0.0)
    own = torch.linspace(float(np.mean(config.transmit_power[0])), float(np.mean(config.transmit_power[1])), 41)
    own_db = torch.linspace(*gain_axis(config), 21)
    # The same share of the greatest gain as in the game (D7), in dB or linear.
    top = config.gain_db[1] if config.readings.gain_error == "decibel" else 10.0 ** (config.gain_db[1] / 10.0)
    error, unit = config.gain_error_fraction * top, config.readings.gain_error
    heard_db, probe_db = others_db, own_db.view(1, -1).expand(SITUATIONS, -1)
    if config.readings.eavesdropper_gain == "independent":
        heard_db = secrecy.draw_gain(torch.rand(others_db.shape, generator=source), *config.gain_db)
        probe_db = secrecy.draw_gain(torch.rand(probe_db.shape, generator=source), *config.gain_db)
    least = secrecy.estimated_gain_set(heard_db, torch.rand(heard_db.shape, generator=source), error, unit)[2]
    draws = torch.rand(SITUATIONS, 1, generator=source).expand_as(probe_db)
    greatest = secrecy.estimated_gain_set(probe_db, draws, error, unit)[1]
    # All others together act as one sender whose power arrives unchanged: only their sum matters.
    at_server = (sent * others_power * channel.from_decibel(others_db)).sum(dim=1)
    at_ear = (sent * others_power * least).sum(dim=1)
    shape = (SITUATIONS, len(own_db), len(own))

    def pair(first: Tensor, second: Tensor) -> Tensor:
        return torch.stack([first.expand(shape), second.view(-1, 1, 1).expand(shape)], dim=-1).unsqueeze(-1)

    ones = torch.ones(SITUATIONS)
    both, sends = pair(own.view(1, 1, -1), ones), pair(ones.view(-1, 1, 1), ones)
    own_gain = channel.from_decibel(own_db).view(1, -1, 1)
    access = config.readings.access
    upload = channel.upload_rate(config.bandwidth, sends, both, pair(own_gain, at_server), config.noise_power, access)
    listening = both if config.readings.listening_power == "user" else config.eavesdropper_power
    rate = secrecy.secrecy_rate(
        upload, config.bandwidth, listening, pair(greatest.unsqueeze(-1), at_ear),
        pair(greatest.unsqueeze(-1), at_ear), sends, both, config.eavesdropper_noise_power, access,
    )  # fmt: skip
    return own, own_db, secrecy.is_secure(rate[..., 0, 0]).float().mean(dim=0)


# -- the picture -------------------------------------------------------------------------------------------

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0173b2", "#de8f05", "#029e73", "#c44601", "#b05fa0", "0.45"
"""Of the colour-blind palette, some darker to be read as text; every colour has a place or a dash of its own."""

TITLES = (
    "Secrecy rate of every request, Eq. 12", "Safe offload rate, SOR", "Where offloading is secure",
    "Battery, Eq. 8", "Reward and its terms, Eq. 24", "Energy against its limit, Eq. 39", "Offload share",
)  # fmt: skip

XLABELS = ("worst-case secrecy rate, Mbit/s", "sent per request", "transmit power, W", *("slot",) * 4)

YLABELS = ("", "", "gain g, dB", "J", "", "J", "")

ATTACKERS = {"attacker_weak": [8.0, 10.0], "attacker_moderate": [6.0, 12.0], "attacker_strong": [4.0, 14.0]}
"""The paper's operating points of Table 4: scenario -> range of g, dB."""


def canvas() -> Figure:
    """An empty figure of seven panels, which `draw` fills; it can be filled again and again."""
    style = {"axes.titlesize": 10, "axes.titleweight": "bold", "axes.titley": 1.03, "axes.titlelocation": "left"}
    with matplotlib.rc_context(figures.STYLE | style):
        figure = Figure(figsize=(12.6, 6.4))
        top = figure.add_gridspec(1, 3, left=0.04, right=0.955, top=0.945, bottom=0.59, wspace=0.17)
        below = figure.add_gridspec(1, 4, left=0.04, right=0.985, top=0.435, bottom=0.075, wspace=0.22)
        for part, title, across, up in zip((*top, *below), TITLES, XLABELS, YLABELS, strict=True):  # type: ignore[misc]
            axes = figure.add_subplot(part)
            axes.set_title(title)
            axes.set_xlabel(across)
            axes.set_ylabel(up, labelpad=1)
    return figure


def draw(result: Result, reported: Reported | None = None, figure: Figure | None = None) -> Figure:
    """A result as a figure of seven panels.

    Args:
        result: what `compute` returned.
        reported: see `read_reported`; marks nothing of the paper's by default.
        figure: one from `canvas`, whose content is replaced; a new one by default. Its axes are kept, since making
            them anew is most of the work.
    """
    figure = figure or canvas()
    reported = reported or {}
    with matplotlib.rc_context(figures.STYLE):
        for axes in figure.axes:
            for artist in (*axes.lines, *axes.patches, *axes.collections, *axes.images, *axes.texts):
                artist.remove()
        secret, sor, plane, battery, reward, energy, offload = figure.axes
        draw_secrecy(secret, result)
        draw_sor(sor, result, reported)
        draw_plane(plane, result)
        draw_battery(battery, result)
        draw_reward(reward, result, reported)
        draw_energy(energy, result)
        draw_offload(offload, result)
    return figure


def _key(axes: Axes, entries: list[tuple[str, Any]], x: float = 0.02, y: float = 0.97, step: float = 0.085) -> None:
    """Names of what is drawn, each in its colour, from the top down; a legend would take ten times as long."""
    align = "left" if x < 0.5 else "right"
    for place, (text, color) in enumerate(entries):
        axes.text(
            x, y - step * place, text, color=color, fontsize=8, ha=align, va="top", transform=axes.transAxes,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}, zorder=5,
        )  # fmt: skip


def _ticks(axis: Any, low: float, high: float, count: int = 5) -> None:
    """At most `count` + 1 round ticks between two values."""
    width = max(high - low, 1e-9)
    base = 10.0 ** np.floor(np.log10(width / count))
    step = next(base * factor for factor in (1, 2, 2.5, 5, 10) if width / (base * factor) <= count)
    values = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step + 0.0
    axis.set_ticks(values, [f"{value:g}" for value in np.round(values, 10) + 0.0])


def _frame(axes: Axes, x: tuple[float, float], y: tuple[float, float] | None = None) -> None:
    axes.set_xlim(*x)
    _ticks(axes.xaxis, *x, 5)
    if y is not None:
        axes.set_ylim(*y)
        _ticks(axes.yaxis, *y)


def _nobody(axes: Axes) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, "nobody asks to offload", transform=axes.transAxes, ha="center", va="center", color=GREY)


def draw_secrecy(axes: Axes, result: Result) -> None:
    """Distribution of the worst-case secrecy rate of what was asked for, sent and refused apart."""
    if not len(result.request_rate):
        _frame(axes, (-20.0, 80.0))
        return _nobody(axes)
    rate, done = result.request_rate, result.request_done
    low, high = np.quantile(rate, [0.002, 0.99])
    low, high = min(low, 0.0), max(high, 1.0)
    bins = np.linspace(low, high, 45)
    sent, refused = (np.histogram(part, bins)[0] for part in (rate[done], rate[~done]))
    axes.stairs(sent, bins, fill=True, color=BLUE, alpha=0.85)
    axes.stairs(sent + refused, bins, baseline=sent, fill=True, color=ORANGE, alpha=0.85)
    axes.axvline(0.0, color="0.2", linewidth=1)
    axes.set_yticks([])
    axes.set_ylim(0, 1.1 * (sent + refused).max())
    _frame(axes, (low, high))
    entries = [(f"■ sent {done.mean():.0%}", BLUE), (f"■ refused {(~done).mean():.0%}", ORANGE)]
    return _key(axes, entries, x=0.98)


def draw_sor(axes: Axes, result: Result, reported: Reported) -> None:
    """Distribution of the safe offload rate over slots, the episodes as ticks, the paper's values as dashes."""
    _frame(axes, (0.0, 1.02))
    if not len(result.slot_sor):
        return _nobody(axes)
    count, bins = np.histogram(result.slot_sor, np.linspace(0.0, 1.02, 35))
    top = count.max()
    axes.stairs(count, bins, fill=True, color=BLUE, alpha=0.35)
    axes.plot(result.episode_sor, np.full(len(result.episode_sor), -0.06 * top), "|", color=BLUE, markersize=9)
    axes.axvline(result.measures["sor"], color=BLUE, linewidth=2)
    for scenario, gains in ATTACKERS.items():
        value = reported.get((scenario, "sor"))
        if value is not None:
            color = RED if result.game.gain_db == gains else GREY
            axes.axvline(value, color=color, linewidth=1, linestyle=(0, (5, 2)))
            name = scenario.removeprefix("attacker_")
            axes.text(
                value - 0.006, 1.22 * top, name, rotation=90, ha="right", va="top", fontsize=7.5, color=color, zorder=5,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(-0.12 * top, 1.25 * top)
    entries = [(f"━ mean {result.measures['sor']:.3f}", BLUE), ("■ slots", "#5b9fc9"), ("❙ episodes", BLUE)]
    return _key(axes, [*entries, ("╌ the paper's, Table 4", GREY)])


def draw_plane(axes: Axes, result: Result) -> None:
    """Share of situations in which a chunk is secure, over own power and gain, with what was asked for."""
    left, right, low, high = result.power[0], result.power[-1], result.gain[0], result.gain[-1]
    extent = (left, right, low, high)
    axes.imshow(result.secure, origin="lower", aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=1.25)
    axes.grid(False)
    step = max(1, len(result.request_power) // 150)
    power, gain = result.request_power[::step], result.request_gain[::step]
    done = result.request_done[::step]
    axes.scatter(power[done], gain[done], s=14, color="white", edgecolor="0.15", linewidth=0.6)
    axes.scatter(power[~done], gain[~done], s=16, marker="x", color=ORANGE, linewidth=1.2)
    for place, (scenario, gains) in enumerate(ATTACKERS.items()):
        x = right + (right - left) * (0.025 + 0.042 * place)
        color = RED if result.game.gain_db == gains else "0.55"
        axes.plot([x, x], gains, color=color, linewidth=9, clip_on=False, solid_capstyle="butt")
        style: dict[str, Any] = {"ha": "center", "va": "center", "rotation": 90, "fontsize": 6.5, "color": "white"}
        axes.text(x, float(np.mean(gains)), scenario.removeprefix("attacker_"), **style)
    for bound in result.game.gain_db:
        axes.axhline(bound, color="0.15", linewidth=1, linestyle=":")
    _frame(axes, (left, right), (low, high))
    _key(axes, [("○ sent", "0.15")])
    _key(axes, [("✕ refused", ORANGE)], x=0.15)
    _key(axes, [("pale: never secure, dark: always", BLUE)], x=0.98)
    style = {"transform": axes.transAxes, "fontsize": 7.5, "ha": "right", "va": "top", "color": GREY}
    axes.text(1.15, -0.09, "the paper's\nattackers", **style)


def draw_battery(axes: Axes, result: Result) -> None:
    """Battery of every device in one episode, the mean over all episodes, and the threshold."""
    slots = np.arange(len(result.battery))
    axes.plot(slots, result.battery, color=BLUE, linewidth=0.5, alpha=0.4)
    axes.plot(slots, result.battery_mean, color=BLUE, linewidth=2)
    axes.axhline(result.threshold, color=RED, linewidth=1.2, linestyle="--")
    _frame(axes, (0, slots[-1]), (0, 1.35 * max(result.battery[0])))
    entries = [("━ mean, thin: devices of one episode", BLUE), (f"╌ threshold {result.threshold:.2f} J", RED)]
    _key(axes, entries)


def draw_reward(axes: Axes, result: Result, reported: Reported) -> None:
    """Reward per device and slot and its three terms, Eq. 24."""
    slots = np.arange(1, len(result.terms["reward"]) + 1)
    entries = []
    for name, sign, color, dash, mark in (
        ("reward", "", "0.1", "-", "━"),
        ("quality", "", GREEN, "--", "╌"),
        ("cost", "less ", ORANGE, "-.", "╌"),
        ("penalty", "less ", PURPLE, ":", "┈"),
    ):
        values = result.terms[name]
        axes.plot(slots, values, color=color, linestyle=dash, linewidth=2 if name == "reward" else 1.4)
        mean = abs(values.mean()) if sign else values.mean()
        entries.append((f"{mark} {sign}{name} {mean:.2f}", color))
    value = reported.get((result.point or "", "reward"))
    if value is not None:
        axes.axhline(value, color=RED, linewidth=1, linestyle=(0, (5, 2)))
        entries.append((f"╌ paper's reward {value:.2f}", RED))
    low = min(part.min() for part in result.terms.values())
    high = max(max(part.max() for part in result.terms.values()), value or 0.0)
    _frame(axes, (1, slots[-1]), (low - 0.6 * (high - low), high + 0.08 * (high - low)))
    _key(axes, entries[:3], y=0.26)
    _key(axes, entries[3:], x=0.98, y=0.26)


def draw_energy(axes: Axes, result: Result) -> None:
    """Energy of a device in a slot against C_limit, Eq. 39."""
    slots = np.arange(1, len(result.energy) + 1)
    axes.fill_between(slots, result.energy[:, 1], result.energy[:, 2], color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(slots, result.energy[:, 0], color=BLUE, linewidth=2)
    axes.axhline(result.cost_limit, color=RED, linewidth=1.2, linestyle="--")
    _frame(axes, (1, slots[-1]), (0, 1.5 * max(result.cost_limit, result.energy.max())))
    entries = [(f"━ mean {result.measures['energy']:.3f} J, band 5-95 %", BLUE)]
    _key(axes, [*entries, (f"╌ C_limit {result.cost_limit:.3f} J", RED)])


def draw_offload(axes: Axes, result: Result) -> None:
    """Share of chunks for which offloading was asked, and that were sent."""
    slots = np.arange(1, len(result.offload) + 1)
    axes.fill_between(slots, result.offload[:, 1], result.offload[:, 0], color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(slots, result.offload[:, 0], color=ORANGE, linestyle="--", linewidth=1.4)
    axes.plot(slots, result.offload[:, 1], color=BLUE, linewidth=2)
    _frame(axes, (1, slots[-1]), (0, 1.35 * max(0.1, result.offload.max())))
    asked, sent = result.offload.mean(axis=0)
    _key(axes, [(f"╌ asked for {asked:.1%} of chunks", ORANGE), (f"━ sent {sent:.1%}", BLUE)])


def png(figure: Figure, dpi: int = 100) -> bytes:
    """A figure as PNG, quickly: with little compression."""
    figure.set_dpi(dpi)
    agg = FigureCanvasAgg(figure)
    with matplotlib.rc_context(figures.STYLE):
        agg.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(agg.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


# -- what can be rebuilt -----------------------------------------------------------------------------------


def snippet(settings: Config, state: State, algorithm: str) -> str:
    """Lines for params.yaml with which `dvc repro` trains a state and keeps its policy.

    Args:
        settings: params.yaml as it is.
        state: what to rebuild.
        algorithm: which learner is to be trained on it.
    Raises:
        ConfigError: a state that cannot be played.
    """
    game = game_of(settings, state)
    known = point_of(settings, game)
    name, count = NAME, 1
    while name in settings.scenarios:
        count += 1
        name = f"{NAME}_{count}"
    if known is not None and known in {str(key): names for key, names in settings.cells.items()}.get(algorithm, []):
        return f"# Nothing to add: params.yaml trains {algorithm} on this setting as the scenario {known}.\n"
    lines = ["# Add to the sections of params.yaml that are there, then run: dvc repro"]
    if known is None:
        changes = ", ".join(f"{key}: {_yaml(value)}" for key, value in state.changes(settings.game).items())
        lines += ["scenarios:", f"  {name}: {{{changes}}}"]
    else:
        name = known
        lines.append(f"# (The setting stands there as the scenario {name}.)")
    lines += ["cells:", f"  {algorithm}:", f"    - {name}"]
    if OWN[algorithm] is not OWN["random"] and name not in settings.policies:
        lines += ["policies:", f"  - {name}"]
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    return f"[{', '.join(_yaml(part) for part in value)}]" if isinstance(value, (list, tuple)) else repr(value)


# -- a little training -------------------------------------------------------------------------------------

LEARNERS = tuple(name for name in OWN if name != "random")


def live_settings(settings: Config, state: State, episodes: int, seed: int = 1) -> Config:
    """params.yaml with the state as a scenario and a scale small enough to watch.

    Args:
        settings: params.yaml.
        state: what to train on.
        episodes: how many, four at a time.
        seed: of the one run.
    Raises:
        ConfigError: a state that cannot be played, or a number of episodes that is not a multiple of four.
    """
    data = settings.model_dump()
    data["scenarios"] = {"default": {}, NAME: state.changes(settings.game)}
    data["cells"], data["policies"] = {}, []
    data["evaluation"] |= {"curve_episodes": 2, "final_episodes": 1}
    data["run"] |= {"seeds": [seed], "episodes": episodes, "episodes_at_once": 4, "slots_per_update": 5}
    data["run"] |= {"curve_every": 4, "reduced": {"seeds": [seed], "slots_per_update": 5}}
    return parse(Config, data)


class _Stopped(Exception):
    """The stop flag was up."""


class LiveTraining:
    """A short training in a thread, to be watched and stopped; nothing is written.

    Args:
        settings: params.yaml.
        state: what to train on.
        algorithm: one of `LEARNERS`.
        episodes: how many, a multiple of four.
        report: called, in the thread, after every change of what follows.

    Attributes: `curve`, a list of (episode, reward, energy, SOR); `status`, "waiting", "training", "done", "stopped" or
    "failed"; `problem`, one line after a failure; `policy`, what was learned, None before the end.
    """

    def __init__(
        self, settings: Config, state: State, algorithm: str, episodes: int, report: Callable[[], None] = lambda: None
    ) -> None:
        self.settings, self.state, self.algorithm, self.episodes = settings, state, algorithm, episodes
        self.report = report
        self.curve: list[tuple[int, float, float, float]] = []
        self.status, self.problem = "waiting", ""
        self.policy: StoredPolicy | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live training", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.status = "training"
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, which it does after the round of episodes under way."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until it has ended, or as long as told."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            config = live_settings(self.settings, self.state, self.episodes)
            training = Training(config, self.algorithm, NAME)

            def progress(done: int, total: int, label: str) -> None:
                self._take(training)
                if self._stop.is_set() and done < total:
                    raise _Stopped

            try:
                training.run(progress=progress)
                self.status = "done"
            except _Stopped:
                self.status = "stopped"
            label = f"Trained here: {figures.NAMES[self.algorithm]}, {training.episode} episodes"
            limit = self.state.cost_limit_fraction
            self.policy = StoredPolicy.from_tensors(label, self.algorithm, training.policy(NAME), limit)
        except Exception as error:  # what went wrong in a thread would be seen by nobody
            self.status, self.problem = "failed", str(error).splitlines()[0]
        self.report()

    def _take(self, training: Training) -> None:
        if len(training.curve) == len(self.curve):
            return
        for point in training.curve[len(self.curve) :]:
            reward, energy, sor = (float(point[key][0]) for key in ("reward", "energy", "sor"))
            self.curve.append((int(point["episode"][0]), reward, energy, sor))
        self.report()


def live_canvas() -> Figure:
    """An empty figure for `draw_live`."""
    with matplotlib.rc_context(figures.STYLE):
        figure = Figure(figsize=(9.0, 2.6))
        for axes in figure.subplots(1, 3):
            axes.set_xlabel("episode")
        figure.subplots_adjust(left=0.055, right=0.985, top=0.95, bottom=0.18, wspace=0.22)
    return figure


def draw_live(training: LiveTraining, cost_limit: float, figure: Figure | None = None) -> Figure:
    """The learning curve so far: reward, energy against C_limit, safe offload rate.

    Args:
        training: whose curve.
        cost_limit: C_limit, J.
        figure: one from `live_canvas`, whose content is replaced.
    """
    figure = figure or live_canvas()
    points = np.array(training.curve, dtype=float).reshape(-1, 4)
    limits = {"reward per device and slot": None, "energy, J": cost_limit, "SOR": None}
    with matplotlib.rc_context(figures.STYLE):
        for column, (axes, (name, limit)) in enumerate(zip(figure.axes, limits.items(), strict=True), start=1):
            for artist in (*axes.lines, *axes.texts):
                artist.remove()
            values = points[:, column]
            axes.plot(points[:, 0], values, color=BLUE, linewidth=1.8, marker=".", markersize=4)
            shown = [*values[np.isfinite(values)], *([limit] if limit else [])]
            low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
            room = 0.1 * max(high - low, 0.05)
            if limit:
                axes.axhline(limit, color=RED, linewidth=1.2, linestyle="--")
            _frame(axes, (0, training.episodes), (low - room, high + 3.5 * room))
            _key(axes, [(name, BLUE), *([(f"╌ C_limit {limit:.3f} J", RED)] if limit else [])], step=0.11)
    return figure


# -- the controls ------------------------------------------------------------------------------------------


class LastOnly:
    """Calls `work` soon after a request; requests that come before it begins are one request.

    Inside a running event loop (a kernel) a burst of requests so ends in one call, which sees the last state. Without a
    loop the call is made at once. Kernels may deliver messages in several threads: calls take turns, and the last one
    to begin comes after the last request.

    Args:
        work: what to do.
        seconds: how long to gather requests.
    """

    def __init__(self, work: Callable[[], None], seconds: float = 0.02) -> None:
        self.work, self.seconds = work, seconds
        self.turn = threading.RLock()
        self._waiting, self._flag = False, threading.Lock()

    def request(self) -> None:
        """Ask for a call."""
        with self._flag:
            if self._waiting:
                return
            self._waiting = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._call()
        else:
            loop.call_later(self.seconds, self._call)

    @contextmanager
    def one_change(self) -> Iterator[None]:
        """Several changes that ask for one call, at the end."""
        with self._flag:
            before, self._waiting = self._waiting, True
        try:
            yield
        finally:
            self._waiting = before
        self.request()

    def _call(self) -> None:
        with self.turn:
            # From here on a request is a new one: what it is about may not be seen by this call.
            self._waiting = False
            self.work()


@dataclass(frozen=True)
class _Control:
    """A slider: its name and unit, the paper's points as a hint, and its options. What is allowed params.yaml knows."""

    name: str
    unit: str
    hint: str
    options: dict[str, Any] = field(default_factory=dict)


SLIDERS = {
    "gain_db": _Control(
        "Channel gain g",
        "dB",
        "8 to 10, 6 to 12, 4 to 14",
        {"min": -4.0, "max": 20.0, "step": 0.5, "readout_format": ".1f"},
    ),
    "battery_capacity": _Control(
        "Battery B_max", "J", "8, 9, 10, 11", {"min": 1.0, "max": 20.0, "step": 0.5, "readout_format": ".1f"}
    ),
    "harvest_fraction": _Control(
        "Harvest per slot",
        "of B_max",
        "0.05, 0.10, 0.15",
        {"min": 0.0, "max": 0.3, "step": 0.01, "readout_format": ".2f"},
    ),
    "devices": _Control("Users N", "", "20, 30, 40, 50", {"min": 1, "max": 60, "step": 1}),
    "cost_limit_fraction": _Control(
        "Energy limit C_limit", "of B_max", "0.05", {"min": 0.005, "max": 0.2, "step": 0.005, "readout_format": ".3f"}
    ),
}
"""The sliders by key of params.yaml; the hints are the paper's operating points (Table 2, 4, Section 5.3)."""

TILES = {
    "reward": ("reward", "{:.3f}"),
    "sor": ("safe offload rate", "{:.1%}"),
    "offload_share": ("chunks sent", "{:.1%}"),
    "energy": ("energy, J", "{:.3f}"),
    "ecpr_f": ("ECPR-f", "{:.1%}"),
    "ecpr_m": ("ECPR-m", "{:.1%}"),
    "battery": ("mean battery, J", "{:.2f}"),
    "latency": ("latency, s", "{:.3f}"),
    "accuracy": ("accuracy", "{:.3f}"),
}
"""Measures above the picture: name and format."""

CSS = """<style>
.mx-tiles {display:flex; flex-wrap:wrap; gap:6px; line-height:1.25}
.mx-tile {flex:1 1 92px; border:1px solid rgba(128,128,128,.35); border-radius:6px; padding:5px 9px}
.mx-tile b {display:block; font-size:17px; font-variant-numeric:tabular-nums}
.mx-tile span, .mx-hint {font-size:11px; opacity:.72}
.mx-hint {line-height:1.2}
.mx-error {color:#b3261e; font-size:12px; font-weight:600; line-height:1.3; white-space:normal}
.mx-note {border-left:4px solid #de8f05; background:rgba(222,143,5,.13); padding:4px 9px; font-size:12px;
  line-height:1.35; white-space:normal}
.mx-title {font-size:13px; font-weight:600}
.mx-snippet textarea {font-family:monospace}
</style>"""


def tiles(result: Result, usual: Result, reported: Reported) -> str:
    """The measures as HTML, each with what the default setting gives and, at the paper's points, what it prints.

    Args:
        result: what is shown.
        usual: the same controller and episodes at the default setting.
        reported: see `read_reported`.
    """
    parts = []
    for key, (name, style) in TILES.items():
        value, before = result.measures[key], usual.measures[key]
        text = style.format(value) if np.isfinite(value) else "–"
        note = f"default {style.format(before)}" if np.isfinite(before) else "default –"
        if key == "energy":
            note = f"C_limit {result.cost_limit:.3f}"
        printed = reported.get((result.point or "", key))
        if printed is not None:
            note += f"<br>paper {style.format(printed)}"
        parts.append(
            f'<div class="mx-tile" data-measure="{key}"><span>{name}</span><b>{text}</b><span>{note}</span></div>'
        )
    return f'<div class="mx-tiles">{"".join(parts)}</div>'


class Explorer:
    """The controls, the numbers, the picture, a live training and a snippet; show it as the last line of a cell.

    Args:
        settings: params.yaml; the project's own by default.
        root: the project's folder; found by default.
    """

    def __init__(self, settings: Config | None = None, root: Path | None = None) -> None:
        self.root = root or find_root()
        self.settings = settings or load(self.root / "params.yaml")
        # Small tensors: a second thread only takes time from the live training.
        torch.set_num_threads(1)
        self.policies: Deciders = dict(read_policies(self.root, self.settings))
        self.local = planned_signals(self.root, self.settings.game)
        self.reported = read_reported(self.root)
        self.figure, self.live_figure = canvas(), live_canvas()
        self.usual: dict[tuple[str, int], Result] = {}
        self.result: Result | None = None
        self.training: LiveTraining | None = None
        self.search: threading.Thread | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.drawn = 0
        self.redraw = LastOnly(self.refresh)
        self._build()
        self.refresh()

    # -- widgets ---------------------------------------------------------------------------------------

    def _build(self) -> None:
        start = state_of(self.settings.game, "random")
        wide = widgets.Layout(width="96%")
        self.controller = widgets.Dropdown(options=self._choices(), layout=wide)
        self.controller.add_class("mx-who")
        self.points = widgets.Dropdown(options=self._points(), layout=wide)
        self.sliders: dict[str, Any] = {}
        self.hints: dict[str, widgets.HTML] = {}
        rows = {}
        for key, control in SLIDERS.items():
            value, options = getattr(start, key), dict(control.options)
            kinds = {"gain_db": widgets.FloatRangeSlider, "devices": widgets.IntSlider}
            # Whatever params.yaml says can be shown.
            options["min"] = min(options["min"], *np.atleast_1d(value).tolist())
            options["max"] = max(options["max"], *np.atleast_1d(value).tolist())
            slider = kinds.get(key, widgets.FloatSlider)(value=value, layout=wide, **options)
            slider.add_class(f"mx-{key}")
            self.sliders[key], self.hints[key] = slider, widgets.HTML()
            title = f"{control.name}{', ' if control.unit else ''}{control.unit}"
            rows[key] = widgets.VBox(
                [_title(title), slider, self.hints[key]], layout=widgets.Layout(margin="0 0 4px 0")
            )
        self.episodes = widgets.BoundedIntText(value=1, min=1, max=9999, layout=widgets.Layout(width="90px"))
        self.notice, self.numbers, self.footer = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.notice.layout = widgets.Layout(width="96%")
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="100%", max_width="1400px"))
        self.picture.add_class("mx-picture")
        first = [_title("Who decides"), self.controller, _title("Start from"), self.points]
        first += [_title("Random episodes, by number"), self.episodes]
        columns = [first, [rows[k] for k in ("gain_db", "battery_capacity", "harvest_fraction")]]
        columns.append([rows["devices"], rows["cost_limit_fraction"], self.notice])
        thirds = widgets.Layout(width="32%", min_width="250px", margin="0 1% 0 0")
        controls = widgets.HBox([widgets.VBox(column, layout=thirds) for column in columns])
        controls.layout.flex_flow = "row wrap"
        self.tabs = widgets.Tab([self._live_tab(), self._snippet_tab()])
        self.tabs.set_title(0, "Train a little, here")
        self.tabs.set_title(1, "Rebuild it")
        self.view = widgets.VBox([widgets.HTML(CSS), controls, self.numbers, self.picture, self.footer, self.tabs])
        for widget in (*self.sliders.values(), self.controller, self.episodes):
            widget.observe(self._changed, "value")
        self.points.observe(self._start_from, "value")
        self.start.on_click(self._start)
        self.stop.on_click(self._stop)

    def _live_tab(self) -> widgets.Widget:
        named = [(figures.NAMES[name], name) for name in LEARNERS]
        self.learner = widgets.Dropdown(options=named, layout=widgets.Layout(width="150px"))
        self.length = widgets.IntSlider(value=200, min=40, max=800, step=40, layout=widgets.Layout(width="260px"))
        self.start = widgets.Button(description="▶ Train", button_style="primary")
        self.stop = widgets.Button(description="■ Stop", disabled=True)
        self.start.add_class("mx-start")
        self.stop.add_class("mx-stop")
        self.bar = widgets.IntProgress(min=0, max=1, value=0, layout=widgets.Layout(width="180px"))
        self.live_text, self.live_picture = widgets.HTML(), widgets.Image(format="png")
        self.live_picture.layout = widgets.Layout(width="100%", max_width="1000px", display="none")
        self.live_picture.add_class("mx-live")
        row = [self.learner, widgets.Label("episodes"), self.length, self.start, self.stop, self.bar]
        layout = widgets.Layout(flex_flow="row wrap", align_items="center")
        self._say_live(
            "Trains the setting above from nothing, one seed, in the background, and writes nothing. A few hundred "
            "episodes show how learning starts; they are no result."
        )
        return widgets.VBox([widgets.HBox(row, layout=layout), self.live_text, self.live_picture])

    def _snippet_tab(self) -> widgets.Widget:
        self.snippet = widgets.Textarea(layout=widgets.Layout(width="100%", max_width="900px", height="170px"))
        self.snippet.disabled = True
        self.snippet.add_class("mx-snippet")
        self.copy = widgets.HTML()
        return widgets.VBox([self.snippet, self.copy])

    def _choices(self) -> list[tuple[str, str]]:
        trained = [(policy.label, key) for key, policy in self.policies.items() if isinstance(policy, StoredPolicy)]
        return [*trained, *((label, key) for key, label in CONTROLS.items()), PLANNER[::-1]]

    def _points(self) -> list[tuple[str, str]]:
        shown = [("the paper's points …", "")]
        for name in paper_points(self.settings):
            changes = self.settings.scenarios[name]
            text = ", ".join(f"{key} {value}" for key, value in changes.items()) or "as in Table 2"
            shown.append((f"{name.replace('_', ' ')}: {text}".replace("_", " "), name))
        return shown

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = self.view._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return data | {
            "text/plain": "The explorer needs a running kernel: run this cell in JupyterLab, or open with Voila."
        }

    # -- state in, picture out -------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the controls say now."""
        values = {key: slider.value for key, slider in self.sliders.items()}
        # Sliders count in steps of binary fractions; params.yaml has the decimal that was meant.
        rounded = {key: round(values[key], 6) for key in KEYS if key not in ("gain_db", "devices")}
        gain = tuple(round(bound, 6) for bound in values["gain_db"])
        devices = int(values["devices"])
        return State(
            gain_db=gain, devices=devices, **rounded, controller=self.controller.value, episodes=self.episodes.value
        )

    def refresh(self) -> None:
        """Compute and draw what the controls say now; a state that is not allowed is answered beside its control."""
        started, state = time.perf_counter(), self.state
        if state.controller == PLANNER[0] and PLANNER[0] not in self.policies:
            self._search()
            return
        try:
            result = compute(self.settings, state, self.policies, self.local)
            usual = self._usual(state, result)
        except ConfigError as error:
            self._hint(state, str(error))
            return
        self._hint(state, "")
        self.result = result
        self.numbers.value = tiles(result, usual, self.reported)
        self.picture.value = png(draw(result, self.reported, self.figure))
        self.notice.value = "".join(_note(line) for line in result.notices)
        self._show_snippet(state)
        self.drawn += 1
        # The first drawing also warms everything up.
        spent = f"; drawn in {1e3 * (time.perf_counter() - started):.0f} ms" if self.drawn > 1 else ""
        played = f"{max(1, DEVICE_EPISODES // state.devices)} episodes without exploration noise"
        self.footer.value = (
            f'<span class="mx-hint" data-drawn="{self.drawn}">{html.escape(result.label)}: {_describe(state)}; '
            f"{played}{spent}</span>"
        )

    def _search(self) -> None:
        """Begin the planner's search, in a thread, and draw when it has ended."""
        self.notice.value = _note("The planner searches, once: some seconds.")
        if self.search is not None:
            return
        self._remember_loop()

        def find() -> None:
            self.policies[PLANNER[0]] = find_plan(self.settings)
            self._in_kernel(self.redraw.request)

        self.search = threading.Thread(target=find, name="planner", daemon=True)
        self.search.start()

    def _remember_loop(self) -> None:
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            self.loop = None

    def _in_kernel(self, work: Callable[[], None]) -> None:
        """From another thread: do something in the kernel's own, where there is one."""
        if self.loop is not None and self.loop.is_running():
            self.loop.call_soon_threadsafe(work)
        else:
            work()

    def _trained(self, state: State) -> StoredPolicy | None:
        policy = self.policies.get(state.controller)
        return policy if isinstance(policy, StoredPolicy) else None

    def _usual(self, state: State, result: Result) -> Result:
        """The same controller and episodes at the default setting; `result` itself where that is what it shows."""
        key = (state.controller, state.episodes)
        if not state.changes(self.settings.game):
            self.usual[key] = result
        if key not in self.usual:
            state = state_of(self.settings.game, *key)
            self.usual[key] = compute(self.settings, state, self.policies, self.local)
        return self.usual[key]

    def _hint(self, state: State, problem: str) -> None:
        """Under each control the paper's points and the training's; under the wrong one, what is wrong."""
        named = problem.partition(" ")[0].removeprefix("game.")
        policy = self._trained(state)
        trained = policy.trained_range(Game([self.settings.game])) if policy else {}
        if policy:
            trained |= {"devices": (policy.devices,) * 2}
        for key, hint in self.hints.items():
            text = f"paper {SLIDERS[key].hint}"
            if key in trained:
                text += f"; trained on {_span(*trained[key])}"
            line = f'<div class="mx-error">{html.escape(problem)}</div>' if named == key else ""
            hint.value = f'<div class="mx-hint">{html.escape(text)}</div>{line}'
        if problem and named not in self.hints:
            self.notice.value = f'<div class="mx-error">{html.escape(problem)}</div>'
        if problem:
            self.footer.value = '<span class="mx-hint">The picture shows the last state that can be played.</span>'

    def _show_snippet(self, state: State) -> None:
        policy = self._trained(state)
        fallback = "random" if state.controller == "random" else "cpo_maddpg"
        text = snippet(self.settings, state, policy.algorithm if policy else fallback)
        self.snippet.value = text
        quoted = html.escape(text, quote=True).replace("\n", "&#10;")
        self.copy.value = (
            f'<button class="lm-Widget jupyter-widgets jupyter-button widget-button mx-copy" data-text="{quoted}" '
            "onclick=\"navigator.clipboard.writeText(this.dataset.text).then(() => this.textContent = 'Copied')\">"
            "Copy</button>"
        )

    # -- callbacks -------------------------------------------------------------------------------------

    def _changed(self, change: Any) -> None:
        self.redraw.request()

    def _start_from(self, change: Any) -> None:
        """Set all sliders to one of the paper's points, as one change."""
        if not change["new"]:
            return
        game = self.settings.scenario(change["new"])
        with self.redraw.one_change():
            for key, slider in self.sliders.items():
                value = getattr(game, key)
                slider.value = tuple(value) if key == "gain_db" else value
            self.points.value = ""

    def _start(self, button: Any) -> None:
        """Begin a live training of the state as it is."""
        if self.training is not None and self.training.status == "training":
            return
        state = self.state
        try:
            game = game_of(self.settings, state)
        except ConfigError as error:
            self._say_live(str(error), wrong=True)
            return
        self._remember_loop()
        self.live_limit = game.cost_limit_fraction * float(np.mean(game.battery_capacity))
        self.training = LiveTraining(self.settings, state, self.learner.value, self.length.value, self._report)
        self.start.disabled, self.stop.disabled = True, False
        self.bar.max, self.bar.value = self.length.value, 0
        self._say_live("Starting …")
        self.training.start()

    def _stop(self, button: Any) -> None:
        if self.training is not None:
            self.training.stop()
        self.stop.disabled = True

    def _report(self) -> None:
        """From the training's thread: show the curve, in the kernel's own thread where there is one."""
        self._in_kernel(self.show_training)

    def show_training(self) -> None:
        """The live training as it stands: curve, bar, words; at its end a new entry in the list of algorithms."""
        with self.redraw.turn:
            self._show_training()

    def _show_training(self) -> None:
        training = self.training
        if training is None:
            return
        if training.curve:
            episode, reward, energy, _ = training.curve[-1]
            self.bar.value = int(episode)
            self.live_picture.value = png(draw_live(training, self.live_limit, self.live_figure))
            self.live_picture.layout.display = None
            self._say_live(
                f"{figures.NAMES[training.algorithm]}, {_describe(training.state)}: {int(episode)} of "
                f"{training.episodes} episodes, reward {reward:.3f}, energy {energy:.3f} J"
            )
        if training.status in ("done", "stopped", "failed"):
            self.start.disabled, self.stop.disabled = False, True
        if training.status == "failed":
            self._say_live(training.problem, wrong=True)
        elif training.policy is not None:
            self._add_live(training.policy)
            end = "Stopped" if training.status == "stopped" else "Done"
            self._say_live(
                f"{end} after {int(training.curve[-1][0])} episodes; it is now in the list under “Who decides”."
            )

    def _add_live(self, policy: StoredPolicy) -> None:
        key = "live"
        while key in self.policies and self.policies[key] is not policy:
            key += "+"
        if key not in self.policies:
            self.policies[key] = policy
            chosen = self.controller.value
            # Replacing the options resets the choice for a moment, which is no change to draw.
            with self.redraw.one_change():
                self.controller.options = self._choices()
                self.controller.value = chosen

    def _say_live(self, text: str, wrong: bool = False) -> None:
        kind = "mx-error" if wrong else "mx-hint"
        self.live_text.value = f'<div class="{kind}">{html.escape(text)}</div>'


def _note(text: str) -> str:
    return f'<div class="mx-note">{html.escape(text)}</div>'


def _title(text: str) -> widgets.HTML:
    return widgets.HTML(f'<span class="mx-title">{html.escape(text)}</span>')


def _describe(state: State) -> str:
    """The five numbers in words."""
    low, high = state.gain_db
    return (
        f"g {low:g} to {high:g} dB, B_max {state.battery_capacity:g} J, harvest {state.harvest_fraction:g} B_max, "
        f"N = {state.devices}, C_limit {state.cost_limit_fraction:g} B_max"
    )
