"""Parts of the benchmarks that decide something, without their measurements."""

import numpy as np
import pytest

from benchmarks import precision, projection
from benchmarks.common import Options


def _options(**changes):
    usual = {
        "root": None, "threads": 1, "repetitions": 1, "seconds": 0.0, "scale": "study", "levels": (),
        "budget_factor": 1.0, "budget_minutes": 1.0, "slots_per_learn": (), "earlier": {},
    }  # fmt: skip
    return Options(**usual | changes)


def test_the_projection_spends_on_each_learner_what_the_scale_paper_says(small):
    values = dict(projection.measure(small, _options())["values"])
    replaying, mappo = (values[f"{name}, 4 devices, 5 seeds: 1 experiments, each"] for name in ("maddpg", "mappo"))
    # 2000 episodes of 5 slots, one at a time with an update per slot, or ten at once.
    assert replaying.startswith("10000 x ") and " + 9000 x " in replaying
    assert mappo.startswith("1000 x ")
    assert values["all 5 experiments that learn, here"].endswith(" h")


@pytest.mark.parametrize(
    ("shift", "spread", "verdict"),
    [(0.001, 0.005, "equivalent"), (0.01, 0.005, "not shown"), (0.001, 0.1, "not shown")],
)
def test_precisions_are_equivalent_if_the_whole_interval_is_within_the_margin(small, shift, spread, verdict):
    noise = spread * np.random.default_rng(1).normal(size=(2, 40))
    noise -= noise.mean(axis=1, keepdims=True)
    figures = [
        {"name": f"{algorithm}, {kind}: {name}", "values": values}
        for algorithm in precision.ALGORITHMS
        for kind, level in zip(precision.PRECISIONS, (noise[0], noise[1] + shift), strict=True)
        for name, values in (("final reward", level.tolist()), ("training, a seed's share", [1.0]))
    ]
    cases = {entry["name"].partition(":")[0] for entry in figures}
    keys = {case: precision.experiment_of(small, case, [1]).key for case in cases}
    assert len(set(keys.values())) == 4
    known = [[f"{case}: experiment", key[:12]] for case, key in keys.items()]
    earlier = {"precision": {"values": known, "figures": figures}}
    found = precision.measure(small, _options(repetitions=40, earlier=earlier))
    text = dict(found["values"])["maddpg: bfloat16 less float32, 90 % interval"]
    assert text.startswith(f"{shift:+.4f} (") and f"), 40 seeds: {verdict}" in text
    assert {entry["repetitions"] for entry in found["figures"]} == {40, 1}
