"""Controls of the explorer: they pass values to the other modules and show the results on the page."""

from __future__ import annotations

import html
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch

from mecpaper.config import Config, ConfigError, find_root, load
from mecpaper.env.game import Game
from mecpaper.explorer import parts
from mecpaper.explorer.live import LiveTab
from mecpaper.explorer.panels import Layers, canvas, png
from mecpaper.explorer.parts import SLIDERS, LastOnly, first_line, in_this_loop, line, marked, title
from mecpaper.explorer.playing import DEVICE_EPISODES, Result, compute
from mecpaper.explorer.plots import draw
from mecpaper.explorer.state import (
    State,
    operating_points,
    read_reported,
    read_seeds,
    snippet,
    span,
    state_of,
    values_of,
)
from mecpaper.policies.library import read_controllers
from mecpaper.policies.planner import PLANNER, find_plan
from mecpaper.policies.stored import StoredPolicy

WIDE = {"width": "96%"}

NOBODY = ("none", "")
"""The choice of no other controller."""


class Explorer:
    """Controls, measures, figure, live training and snippet; displayed as the last line of a notebook cell.

    Args:
        settings: params.yaml; the project's own by default.
        root: the project's folder; found by default.
    """

    def __init__(self, settings: Config | None = None, root: Path | None = None) -> None:
        self.root = root or find_root()
        self.settings = settings or load(self.root / "params.yaml")
        # The tensors are small: a second thread would only slow down a live training.
        torch.set_num_threads(1)
        self.policies = read_controllers(self.root, self.settings)
        self.reported, self.seeds = read_reported(self.root, self.settings), read_seeds(self.root)
        self.history: list[State] = []
        self.back: State | None = None  # to which an undo is on its way
        self.figure = canvas()
        self.layers: Layers = {}
        self.at_default: dict[tuple[str, int], Result] = {}
        self.result: Result | None = None
        self.other: Result | None = None  # of the second controller
        self.search: threading.Thread | None = None
        self.drawn = 0
        self.redraw = LastOnly(self.refresh)
        self.live = LiveTab(self.settings, lambda: self.state, self._add, self.redraw.turn)
        self._build()
        self.refresh()

    def _build(self) -> None:
        self.controller = marked(widgets.Dropdown(options=self._choices(), layout=WIDE), "who")
        self.beside = marked(widgets.Dropdown(options=[NOBODY, *self._choices()], layout=WIDE), "beside")
        self.points = marked(widgets.Dropdown(options=self._points(), layout=WIDE), "points")
        self.episodes = marked(widgets.BoundedIntText(value=1, min=1, max=9999, layout={"width": "90px"}), "episodes")
        self.sliders: dict[str, Any] = {}
        self.hints = {key: widgets.HTML() for key in SLIDERS}
        self.papers = {key: ", ".join(span(*value) for value in values_of(self.settings, key)) for key in SLIDERS}
        start = state_of(self.settings.game, "")
        points = [start, *(state_of(game, "") for game in operating_points(self.settings).values())]
        rows = {}
        for key, (text, kind, minimum, maximum, step, style) in SLIDERS.items():
            # The sliders cover every value in params.yaml.
            ends = [end for point in points for end in point.range_of(key)]
            options: dict[str, Any] = {"min": min(minimum, *ends), "max": max(maximum, *ends), "step": step}
            slider = kind(value=getattr(start, key), readout_format=style, layout=WIDE, **options)
            self.sliders[key] = marked(slider, key)
            row = [title(text), self.sliders[key], self.hints[key]]
            rows[key] = widgets.VBox(row, layout={"margin": "0 0 4px 0"})
        self.notice, self.change, self.seed = widgets.HTML(layout=WIDE), widgets.HTML(), widgets.HTML()
        self.undo = marked(
            widgets.Button(description="↶ Undo", disabled=True, layout={"width": "90px", "min_width": "90px"}), "undo"
        )
        self.undo.on_click(self._undo)
        self.numbers, self.footer, self.copy = widgets.HTML(), widgets.HTML(), widgets.HTML()
        layout = {"width": "100%", "max_width": "1400px"}
        self.picture = marked(widgets.Image(format="png", layout=layout), "picture")
        layout = {"width": "100%", "max_width": "900px", "height": "170px"}
        self.snippet = marked(widgets.Textarea(disabled=True, layout=layout), "snippet")
        first = [title(parts.NAMES["who"]), self.controller, self.seed, title(parts.NAMES["beside"]), self.beside]
        first += [title(parts.NAMES["points"]), self.points, title(parts.NAMES["episodes"]), self.episodes]
        columns = [first, [rows[key] for key in ("gain_db", "battery_capacity", "harvest_fraction")]]
        columns.append([rows["devices"], rows["cost_limit_fraction"], self.notice])
        third = {"width": "32%", "min_width": "250px", "margin": "0 1% 0 0"}
        boxes = [widgets.VBox(column, layout=third) for column in columns]
        controls = widgets.HBox(boxes, layout={"flex_flow": "row wrap"})
        tabs = widgets.Tab([self.live.view, widgets.VBox([self.snippet, self.copy])])
        tabs.titles = ("Live training", "Reproduce")
        moved = widgets.HBox([self.undo, self.change], layout={"align_items": "center"})
        top = [widgets.HTML(parts.CSS), controls, moved, self.numbers, self.picture]
        self.view = widgets.VBox([*top, widgets.HTML(line("hint", parts.THIRD_PANEL)), self.footer, tabs])
        for widget in (*self.sliders.values(), self.controller, self.beside, self.episodes):
            widget.observe(lambda change: self.redraw.request(), "value")
        self.points.observe(self._move_to_point, "value")

    def _choices(self) -> list[tuple[str, str]]:
        """Return labels and names of the controllers, including the planner before its search."""
        labels = {"planner": PLANNER} | {name: policy.label for name, policy in self.policies.items()}
        return [(label, name) for name, label in sorted(labels.items(), key=lambda pair: pair[0] == "planner")]

    def _points(self) -> list[tuple[str, str]]:
        shown = [("choose a scenario …", "")]
        for name in operating_points(self.settings):
            changes = {key: value for key, value in self.settings.scenarios[name].items() if key != "effort"}
            text = ", ".join(f"{key} {value}" for key, value in changes.items()) or "as in Table 2"
            shown.append((f"{name}: {text}".replace("_", " "), name))
        return shown

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = self.view._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        text = "The explorer needs a running kernel: run this cell in JupyterLab, or open with Voila."
        return data | {"text/plain": text}

    # -- state in, figure out --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The current values of the controls."""
        # Rounding turns the sliders' binary fractions into the decimals of params.yaml.
        values: dict[str, Any] = {key: np.round(slider.value, 6).tolist() for key, slider in self.sliders.items()}
        values["gain_db"] = tuple(values["gain_db"])
        who = {"controller": self.controller.value, "beside": self.beside.value}
        return State(**values, **who, episodes=self.episodes.value)

    def refresh(self) -> None:
        """Compute and draw the current state; show the problem of an invalid state at its control."""
        started, state = time.perf_counter(), self.state
        if "planner" in (state.controller, state.beside) and "planner" not in self.policies:
            return self._search()
        rival = replace(state, controller=state.beside)
        try:
            result = compute(self.settings, state, self.policies)
            other = compute(self.settings, rival, self.policies) if state.beside else None
            at_default = self._at_default(state, result)
        except ConfigError as error:
            return self._hint(state, str(error))
        self._hint(state, "")
        if self.result is not None:
            if self.back is None and self.result.state != state:
                self.history.append(self.result.state)
            self.change.value = line("hint", parts.changed(self.result, result, (self.other, other)))
        self.back = None if state == self.back else self.back
        self.undo.disabled = not self.history
        self.result, self.other = result, other
        # The paper prints its numbers for its own algorithm.
        policy = self._trained(state)
        reported = self.reported if policy is not None and policy.algorithm == "cpo_maddpg" else {}
        self.numbers.value = parts.tiles(result, at_default, reported, other)
        self.picture.value = png(draw(result, reported, self.figure, other), self.layers)
        self.notice.value = "".join(line("note", text) for text in result.notices)
        self._show_snippet(state)
        self.drawn += 1
        # The first drawing includes one-time costs.
        spent = f"; drawn in {1e3 * (time.perf_counter() - started):.0f} ms" if self.drawn > 1 else ""
        played = f"{max(1, DEVICE_EPISODES // state.devices)} episodes without exploration noise"
        beside = f" beside {other.label}" if other else ""
        text = html.escape(f"{result.label}{beside}: {state}; {played}{spent}")
        self.footer.value = f'<span class="mx-hint" data-drawn="{self.drawn}">{text}</span>{parts.named()}'

    def _search(self) -> None:
        """Search a plan in a thread, and redraw when it is found."""
        self.notice.value = line("note", "The planner searches once, which takes some seconds.")
        if self.search is not None:
            return
        soon = in_this_loop()

        def find() -> None:
            try:
                self.policies["planner"] = find_plan(self.settings.game, self.settings.planner.generations)
            except Exception as error:  # nothing else would report an exception in a thread
                said, self.search = line("error", f"The search failed: {first_line(error)}"), None
                soon(lambda: setattr(self.notice, "value", said))
            else:
                soon(self.redraw.request)

        self.search = threading.Thread(target=find, name="planner", daemon=True)
        self.search.start()

    def _trained(self, state: State) -> StoredPolicy | None:
        policy = self.policies.get(state.controller)
        return policy if isinstance(policy, StoredPolicy) else None

    def _at_default(self, state: State, result: Result) -> Result:
        """Return the result of the same controller and episodes at the default setting."""
        key = (state.controller, state.episodes)
        if not state.changes(self.settings.game):
            self.at_default[key] = result
        if key not in self.at_default:
            self.at_default[key] = compute(self.settings, state_of(self.settings.game, *key), self.policies)
        return self.at_default[key]

    def _hint(self, state: State, problem: str) -> None:
        """Show the paper's and the training's values under each control, and a problem under its control."""
        named = problem.partition(" ")[0].removeprefix("game.")
        policy, trained = self._trained(state), {}
        if policy:
            trained = policy.trained_range(Game([self.settings.game])) | {"devices": (policy.devices,) * 2}
        for key, hint in self.hints.items():
            text = f"paper {self.papers[key]}" + (f"; trained on {span(*trained[key])}" if key in trained else "")
            hint.value = line("hint", text) + (line("error", problem) if named == key else "")
        self.seed.value = line("hint", self.seeds.get(state.controller, ""))
        if problem:
            self.footer.value = '<span class="mx-hint">The figure shows the last valid setting.</span>'
            if named not in self.hints:
                self.notice.value = line("error", problem)

    def _show_snippet(self, state: State) -> None:
        policy = self._trained(state)
        fallback = "random" if state.controller == "random" else "cpo_maddpg"
        said = (
            "" if policy or fallback == "random" else "# This controller is not trained; these lines train another.\n"
        )
        self.snippet.value = said + snippet(self.settings, state, policy.algorithm if policy else fallback)
        quoted = html.escape(self.snippet.value, quote=True).replace("\n", "&#10;")
        self.copy.value = (
            f'<button class="lm-Widget jupyter-widgets jupyter-button widget-button mx-copy" data-text="{quoted}" '
            "onclick=\"navigator.clipboard.writeText(this.dataset.text).then(() => this.textContent = 'Copied')\">"
            "Copy</button>"
        )

    def _move_to_point(self, change: Any) -> None:
        """Set all sliders to an operating point."""
        if not change["new"]:
            return
        self._move(state_of(self.settings.scenario(change["new"]), ""))
        self.points.value = ""

    def _move(self, state: State) -> None:
        """Set all sliders to a state."""
        for key, slider in self.sliders.items():
            slider.value = getattr(state, key)

    def _undo(self, button: Any) -> None:
        """Return to the state before the last drawing."""
        before = self.back = self.history.pop()
        self._move(before)
        self.controller.value, self.beside.value = before.controller, before.beside
        self.episodes.value = before.episodes

    def _add(self, policy: StoredPolicy) -> None:
        """Add a policy that was trained live to the list of controllers, once."""
        key = "live"
        while key in self.policies and self.policies[key] is not policy:
            key += "+"
        if key in self.policies:
            return
        self.policies[key] = policy
        # New options reset the choice.
        for menu, more in ((self.controller, []), (self.beside, [NOBODY])):
            chosen = menu.value
            menu.options = [*more, *self._choices()]
            menu.value = chosen
