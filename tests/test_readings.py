"""The other readings: what is measured of each stands in the register, in words that come from the tables."""

import pandas as pd

from mecpaper.claims import robustness

VERDICTS = pd.DataFrame(
    [
        ("default", 1, "unresolved"), ("default", 6, "contradicted"), ("default", 9, "unresolved"),
        ("D4", 1, "reproduced"), ("D4", 6, "contradicted"), ("D4", 9, "untestable"),
    ],
    columns=["reading", "claim", "verdict"],
)  # fmt: skip

EFFECTS = pd.DataFrame(
    [
        ("D4", "reduced", "cpo_maddpg", "reward", 0.01, -0.02, 0.04, 3),
        ("D4", "reduced", "cpo_maddpg", "sor", -0.5, float("-inf"), float("inf"), 1),
        ("D4", "reduced", "maddpg", "reward", 9.0, 8.0, 10.0, 3),
        ("D34", "full", "cpo_maddpg", "energy", -0.1, -0.2, -0.05, 5),
    ],
    columns=["reading", "share", "algorithm", "measure", "effect", "lower", "upper", "seeds"],
)


def test_the_register_holds_what_the_tables_say(root):
    runs = root / "data" / "runs"
    register = pd.read_csv(root / "data" / "paper" / "deviations.csv", dtype=str, keep_default_na=False)
    tables = (pd.read_csv(runs / f"{name}.csv") for name in ("reading_effects", "robustness"))
    measured = robustness.measured_effects(*tables)
    assert {*robustness.READINGS, *robustness.FULL} <= set(measured)
    pd.testing.assert_frame_equal(robustness.with_effects(register, measured), register)


def test_effects_in_words_by_hand():
    words = robustness.measured_effects(EFFECTS, VERDICTS)
    assert words == {
        "D4": "CPO-MADDPG at the reduced share of the scale, 3 seeds, the other reading less this one: "
        "reward +0.010 [-0.020, +0.040], SOR -0.500 (1 seed); "
        "1 of 2 headline verdicts change: claim 1 reproduced instead of unresolved",
        "D34": "CPO-MADDPG at the full share of the scale, 5 seeds, the other reading less this one: "
        "energy in J -0.100 [-0.200, -0.050]",
    }


def test_words_written_by_hand_stay_and_old_measurements_go():
    texts = [f"by hand; {robustness.GENERATED}old", "by hand", f"{robustness.GENERATED}old"]
    register = pd.DataFrame({"id": ["D1", "D2", "D3"], "measured_effect": texts})
    measured = {"D1": f"{robustness.GENERATED}new"}
    renewed = robustness.with_effects(register, measured)["measured_effect"].tolist()
    assert renewed == [f"by hand; {robustness.GENERATED}new", "by hand", ""]
