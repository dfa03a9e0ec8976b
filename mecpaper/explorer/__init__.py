"""The explorer of notebook 40: move a constant of the model and see what changes.

`state` describes the setting, `playing` plays it, `plots` draws the result, `live` trains on it; `widgets` has the
controls, `parts` the other parts of the page.
"""

from mecpaper.explorer.playing import Result, compute
from mecpaper.explorer.plots import draw
from mecpaper.explorer.state import State, read_reported, state_of
from mecpaper.explorer.widgets import Explorer

__all__ = ["Explorer", "Result", "State", "compute", "draw", "read_reported", "state_of"]
