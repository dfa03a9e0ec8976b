"""The explorer of notebook 40: move a constant of the model and see what changes.

`state` is what the controls say, `playing` plays it, `plots` draws what comes of it, `live` trains on it; `widgets`
holds the controls, and `parts` what the page around them consists of.
"""

from mecpaper.explorer.playing import Result, compute
from mecpaper.explorer.plots import draw
from mecpaper.explorer.state import State, read_reported, state_of
from mecpaper.explorer.widgets import Explorer

__all__ = ["Explorer", "Result", "State", "compute", "draw", "read_reported", "state_of"]
