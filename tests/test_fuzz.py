"""Configurations at random: a valid one trains without a NaN, a wrong one is refused in one line that names the key.

The keys and their ranges are read from the schema of `mecpaper.config`, so a new key is covered when it is written.
An ordinary run tries a hundred of each; `--hypothesis-profile=thorough` a thousand.
"""

import contextlib
import copy
import dataclasses
import functools
import itertools
import math
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from traitlets import TraitError

from mecpaper import config, explorer
from mecpaper.config import (
    ALGORITHMS,
    AccuracyCurve,
    Config,
    ConfigError,
    GameConfig,
    LearningConfig,
    Readings,
    ScaleConfig,
    Traces,
)
from mecpaper.config.fields import Seed
from mecpaper.config.learners import MAPPOConfig
from mecpaper.config.schema import EvaluationConfig, FigureConfig
from mecpaper.explorer.panels import png
from mecpaper.explorer.parts import SLIDERS
from mecpaper.explorer.state import KEYS, snippet
from mecpaper.policies.controls import CONTROLS
from mecpaper.training.loop import Training

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = config.load(ROOT / "params.yaml")
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
OWN = {key: entry.section for key, entry in ALGORITHMS.items()}
fuzzed = settings(deadline=None, suppress_health_check=list(HealthCheck))
rarely = settings(fuzzed, max_examples=fuzzed.max_examples // 10)

TIED = (
    r"a chunk may take|rho is a share|at least (batch|scales\.smoke\.episodes_at_once)|within std_range|reward = team"
)
"""How messages of the rules that tie several keys may read."""

UNDEFINED = {"sor", "local_energy", "offload_energy"}
"""Measures that are NaN where there is nothing of the kind: no request, no local chunk, no offload."""


# -- the schema --------------------------------------------------------------------------------------------


class Kind(typing.NamedTuple):
    """What a key holds: a type, its bounds and lengths, and of a container what is in it."""

    type: typing.Any
    inside: tuple = ()
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None


@functools.cache
def kind_of(annotation, metadata=()):
    """The `Kind` of an annotation and of what `Field` adds to it."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        return kind_of(inner, (*more, *metadata))
    bounds = {}
    for item in itertools.chain.from_iterable(getattr(item, "metadata", [item]) for item in metadata):
        bounds |= {name: value for name in Kind._fields[2:] if (value := getattr(item, name, None)) is not None}
    origin = typing.get_origin(annotation)
    inside = typing.get_args(annotation)
    if origin not in (None, typing.Literal):
        inside = tuple(kind_of(part) for part in inside)
    return Kind(origin or annotation, inside, **bounds)


def is_section(kind):
    return isinstance(kind.type, type) and issubclass(kind.type, BaseModel)


def is_union(kind):
    return bool(kind.inside) and kind.type not in (list, dict, typing.Literal)


def leaves(section, place=()):
    """Every key below a section as (path, kind), with a section's own first; of dicts nothing."""
    for name, field in section.model_fields.items():
        kind = kind_of(field.annotation, tuple(field.metadata))
        yield (*place, name), kind
        if is_section(kind):
            yield from leaves(kind.type, (*place, name))


KINDS = dict(leaves(Config)) | {("scales", "smoke"): kind_of(ScaleConfig)}
KINDS |= dict(leaves(ScaleConfig, ("scales", "smoke")))
SIZES = {"devices": 5, "chunks": 3, "slots": 6, "hidden": 8, "batch": 16, "buffer": 40, "head_hidden": 8, "epochs": 3}
SIZES |= {"minibatch": 40, "episodes_at_once": 3, "slots_per_update": 2, "curve_episodes": 2, "final_episodes": 2}
"""Maximum sizes that are trained here; what is refused is drawn from the schema's own ranges."""


# -- valid values ------------------------------------------------------------------------------------------


def numbers(kind):
    """Numbers of a range: its very ends as often as what lies between, over all orders of magnitude."""
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    if kind.type is int:
        high = kind.le if kind.le is not None else kind.lt - 1
        return st.sampled_from([low, low + 1, high]) | st.integers(low, high)
    ends = [low if kind.ge is not None else math.nextafter(low, math.inf)]
    ends.append(high if kind.le is not None else math.nextafter(high, -math.inf))
    ends += [value for value in (0, 1, 1e-30) if low < value < high]
    between = st.floats(low, high, exclude_min=kind.gt is not None, exclude_max=kind.lt is not None)
    if low >= 0:
        bottom = math.log(max(low, high * 1e-12))
        orders = st.floats(bottom, math.log(high)).map(lambda x: min(max(math.exp(x), ends[0]), ends[1]))
        between |= orders
    return st.sampled_from(ends) | between


def values(name, kind, devices):
    """Valid values of a key, by its kind."""
    if kind.type is typing.Literal:
        return st.sampled_from(kind.inside)
    if kind.type is bool:
        return st.booleans()
    if kind.type is str:
        return st.just("default")
    if kind.type is int:
        return numbers(kind._replace(le=SIZES.get(name, kind.le), lt=None if name in SIZES else kind.lt))
    if kind.type is float:
        return numbers(kind)
    if is_union(kind):
        single, other = kind.inside
        if single.type in (Traces, AccuracyCurve):
            return st.none()
        if other.type is type(None):
            return st.none() | values(name, single, devices)
        each = st.lists(values(name, single, devices), min_size=devices, max_size=devices)
        return values(name, single, devices) | each
    count = kind.max_length or 3
    return st.lists(values(name, kind.inside[0], devices), min_size=kind.min_length or 0, max_size=count)


def ordered(pair):
    """A range: its ends in order, device by device where one of them is a list."""
    if not any(isinstance(end, list) for end in pair):
        return sorted(pair)
    count = next(len(end) for end in pair if isinstance(end, list))
    both = zip(*(end if isinstance(end, list) else [end] * count for end in pair), strict=True)
    return [list(ends) for ends in zip(*(sorted(ends) for ends in both), strict=True)]


RANGES = ("frame_rate", "resolution", "transmit_power", "cpu_frequency", "gain_db", "std_range", "saturation_fall")


@st.composite
def changes(draw, section, devices, maximum=8):
    """Some keys of a section with new values; single keys keep the rules that tie two of them where that is simple."""
    kinds = {path[0]: kind for path, kind in leaves(section) if len(path) == 1 and not is_section(kind)}
    kinds = {name: kind for name, kind in kinds.items() if kind.type is not dict and name != "devices"}
    if not kinds:
        return {}
    names = st.lists(st.sampled_from(sorted(kinds)), max_size=maximum, unique=True)
    drawn = {name: draw(values(name, kinds[name], devices)) for name in draw(names)}
    for name in drawn:
        if name in RANGES:
            drawn[name] = ordered(drawn[name])
        if name in ("quality_weights", "cost_weights"):
            drawn[name] = [drawn[name][0], 1.0 - drawn[name][0]]
    if "saturation_fall" in drawn and drawn["saturation_fall"][0] == drawn["saturation_fall"][1]:
        drawn["saturation_fall"] = [0.0, 1.0]
    if drawn.get("reward") == "team" and drawn.get("critic", "channel") == "channel":
        drawn["critic"] = "pooled"
    if "gain_db" in drawn and drawn["gain_db"][1] < 0:
        drawn["gain_error_fraction"] = 0.0
    if {"batch", "buffer"} & set(drawn):
        drawn["batch"], drawn["buffer"] = sorted([drawn.get("batch", 8), drawn.get("buffer", 40)])
    if {"std", "std_range"} & set(drawn):
        low, high = drawn.setdefault("std_range", [1e-4, 1e2])
        drawn["std"] = min(max(drawn.get("std", low), low), high)
    return drawn


@st.composite
def scenarios(draw, devices):
    """What a scenario may change: the game flat with its readings, `learning`, the algorithms' sections, `effort`."""
    parts = draw(changes(GameConfig, devices, maximum=3)) | draw(changes(Readings, devices, maximum=2))
    parts |= draw(st.sampled_from([{}, {"effort": "reduced"}, {"effort": None}]))
    if draw(st.booleans()):
        parts["learning"] = draw(changes(LearningConfig, devices, maximum=3))
    for name in draw(st.lists(st.sampled_from(list(OWN)), max_size=2, unique=True)):
        parts[name] = draw(changes(OWN[name], devices, maximum=3))
        if draw(st.booleans()):
            parts[name]["learning"] = draw(changes(LearningConfig, devices, maximum=2))
    return parts


@st.composite
def scales(draw, least):
    """A scale that makes at least three updates, whatever is drawn, with so many episodes at once or more."""
    at_once = draw(st.integers(least, SIZES["episodes_at_once"]))
    slots_per_update = draw(st.integers(1, SIZES["slots_per_update"]))
    rounds = 3 * slots_per_update
    seeds = draw(st.lists(numbers(kind_of(Seed)), min_size=1, max_size=2, unique=True))
    return {
        "planner_restarts": 1, "seeds": seeds, "episodes": 2 * rounds * at_once,
        "episodes_at_once": at_once, "slots_per_update": slots_per_update, "curve_every": rounds * at_once,
        "efforts": {"reduced": {"seeds": seeds[:1], "slots_per_update": slots_per_update}},
    }  # fmt: skip


@st.composite
def valid(draw, algorithm):
    """Plain data that the schema accepts, small enough to be trained at once, and an algorithm's scenario."""
    data = copy.deepcopy(SETTINGS.model_dump())
    devices = draw(st.integers(1, SIZES["devices"]))
    data["game"] |= {"devices": devices, "chunks": 2, "slots": 3}
    data["learning"] |= {"hidden": [8, 4, 4], "batch": 8, "buffer": 40, "warmup_fraction": 0.1}
    data["cpo_maddpg"]["head_hidden"] = 4
    data["game"] |= draw(changes(GameConfig, devices))
    data["game"]["readings"] |= draw(changes(Readings, devices))
    data["learning"] |= draw(changes(LearningConfig, devices))
    data["evaluation"] |= {"curve_episodes": 1, "final_episodes": 1} | draw(changes(EvaluationConfig, devices))
    data["figures"] |= draw(changes(FigureConfig, devices, maximum=3))
    data["scales"], data["scale"] = {"smoke": draw(scales(2 if algorithm == "mappo" else 1))}, "smoke"
    data["tuning"] |= {"off_policy": {"base": {}}, "mappo": {"base": {}}}
    data["tuning"]["mappo"]["one"] = draw(changes(MAPPOConfig, devices, maximum=2))
    data["planner"]["cycles_per_bit"] = [data["game"]["cycles_per_bit"]]
    for name, section in OWN.items():
        data[name] |= draw(changes(section, devices))
        data[name]["learning"] = draw(changes(LearningConfig, devices, maximum=2))
    names = ["default", "one", "two"]
    data["scenarios"] = {"default": {}} | {name: draw(scenarios(devices)) for name in names[1:]}
    scenario = draw(st.sampled_from([*names, "one+two", "two+one"]))
    data["experiments"], data["policies"] = {algorithm: [scenario]}, [scenario]
    try:
        config.parse(Config, data)
    except ConfigError as error:
        # Only rules that tie several keys may still be broken.
        event(f"refused: {re.sub(r'[-+0-9.e]+', '#', str(error).partition(':')[2])}")
        assert re.search(TIED, str(error)), error
        assume(False)
    return data, scenario


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(fuzzed, max_examples=fuzzed.max_examples // len(ALGORITHMS) + 1)
@given(st.data())
def test_a_valid_configuration_trains_without_a_crash_or_a_nan(algorithm, data):
    content, scenario = data.draw(valid(algorithm))
    experiment = config.resolve(config.parse(Config, content), algorithm, scenario)
    training = Training(experiment)
    training.run()
    curves, summary = training.curves(), training.summaries()
    is_warm = experiment.learning.warmup_fraction <= 0.5
    updates = training.learner.updates
    assert updates >= 3 or not is_warm or not ALGORITHMS[algorithm].learns
    event("three updates" if updates >= 3 else "no updates")
    for table in (curves, summary):
        for name in table.columns.drop(["algorithm", "scenario", "scale"]):
            column = table[name].to_numpy(dtype=float)
            if name in UNDEFINED or (name == "multiplier" and training.learner.multiplier() is None):
                continue
            if table is curves and name not in summary:
                # Diagnostics have no value before the first update.
                period = getattr(experiment.own, "policy_delay", 1)
                column = column[~np.isnan(column) | (table["updates"].to_numpy() >= 3 * period)]
            assert np.isfinite(column).all(), f"{name} = {column}"
    assert all(tensor.isfinite().all() for tensor in training.learner.tensors().values())
    assert bool(training.learner.tensors()) == ALGORITHMS[algorithm].learns


# -- wrong values ------------------------------------------------------------------------------------------

MISSING = object()
"""In place of a wrong value: the key is taken out."""

OPTIONAL = {("scales", "smoke"), ("scales", "smoke", "efforts"), ("algorithms",)}
"""Places that may be left out."""

ANYTHING = [None, True, 3, -1, 1.5, math.nan, math.inf, "3", "nowhere", "", [], ["nowhere"], {}, {"nowhere": 1}]


def is_a(kind, value):
    """Whether a value of `ANYTHING` is of the type of a key; its range aside."""
    if is_section(kind) or kind.type is dict:
        return isinstance(value, dict)
    if is_union(kind):
        return any(is_a(part, value) for part in kind.inside) or (kind.inside[1].type is type(None) and value is None)
    if kind.type in (int, float):
        return isinstance(value, (int, kind.type)) and not isinstance(value, bool) and math.isfinite(value)
    if kind.type is typing.Literal:
        return value in kind.inside
    return isinstance(value, kind.type)


def outside(kind):
    """Numbers just and far outside a range; none where the type has no range."""
    if kind.type not in (int, float):
        return []
    found = [10**400 if kind.type is float else 10**30]
    for closed, opened, far in ((kind.ge, kind.gt, -math.inf), (kind.le, kind.lt, math.inf)):
        if opened is not None:
            found += [opened, opened + math.copysign(1.0, far)]
        elif kind.type is int:
            found.append(closed + int(math.copysign(1, far)))
        else:
            found += [math.nextafter(closed, far), closed + math.copysign(1.0, far)]
    return found


@st.composite
def wrong(draw, kind, name):
    """A value that a key does not take: of another type, out of range, a list of wrong length or with a wrong entry."""
    choices = [st.sampled_from([value for value in ANYTHING if not is_a(kind, value)])]
    if is_union(kind):
        choices.append(wrong(kind.inside[0], name))
        if kind.inside[1].type is list:
            choices.append(wrong(kind.inside[1], name).filter(lambda value: isinstance(value, list)))
    elif kind.type is list and not is_section(kind.inside[0]):
        entry = kind.inside[0]
        some = st.lists(values(name, entry, 2), min_size=kind.min_length or 1, max_size=kind.max_length or 3)
        broken = wrong(entry, name) if entry.type is not str else st.sampled_from([None, 3, "nowhere", [], {}])
        choices.append(st.tuples(some, broken, st.integers(0, 9)).map(lambda drawn: put(*drawn)))
        if kind.min_length:
            choices.append(st.just([]))
        if kind.max_length:
            longer = st.lists(values(name, entry, 2), min_size=kind.max_length + 1, max_size=kind.max_length + 2)
            choices.append(longer)
    elif outside(kind):
        choices.append(st.sampled_from(outside(kind)))
    value = draw(st.one_of(choices))
    fits = is_union(kind) and kind.inside[1].type is type(None) and value is None
    assume(not fits)
    return value


def put(some, broken, place):
    """A list with one entry replaced."""
    place %= len(some)
    return [*some[:place], broken, *some[place + 1 :]]


def simple(section):
    """Keys of a section that hold no section."""
    return {path: kind for path, kind in leaves(section) if len(path) == 1 and not is_section(kind)}


def places():
    """Every place of params.yaml where a value of the schema may stand, as path -> kind."""
    found = dict(KINDS)
    one, base = ("scenarios", "one"), ("tuning", "off_policy", "base")
    found |= {one + path: kind for path, kind in (simple(GameConfig) | simple(Readings)).items()}
    sections = [("learning", LearningConfig), *OWN.items()]
    found |= {(*one, name, *path): kind for name, section in sections for path, kind in simple(section).items()}
    found |= {("tuning", "mappo", "base", *path): kind for path, kind in simple(MAPPOConfig).items()}
    nested = [*((name,) for name in OWN), *((*one, name) for name in OWN), base, ("tuning", "mappo", "base")]
    for place, (path, kind) in itertools.product(nested, simple(LearningConfig).items()):
        found[(*place, "learning", *path)] = kind
    return found


PLACES = places()
OWNED = [path for path, kind in KINDS.items() if is_section(kind)]
OWNED += [path[:-1] for path in PLACES if path[0] in ("scenarios", "tuning", *OWN) and len(path) > 2]

RULES = {
    ("game", "gain_db"): [[10.0, 8.0], [-8.0, -4.0]],
    ("game", "frame_rate"): [[5.0, 1.0]],
    ("game", "transmit_power"): [[1.0, 0.3], [[0.3, 1.5], 1.0], [0.3, [1.0, 0.2]]],
    ("game", "cost_weights"): [[0.5, 0.6], [0.0, 0.0]],
    ("game", "quality_weights"): [[1.0, 1e-6]],
    ("game", "energy_coefficient"): [1e-15],
    ("learning", "buffer"): [1],
    ("maddpg", "learning"): [{"batch": 41}, {"learning": {}}, {"multiplier_rate": 0.1}, {3: 4}],
    ("mappo", "std"): [5.0],
    ("mappo", "std_range"): [[1.0, 0.02]],
    ("scenarios", "one", "gain_db"): [[10.0, 8.0]],
    ("scenarios", "one", "self"): [3],
    ("scenarios", "one", "readings"): [{"access": "orthogonal"}],
    ("scenarios", "one", "experiments"): [{}],
    ("scenarios", "one", "learning", "buffer"): [3],
    ("scenarios", "a+b"): [{}],
    ("scenarios", "../up"): [{}],
    ("scenarios", ""): [{}],
    ("scenarios", 3): [{}],
    ("scenarios", "default"): [MISSING],
    ("experiments", "maddpg"): [["default"] * 2, ["nowhere"], ["one+nowhere"], [""], ["+"], [None], "default"],
    ("experiments", "random"): [["one+decibel"]],
    ("experiments", "nobody"): [["default"]],
    ("policies",): [["default"] * 2, ["nowhere"], ["one", "one+"]],
    ("planner", "cycles_per_bit"): [[]],
    ("tuning", "seeds"): [[1, 2, 1], [], [-1], [2**31]],
    ("tuning", "off_policy", "base", "cost_discount"): [0.2],
    ("tuning", "mappo", "base", "learning"): [3, {"batch": 41}],
    ("scale",): ["huge", "demo", "", "smoke\n"],
    ("scales", "smoke", "seeds"): [[1, 1]],
    ("scales", "smoke", "efforts", "reduced", "seeds"): [[0, 0]],
    ("scenarios", "one", "effort"): ["", "huge", 3, True, ["reduced"]],
    ("scales", "smoke", "curve_every"): [3],
    ("scales", "smoke", "episodes"): [6],
    ("scales", "smoke", "scale"): ["demo", "smoke"],
    ("scales", "nowhere"): [{}],
    ("scales", "../up"): [copy.deepcopy(SETTINGS.model_dump()["scales"]["smoke"])],
    ("scales", ""): [copy.deepcopy(SETTINGS.model_dump()["scales"]["smoke"])],
    ("scales",): [{}],
}
"""What only a rule refuses, by place, in `base`: it has two devices, and its scenarios do not go together."""


def base():
    """A small valid configuration with two devices."""
    data = copy.deepcopy(SETTINGS.model_dump())
    data["game"] |= {"devices": 2, "battery_capacity": [8.0, 9.0]}
    data["learning"] |= {"batch": 8, "buffer": 40}
    data["scales"], data["scale"] = {"smoke": data["scales"]["smoke"]}, "smoke"
    data["scenarios"] = {
        "default": {},
        "one": {"gain_error": "linear", "gain_db": [-8.0, -4.0]},
        "decibel": {"gain_error": "decibel"},
    }
    data["experiments"], data["policies"] = {"maddpg": ["default", "one"]}, ["default"]
    data["tuning"] |= {"off_policy": {"base": {}}, "mappo": {"base": {}}}
    return data


@st.composite
def wrong_places(draw):
    """A place and what is wrong there."""
    sort = draw(st.sampled_from(["value", "value", "value", "rule", "unknown", "missing"]))
    if sort == "value":
        path = draw(st.sampled_from(sorted(PLACES)))
        return sort, path, draw(wrong(PLACES[path], path[-1]))
    if sort == "rule":
        path = draw(st.sampled_from(sorted(RULES, key=str)))
        return sort, path, draw(st.sampled_from(RULES[path]))
    if sort == "unknown":
        name = draw(st.sampled_from(["nowhere", "<one", "float", "[key", "two\nlines", "bell\a"]) | st.text(min_size=1))
        return sort, (*draw(st.sampled_from(OWNED)), name), draw(st.sampled_from(ANYTHING))
    return sort, draw(st.sampled_from(sorted(set(KINDS) - OPTIONAL))), MISSING


def flat(text):
    """A text as a message of one line has it."""
    return " ".join(str(text).split())


@fuzzed
@given(wrong_places())
def test_a_wrong_configuration_is_refused_in_one_line_that_names_the_key(case):
    sort, path, value = case
    data = base()
    section = data
    for key in path[:-1]:
        section = section.setdefault(key, {})
    assume(sort != "unknown" or path[-1] not in section)
    if value is MISSING:
        del section[path[-1]]
    else:
        section[path[-1]] = value
    event(sort)
    with pytest.raises(ConfigError) as caught:
        config.parse(Config, data)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    assert re.search(r"\S: \S", message)
    assert flat(".".join(map(str, path))).rstrip(".") in message
    if value is MISSING:
        assert "missing" in message
    elif not isinstance(value, (list, dict)) and len(repr(value)) < 60:
        assert flat(repr(value)) in message


# -- the file ----------------------------------------------------------------------------------------------


VALUE = r"(?P<before> +\w+: )(?P<value>[^\s#&{][^#&{\n]*?)(?P<after>\s*(#.*)?)$"
"""A line of params.yaml with a key and a value in block style."""

LINES = [n for n, line in enumerate(TEXT.splitlines()) if re.match(VALUE, line) and "multiplier_fixed" not in line]
"""Numbers of such lines, but for the one key that may be without a value."""

BREAKS = {
    "a tab": lambda found: "\t" + found[0].lstrip(),
    "given twice": lambda found: f"{found[0]}\n{found[0]}",
    "an anchor to nothing": lambda found: f"{found['before']}*nowhere",
    "an open list": lambda found: f"{found['before']}[1.0, 2.0",
    "an open text": lambda found: f'{found["before"]}"1.0',
    "an open mapping": lambda found: f"{found['before']}{{a: 1",
    "two values": lambda found: f"{found['before']}1.0: 2.0",
    "a reserved character": lambda found: f"{found['before']}@1.0",
    "a control character": lambda found: f"{found['before']}\x00",
    "a tag": lambda found: f"{found['before']}!!python/name:os.system",
    "no number": lambda found: f"{found['before']}!!float abc",
    "no date": lambda found: f"{found['before']}2026-13-45",
    "a number without end": lambda found: f"{found['before']}{'9' * 5000}",
    "another document": lambda found: f"{found[0]}\n---\na: 1",
    "a list for a mapping": lambda found: f"- {found[0].strip()}",
    "not UTF-8": lambda found: f"{found['before']}\udce4",
    "no key": lambda found: found[0].replace(":", "", 1),
    "no value": lambda found: found["before"],
    "words": lambda found: f"{found['before']}as you like it",
}


def refusal(path, content):
    """What `load` says about a file's content, or None where it takes it."""
    path.write_bytes(content)
    try:
        config.load(path)
    except ConfigError as error:
        message = str(error)
        assert len(message.splitlines()) == 1
        assert len(message) < 1000
        return message
    return None


@fuzzed
@given(st.sampled_from(LINES), st.sampled_from(sorted(BREAKS)))
def test_a_broken_file_is_refused_in_one_line_with_the_place(tmp_path_factory, number, how):
    lines = TEXT.splitlines()
    found = re.match(VALUE, lines[number])
    lines[number] = BREAKS[how](found)
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    message = refusal(path, "\n".join(lines).encode("utf-8", "surrogateescape"))
    event(how)
    assert message is not None
    assert re.match(r"params.yaml, line \d+: |params.yaml: unacceptable|[\w.]+( = .+| names .+)?: ", message)


@fuzzed
@given(st.integers(0, len(TEXT)) | st.text() | st.binary())
def test_a_file_cut_off_or_of_other_content_is_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    if isinstance(content, int):
        content = TEXT[:content]
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    message = refusal(path, content)
    assert message or config.load(path).game == SETTINGS.game


# -- what else takes parameters: names of experiments, the explorer ------------------------------------------


@fuzzed
@given(st.text() | st.sampled_from(list(ALGORITHMS)), st.text() | st.sampled_from(["default", "default+", "+"]))
def test_an_experiment_that_does_not_exist_is_refused_in_one_line(algorithm, scenario):
    assume(algorithm not in ALGORITHMS or scenario not in SETTINGS.scenarios)
    with pytest.raises(ConfigError, match=r"scenario|algorithm") as caught:
        config.resolve(SETTINGS, algorithm, scenario)
    assert len(str(caught.value).splitlines()) == 1


@fuzzed
@given(st.data())
def test_a_state_that_cannot_be_played_is_refused_in_one_line_that_names_the_key(data):
    state = explorer.state_of(SETTINGS.game, "random")
    key = data.draw(st.sampled_from(KEYS))
    kind = KINDS["game", key]
    kind = kind.inside[0] if key == "gain_db" or is_union(kind) else kind
    value = data.draw(wrong(kind, key))
    value = data.draw(st.sampled_from([(value, 10.0), (8.0, value), (10.0, 8.0), ()])) if key == "gain_db" else value
    with pytest.raises(ConfigError, match=rf"^game\.{key}") as caught:
        explorer.compute(SETTINGS, dataclasses.replace(state, **{key: value}))
    assert len(str(caught.value).splitlines()) == 1


@rarely
@given(
    st.lists(st.floats(-4.0, 20.0), min_size=2, max_size=2).map(sorted).map(tuple),
    st.floats(1.0, 20.0), st.floats(0.0, 0.3), st.integers(1, 60), st.floats(0.005, 0.2),
    st.sampled_from(list(CONTROLS)), st.integers(1, 9999),
)  # fmt: skip
def test_every_state_of_the_explorers_controls_is_drawn_or_refused(gain, battery, harvest, devices, limit, who, number):
    state = explorer.State(gain, battery, harvest, devices, limit, who, number)
    try:
        result = explorer.compute(SETTINGS, state)
    except ConfigError as error:
        assert re.match(r"game\.gain_db = .*rho is a share", str(error))
        return
    numbers = {name: value for name, value in result.measures.items() if name not in UNDEFINED}
    assert np.isfinite(list(numbers.values())).all()
    assert png(explorer.draw(result)).startswith(b"\x89PNG")
    assert "dvc repro" in snippet(SETTINGS, state, "cpo_maddpg") or result.point


@functools.cache
def page():
    """The explorer as the page shows it."""
    return explorer.Explorer(SETTINGS, ROOT)


@rarely
@given(st.sampled_from([*SLIDERS, "controller", "episodes", "learner", "length"]), st.sampled_from(ANYTHING))
def test_no_message_from_the_page_leaves_the_explorer_without_a_picture(key, value):
    app = page()
    widget = app.sliders.get(key) or getattr(app.live if key in ("learner", "length") else app, key)
    with contextlib.suppress(TraitError, TypeError, ValueError):
        widget.value = value
    app.refresh()
    assert app.picture.value[:4] == b"\x89PNG"
    assert config.parse(GameConfig, app.result.game.model_dump()) == app.result.game
