"""Golden numbers hold, or a higher RESULTS_VERSION invalidates earlier results."""

import typing

import pytest

from mecpaper.config import ALGORITHMS, RESULTS_VERSION, LearningConfig, Readings
from tests import golden

SETTINGS = golden.settings()
NAMES = golden.names(SETTINGS)
STORED = golden.read()

RELATIVE = 1e-4
"""Other instruction sets and libraries move golden numbers by up to a fifth of this."""


@pytest.mark.parametrize("name", NAMES)
def test_golden_numbers_hold(name):
    moved = golden.differences(STORED["numbers"].get(name, {}), golden.measure(SETTINGS, name), RELATIVE)
    if STORED["version"] == RESULTS_VERSION:
        assert not moved, (
            f"{name}: golden numbers moved, stored results no longer count: raise RESULTS_VERSION in "
            f"mecpaper/config/experiment.py and run python -m tests.golden. {'; '.join(moved)}"
        )


def test_the_stored_numbers_are_of_this_version_and_of_all_trainings():
    assert STORED["version"] == RESULTS_VERSION, "RESULTS_VERSION was raised: run python -m tests.golden"
    assert list(STORED["numbers"]) == NAMES


def test_every_algorithm_and_every_switch_is_trained():
    assert set(SETTINGS.experiments) == set(ALGORITHMS)
    named = SETTINGS.experiments.items()
    trained = {algorithm: [SETTINGS.changes(name) for name in names] for algorithm, names in named}
    everywhere = [changes for listed in trained.values() for changes in listed]
    learned = [changes.get("learning", {}) for changes in everywhere]
    sections = [(Readings, SETTINGS.game.readings, everywhere), (LearningConfig, SETTINGS.learning, learned)]
    sections += [
        (entry.section, getattr(SETTINGS, key), [changes.get(key, {}) for changes in trained[key]])
        for key, entry in ALGORITHMS.items()
    ]
    missing = []
    for section, default, changes in sections:
        for key, field in section.model_fields.items():
            if field.annotation is bool or typing.get_origin(field.annotation) is typing.Literal:
                values = (True, False) if field.annotation is bool else typing.get_args(field.annotation)
                seen = {getattr(default, key), *(changed[key] for changed in changes if key in changed)}
                missing += [f"{section.__name__}.{key} = {value}" for value in values if value not in seen]
    # Golden numbers are the same on every machine; what bfloat16 computes is not.
    assert missing == ["LearningConfig.precision = auto", "LearningConfig.precision = bfloat16"]


def test_every_switch_makes_a_difference():
    for name, numbers in STORED["numbers"].items():
        algorithm, _, scenario = name.partition("/")
        default = STORED["numbers"][f"{algorithm}/default"]
        assert scenario == "default" or golden.differences(default, numbers, RELATIVE), name


def test_a_number_that_moved_is_found():
    numbers = STORED["numbers"]["maddpg/default"]
    assert not golden.differences(numbers, numbers, 0.0)
    moved = numbers | {"final.reward": [value * (1 + 3e-4) for value in numbers["final.reward"]]}
    assert [line.partition(":")[0] for line in golden.differences(numbers, moved, RELATIVE)] == ["final.reward"]
    assert golden.differences({"a": [1.0]}, {"b": [1.0]}, RELATIVE) == ["a: only stored", "b: only found"]
