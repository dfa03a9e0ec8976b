"""params.yaml: an invalid value is refused in one line with the key, the value and what is allowed."""

import copy
import re

import pytest

from mecpaper import config
from mecpaper.config import ConfigError
from mecpaper.training import experiments


def _changed(settings, path, value):
    data = copy.deepcopy(settings.model_dump())
    *parents, last = path.split(".")
    section = data
    for key in parents:
        section = section[key]
    if value is _REMOVE:
        del section[last]
    else:
        section[last] = value
    return data


_REMOVE = object()

WRONG = [
    ("game.devices", 0, ["game.devices", "0", "greater than or equal to 1"]),
    ("game.devices", "twenty", ["game.devices", "twenty", "integer"]),
    ("game.devices", 20.5, ["game.devices", "20.5", "integer"]),
    ("game.devices", True, ["game.devices", "True", "integer"]),
    ("game.bandwidth", _REMOVE, ["game.bandwidth", "required"]),
    ("game.bandwith", 1.0, ["game.bandwith", "1.0", "unknown key"]),
    ("game.bandwidth", -1.0, ["game.bandwidth", "-1.0", "greater than or equal to 1"]),
    ("game.bandwidth", float("nan"), ["game.bandwidth", "nan", "finite"]),
    ("game.gain_db", [10.0, 8.0], ["gain_db", "[10.0, 8.0]", "must not exceed"]),
    ("game.gain_db", [-8.0, -4.0], ["gain_db", "[-8.0, -4.0]", "must not be negative"]),
    ("game.resolution", [720.0], ["game.resolution", "[720.0]", "at least 2"]),
    ("game.transmit_power", [[], 1.0], ["transmit_power.0", "at least 1"]),
    ("game.transmit_power", [[0.5, 0.3], [1.0, 0.2]], ["transmit_power of device 1", "[0.3, 0.2]"]),
    ("game.cost_weights", [0.5, 0.6], ["cost_weights", "[0.5, 0.6]", "sum to 1"]),
    ("game.readings.access", "shared", ["game.readings.access", "shared", "full_band"]),
    ("learning.buffer", 10, ["buffer", "10", "batch"]),
    ("learning.reward", "team", ["critic = channel", "team", "pooled"]),
    ("learning.reward_discount", 1.0, ["learning.reward_discount", "1.0", "less than 1"]),
    ("cpo_maddpg.gradient", "plain", ["cpo_maddpg.gradient", "plain", "lagrangian"]),
    ("scenarios.users_30", {"device": 30}, ["scenarios.users_30.device", "30", "unknown key"]),
    ("scenarios.users_30", {"devices": -3}, ["scenarios.users_30.devices", "-3", "greater than or equal to 1"]),
    ("scenarios.users_30", {"access": "shared"}, ["scenarios.users_30.access = 'shared'", "full_band"]),
    ("experiments.maddpg", ["elsewhere"], ["experiments.maddpg", "elsewhere", "default"]),
    ("experiments.nobody", ["default"], ["experiments.nobody", "cpo_maddpg"]),
    ("scale", "huge", ["scale = 'huge'", "smoke, demo, study, paper"]),
    ("scales.demo.scale", "dmeo", ["scales.demo.scale", "dmeo", "unknown key"]),
    ("scales.study.seeds", [1, 2, 1], ["scales.study.seeds", "[1, 2, 1]", "1 is repeated"]),
    ("scales.study.seeds", [], ["scales.study.seeds", "[]", "at least 1"]),
    ("scales.study.curve_every", 25, ["scales.study.curve_every", "25", "multiple"]),
    ("figures.confidence", 1.5, ["figures.confidence", "1.5", "less than 1"]),
]


@pytest.mark.parametrize(
    ("path", "value", "words"), WRONG, ids=[f"{p}={'removed' if v is _REMOVE else v}"[:50] for p, v, _ in WRONG]
)
def test_wrong_value_is_refused_in_one_line(settings, path, value, words):
    with pytest.raises(ConfigError) as caught:
        config.parse(config.Config, _changed(settings, path, value))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_project_file_is_valid_and_round_trips(settings):
    assert config.parse(config.Config, settings.model_dump()) == settings


def test_a_scale_that_does_not_exist(root, tmp_path):
    text, count = re.subn(r"(?m)^scale: \w+", "scale: huge", (root / "params.yaml").read_text())
    assert count == 1
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"scale = 'huge': one of smoke, demo, study, paper") as caught:
        config.load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_scale_may_have_any_name_and_is_chosen_by_it(settings):
    data = settings.model_dump()
    data["scales"]["lunch-break"] = data["scales"].pop("demo")
    data["scale"] = "lunch-break"
    chosen = config.parse(config.Config, data)
    assert chosen.run == chosen.scales["lunch-break"] == settings.scales["demo"]
    assert settings.run == settings.scales["study"]
    experiment = config.resolve(chosen, "maddpg", "default")
    assert (experiment.scale, experiment.scale_name) == (chosen.run, "lunch-break")


def test_a_key_given_twice_is_refused(root, tmp_path):
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text() + "\nrandom: {}\n")
    with pytest.raises(ConfigError, match="random"):
        config.load(tmp_path / "params.yaml")


def test_a_file_that_is_no_mapping_or_missing(tmp_path):
    (tmp_path / "params.yaml").write_text("just words")
    with pytest.raises(ConfigError, match="mapping"):
        config.load(tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        config.load(tmp_path / "absent.yaml")


def test_sections_are_immutable(settings):
    with pytest.raises(ValueError, match="frozen"):
        settings.game.devices = 3


def test_a_scenario_changes_only_what_it_names(settings):
    changed = settings.scenario("users_30").model_dump()
    assert changed.pop("devices") == 30
    default = settings.game.model_dump()
    del default["devices"]
    assert changed == default
    with pytest.raises(ConfigError, match="nowhere"):
        settings.scenario("nowhere")


def test_a_reading_is_changed_by_its_own_key(settings):
    assert settings.game.changed(access="orthogonal").readings.access == "orthogonal"


def test_a_constant_and_a_reading_are_told_apart(settings):
    assert settings.game.changed(eavesdropper_power=0.1).eavesdropper_power == 0.1
    assert settings.game.changed(listening_power="user").readings.listening_power == "user"
    assert not set(config.GameConfig.model_fields) & set(config.Readings.model_fields)


def test_devices_take_the_entries_of_a_list_in_turn_also_in_a_scenario_with_others(settings):
    listed = settings.game.changed(battery_capacity=[6.0, 8.0, 10.0])
    assert listed.per_device(listed.battery_capacity) == [*[6.0, 8.0, 10.0] * 6, 6.0, 8.0]
    more = config.parse(config.Config, settings.model_dump() | {"game": listed.model_dump()}).scenario("users_30")
    assert more.per_device(more.battery_capacity) == [6.0, 8.0, 10.0] * 10
    assert listed.changed(devices=2).per_device(listed.battery_capacity)[:2] == [6.0, 8.0]


def test_the_heterogeneous_devices_all_differ_and_have_the_means_of_the_default(settings):
    game = settings.scenario("heterogeneous")
    ends = game.battery_capacity, game.transmit_power[1], game.cpu_frequency[1], game.energy_coefficient
    assert len(set(zip(*map(game.per_device, ends), strict=True))) == game.devices
    assert game.alike() == settings.game
    assert game.changed(devices=2).alike().battery_capacity == 6.0


def test_the_root_is_found_from_below_and_named_when_absent(root, tmp_path, monkeypatch):
    monkeypatch.delenv("MECPAPER_ROOT", raising=False)
    assert config.find_root(root / "notebooks") == root
    with pytest.raises(ConfigError, match="project root"):
        config.find_root(tmp_path)


def test_fingerprints_differ_with_any_number_and_not_with_order():
    first = config.fingerprint({"a": 1.0, "b": 2})
    assert first == config.fingerprint({"b": 2, "a": 1.0})
    assert first != config.fingerprint({"a": 1.0000001, "b": 2})


@pytest.mark.parametrize("letter", ["a", "ü"])
def test_joined_names_that_no_folder_can_have_are_refused_in_one_line(small, tmp_path, letter):
    names = [letter * 90, letter * 91, "b" * 50]
    data = small.model_dump()
    data["scenarios"] |= {name: {} for name in names}
    chosen = config.parse(config.Config, data)
    with pytest.raises(ConfigError, match=r"^scenario = '.*\.\.\..*': at most 200 bytes") as caught:
        config.resolve(chosen, "random", "+".join(names))
    assert "\n" not in str(caught.value)
    longest = config.resolve(chosen, "random", "+".join((names[2], names[2], names[2], "default")))
    assert experiments.train([longest], tmp_path) == [longest]


def test_an_effort_changes_what_a_scale_spends_on_its_scenarios(settings):
    data = settings.model_dump()
    data["scales"]["demo"]["efforts"] = {"long": {"episodes": 8 * data["scales"]["demo"]["episodes"], "seeds": [9]}}
    chosen = config.parse(config.Config, data | {"scale": "demo"})
    short, long = (config.resolve(chosen, "maddpg", name).scale for name in ("default", "long"))
    assert long.seeds == [9] and long.episodes == 8 * short.episodes
    assert long.episodes_at_once == short.episodes_at_once and long.slots_per_update == short.slots_per_update
    # A scale that does not list the effort spends on it what it spends on all, under the same key.
    assert config.resolve(chosen, "maddpg", "users_30").scale.seeds == short.seeds
    # Later names override earlier ones.
    assert config.resolve(settings, "maddpg", "users_30+long").scale.episodes == 8500
    data["scenarios"]["long"] = {"effort": "longer"}
    with pytest.raises(ConfigError, match=r"scenarios\.long\.effort = 'longer': one of reduced, long"):
        config.parse(config.Config, data)
    data["scenarios"]["long"] = {"effort": "long"}
    data["scales"]["demo"]["efforts"]["long"]["curve_every"] = 33
    chosen = config.parse(config.Config, data | {"scale": "demo"})
    with pytest.raises(ConfigError, match=r"^scales\.demo\.efforts\.long\.curve_every = 33: a multiple of"):
        config.resolve(chosen, "maddpg", "long")
