"""Short trainings in a thread that can be watched and stopped, the figure of their learning curve, and their tab."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mecpaper.config import ALGORITHMS, Config, ConfigError, Experiment, parse, resolve
from mecpaper.config.schema import EvaluationConfig, ScaleConfig
from mecpaper.explorer.panels import BLUE, RED, clear, png, round_ticks, write_key
from mecpaper.explorer.parts import first_line, in_this_loop, line, marked
from mecpaper.explorer.state import NAME, State, game_of, state_of
from mecpaper.policies.stored import StoredPolicy
from mecpaper.report.figures import STYLE
from mecpaper.training.loop import StoppedError, Training
from mecpaper.training.memory import require

LEARNERS = tuple(key for key, algorithm in ALGORITHMS.items() if algorithm.learns)


def live_experiment(settings: Config, state: State, algorithm: str, episodes: int) -> Experiment:
    """Make the experiment of an algorithm on a state, with one seed and at a scale small enough to watch.

    Raises:
        ConfigError: an invalid state, or a number of episodes that is not a multiple of four.
    """
    base = resolve(settings, algorithm, "default", seeds=[1])
    pace = {"episodes": episodes, "episodes_at_once": 4, "slots_per_update": 5, "curve_every": 4}
    scale = parse(ScaleConfig, base.scale.model_dump() | pace, "live training")
    episodes_measured = {"curve_episodes": 2, "final_episodes": 1}
    evaluation = parse(EvaluationConfig, base.evaluation.model_dump() | episodes_measured, "evaluation")
    return replace(base, scenario=NAME, game=game_of(settings, state), scale=scale, evaluation=evaluation)


class LiveTraining(threading.Thread):
    """A short training, started by `start()`; it writes no files.

    Args:
        settings: params.yaml.
        state: setting to train on.
        algorithm: one of `LEARNERS`.
        episodes: number of episodes, a multiple of four.
        report: called in the thread after every change of `curve` or `status`.
    Raises:
        ConfigError: an invalid state.

    Attributes: `curve`, a list of (episode, reward, energy, SOR); `status`, "training", "done", "stopped" or "failed";
    `problem`, one line after a failure; `policy`, the trained policy, None before the end; `cost_limit`, J.
    """

    def __init__(
        self, settings: Config, state: State, algorithm: str, episodes: int, report: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(name="live training", daemon=True)
        self.settings, self.state, self.algorithm, self.episodes = settings, state, algorithm, episodes
        self.cost_limit = state.cost_limit_fraction * state_of(game_of(settings, state), "").battery_capacity
        self.report = report
        self.curve: list[tuple[float, ...]] = []
        self.status, self.problem = "training", ""
        self.policy: StoredPolicy | None = None
        self._asked_to_stop = threading.Event()

    def stop(self) -> None:
        """Ask the training to end after the current round of episodes."""
        self._asked_to_stop.set()

    def run(self) -> None:
        """Train; called by the thread."""
        status = "done"
        try:
            experiment = live_experiment(self.settings, self.state, self.algorithm, self.episodes)
            require([experiment])
            training = Training(experiment)

            def progress(done: int, total: int, label: str) -> None:
                new = training.curve[len(self.curve) :]
                names = ("episode", "reward", "energy", "sor")
                self.curve += [tuple(float(point[name][0]) for name in names) for point in new]
                if new:
                    self.report()
                if self._asked_to_stop.is_set() and done < total:
                    raise StoppedError("live training: stopped")

            try:
                training.run(progress=progress)
            except StoppedError:
                status = "stopped"
            label = f"Trained here: {ALGORITHMS[self.algorithm].label}, {training.episode} episodes"
            limit = self.state.cost_limit_fraction
            if training.episode:
                self.policy = StoredPolicy.from_tensors(label, self.algorithm, training.policy(), limit)
        except Exception as error:  # nothing else would report an exception in a thread
            status, self.problem = "failed", first_line(error)
        self.status = status
        self.report()


def draw_live(training: LiveTraining, figure: Figure | None = None) -> Figure:
    """Draw the learning curve so far: reward, energy against C_limit, safe offload rate.

    Args:
        training: the training to draw.
        figure: an earlier return value to reuse; a new figure by default.
    """
    points = np.array(training.curve, dtype=float).reshape(-1, 4)
    limits = {"reward per device and slot": None, "energy, J": training.cost_limit, "SOR": None}
    with matplotlib.rc_context(STYLE):
        if figure is None:
            figure = Figure(figsize=(9.0, 2.6))
            for axes in figure.subplots(1, 3):
                axes.set_xlabel("episode")
                round_ticks(axes)
            figure.subplots_adjust(left=0.055, right=0.985, top=0.95, bottom=0.18, wspace=0.22)
        clear(figure)
        for axes, (name, limit), values in zip(figure.axes, limits.items(), points[:, 1:].T, strict=True):
            axes.plot(points[:, 0], values, color=BLUE, linewidth=1.8, marker=".", markersize=4)
            shown, entries = [*values[np.isfinite(values)]], [(name, BLUE)]
            if limit:
                axes.axhline(limit, color=RED, linewidth=1.2, linestyle="--")
                shown.append(limit)
                entries.append((f"╌ limit {limit:.3f} J", RED))
            low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
            room = 0.1 * max(high - low, 0.05)
            axes.set(xlim=(0, training.episodes), ylim=(low - room, high + 3.5 * room))
            write_key(axes, entries, step=0.11)
    return figure


class LiveTab:
    """Buttons and curve of a live training.

    `state` returns the state to train on, `trained` receives the policy at the end of a training, and the lock `turn`
    is held while the page changes.
    """

    def __init__(
        self, settings: Config, state: Callable[[], State], trained: Callable[[StoredPolicy], None], turn: Any
    ) -> None:
        self.settings, self.state, self.trained, self.turn = settings, state, trained, turn
        self.training: LiveTraining | None = None
        self.figure: Figure | None = None
        learners = [(ALGORITHMS[key].label, key) for key in LEARNERS]
        self.learner = marked(widgets.Dropdown(options=learners, layout={"width": "150px"}), "learner")
        length = widgets.IntSlider(value=200, min=40, max=800, step=40, layout={"width": "260px"})
        self.length = marked(length, "length")
        self.start = marked(widgets.Button(description="▶ Train", button_style="primary"), "start")
        self.stop = marked(widgets.Button(description="■ Stop", disabled=True), "stop")
        self.start.on_click(self.begin)
        self.stop.on_click(self.end)
        self.bar = widgets.IntProgress(min=0, max=1, value=0, layout={"width": "180px"})
        self.text = widgets.HTML()
        layout = {"width": "100%", "max_width": "1000px", "display": "none"}
        self.picture = marked(widgets.Image(format="png", layout=layout), "live")
        row = [self.learner, widgets.Label("episodes"), self.length, self.start, self.stop, self.bar]
        wrapped = widgets.HBox(row, layout={"flex_flow": "row wrap", "align_items": "center"})
        self.view = widgets.VBox([wrapped, self.text, self.picture])
        self.say(
            "Trains on the setting above from scratch, with one seed, in the background; no file is written. A few "
            "hundred episodes show how learning starts; they are not a result."
        )

    def say(self, text: str, kind: str = "hint") -> None:
        """Show a line under the buttons."""
        self.text.value = line(kind, text)

    def begin(self, button: Any) -> None:
        """Start a training on the current state."""
        if self.training is not None and self.training.status == "training":
            return
        soon = in_this_loop()
        try:
            state, length = self.state(), self.length.value
            training = LiveTraining(self.settings, state, self.learner.value, length, lambda: soon(self.show))
        except ConfigError as error:
            return self.say(str(error), "error")
        self.training = training
        self.start.disabled, self.stop.disabled = True, False
        self.bar.max, self.bar.value = length, 0
        self.say("Starting …")
        training.start()

    def end(self, button: Any) -> None:
        """Stop the training."""
        if self.training is not None:
            self.training.stop()
        self.stop.disabled = True

    def show(self) -> None:
        """Update curve, bar and text of the training; at its end, hand over the policy."""
        with self.turn:
            training = self.training
            if training is None:
                return
            done = 0.0
            if training.curve:
                done, reward, energy, _ = training.curve[-1]
                self.bar.value = int(done)
                self.figure = draw_live(training, self.figure)
                self.picture.value = png(self.figure)
                self.picture.layout.display = None
                self.say(
                    f"{ALGORITHMS[training.algorithm].label}, {training.state}: {done:g} of {training.episodes} "
                    f"episodes, reward {reward:.3f}, energy {energy:.3f} J"
                )
            if training.status != "training":
                self.start.disabled, self.stop.disabled = False, True
            if training.status == "failed":
                self.say(training.problem, "error")
            elif training.status == "stopped" and training.policy is None:
                self.say("Stopped before the first episode; nothing was learned.")
            elif training.policy is not None:
                self.trained(training.policy)
                end = "Stopped" if training.status == "stopped" else "Done"
                self.say(f"{end} after {done:g} episodes; the policy is now in the list of controllers.")
