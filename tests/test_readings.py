"""The other readings: the measured effect of each, described from the tables."""

import pandas as pd
import pytest

from mecpaper.claims import robustness

VERDICTS = pd.DataFrame(
    [
        ("default", "1a", "no difference of practical size", None),
        ("default", "6a", "contradicted", None), ("default", "9a", "open", None),
        ("D4", "1a", "reproduced", "no difference of practical size"), ("D4", "6a", "contradicted", None),
        ("D4", "9a", "open", None),
    ],
    columns=["reading", "id", "verdict", "otherwise"],
)  # fmt: skip

EFFECTS = pd.DataFrame(
    [
        ("D4", "cpo_maddpg", "reward", 0.01, -0.02, 0.04, 3),
        ("D4", "cpo_maddpg", "sor", -0.5, float("-inf"), float("inf"), 1),
        ("D4", "maddpg", "reward", 9.0, 8.0, 10.0, 3),
        ("D34", "cpo_maddpg", "energy", -0.1, -0.2, -0.05, 5),
    ],
    columns=["reading", "algorithm", "measure", "effect", "lower", "upper", "seeds"],
)


def test_the_stored_words_are_those_of_the_stored_tables(root):
    runs = root / "data" / "runs"
    tables = (pd.read_csv(runs / f"{name}.csv") for name in ("reading_effects", "robustness"))
    measured = robustness.measured_effects(*tables)
    pd.testing.assert_frame_equal(pd.read_csv(runs / "measured_effects.csv"), measured)
    assert set(robustness.SCENARIOS) <= set(measured["id"]) <= set(robustness.MEASURED)
    register = pd.read_csv(root / "data" / "paper" / "deviations.csv", dtype=str, keep_default_na=False)
    assert set(measured["id"]) <= set(register["id"])
    # What is measured stands in a table of its own: the register is written by hand.
    assert not register["trials"].str.contains("share of the scale").any()


def test_effects_in_words_by_hand():
    words = robustness.measured_effects(EFFECTS, VERDICTS)
    assert words.set_index("id")["effect"].to_dict() == {
        "D4": "CPO-MADDPG, 3 seeds, the other reading less this one: "
        "reward +0.010 [-0.020, +0.040], SOR -0.500 (1 seed); "
        "2 of 3 headline statements decided, 1 otherwise: 1a reproduced instead of no difference of practical size",
        "D34": "CPO-MADDPG, 5 seeds, the other reading less this one: energy in J -0.100 [-0.200, -0.050]",
    }


def test_a_reading_of_one_rival_is_described_by_that_rival():
    of_mappo = EFFECTS.iloc[:1].assign(reading="D20", algorithm="mappo")
    words = robustness.measured_effects(pd.concat([EFFECTS, of_mappo]), VERDICTS).set_index("id")["effect"]
    assert words["D20"].startswith("MAPPO, 3 seeds, the other reading less this one: reward +0.010")
    assert words["D4"].startswith("CPO-MADDPG, 3 seeds")


@pytest.mark.parametrize(
    ("answer", "optimum", "by", "expected"),
    [
        ("contradicted", "", "runs", "reproduced"),
        ("reproduced", "contradicted", "runs", ""),
        ("open", "contradicted", "optimum", "no difference of practical size"),
        ("open", "no difference of practical size", "optimum", ""),
        ("open", "", "", ""),
    ],
)
def test_an_answer_is_compared_with_one_of_the_same_kind(answer, optimum, by, expected):
    default = ("default", "1a", "reproduced", "runs", "reproduced", "no difference of practical size")
    verdict = {"runs": answer, "optimum": optimum, "": "open"}[by]
    table = pd.DataFrame([default, ("D4", "1a", verdict, by, answer, optimum)])
    table.columns = ["reading", "id", "verdict", "by", "answer", "optimum"]
    assert robustness._otherwise(table).tolist() == ["", expected]


def test_readings_of_the_game_have_an_optimum_of_their_own(root, settings):
    found = robustness.read_optimum(root)
    assert set(found["reading"]) == {"default", *robustness.OF_THE_GAME}
    for reading in robustness.READINGS:
        changed = settings.scenario(robustness.scenario_of(reading)).model_dump()
        # What no policy earns by: what devices observe, and the cost that only learners see.
        changed["insecure_request_cost"] = settings.game.insecure_request_cost
        changed["readings"]["observation"] = settings.game.readings.observation
        assert (changed != settings.game.model_dump()) == (reading in robustness.OF_THE_GAME), reading


def test_the_stage_writes_its_five_tables_and_nothing_else(root, tmp_path):
    (tmp_path / "params.yaml").symlink_to(root / "params.yaml")
    runs = tmp_path / "data" / "runs"
    (tmp_path / "benchmarks").symlink_to(root / "benchmarks")
    runs.mkdir(parents=True)
    (tmp_path / "data" / "paper").symlink_to(root / "data" / "paper")
    for folder in (root / "data" / "runs").iterdir():
        if folder.is_dir() or folder.name == "optimum.csv":
            (runs / folder.name).symlink_to(folder)
    robustness.write_tables(tmp_path)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()}
    tables = {"verdicts", "statements", "robustness", "reading_effects", "measured_effects"}
    assert written == {f"{name}.csv" for name in tables}
    for name in written:
        assert (runs / name).read_bytes() == (root / "data" / "runs" / name).read_bytes(), name
