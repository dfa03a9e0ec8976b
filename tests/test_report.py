"""The page of results: computed from tables, and the same in README.md."""

import pandas as pd
import pytest

from mecpaper.report import page


def test_the_readme_and_the_summary_hold_the_page_of_the_stored_tables(root):
    text = page.read_page(root)
    assert (root / "figures" / "summary.md").read_text(encoding="utf-8") == text
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert page.insert(readme, text) == readme, "refresh README.md (see mecpaper.report.page.refresh_readme)"


def test_the_text_goes_between_the_marks_and_nowhere_else():
    readme = f"before\n{page.BEGIN}\nold\n{page.END}\nafter"
    assert page.insert(readme, r"new \1" + "\n") == f"before\n{page.BEGIN}\nnew \\1\n{page.END}\nafter"
    with pytest.raises(ValueError, match="once each"):
        page.insert("no marks", "x")


def test_refreshing_changes_the_readme_alone(root, tmp_path):
    for name in ("data", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter", encoding="utf-8")
    page.refresh_readme(tmp_path)
    assert readme.read_text(encoding="utf-8") == f"before\n{page.BEGIN}\n{page.read_page(root)}{page.END}\nafter"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "data", "params.yaml"]


def test_the_number_of_users_is_that_of_the_configuration(root):
    names = ("summary", "planner", "verdicts", "statements", "robustness")
    tables = {name: pd.read_csv(root / "data" / "runs" / f"{name}.csv") for name in names}
    starts = dict.fromkeys(tables["summary"]["algorithm"], 0.5)
    assert ", 7 users, energy limit" in page.page(**tables, starts=starts, devices=7)


def test_answers_are_counted_in_their_order():
    answers = pd.Series(["open", "reproduced", "open", "no difference of practical size"])
    assert page.tally(answers) == "1 reproduced, 1 no difference of practical size, 2 open"


def test_the_table_of_all_algorithms_by_hand():
    summary = pd.DataFrame(
        {"algorithm": ["maddpg"] * 3, "scenario": "default", "reward": [1.0, 1.1, 1.2], "sor": float("nan")}
    ).assign(energy=0.5, ecpr_f=0.5, ecpr_m=0.1, offload_share=0.2, updates=50, seed=[1, 2, 3])
    planner = pd.DataFrame(
        {
            "policy": ["stationary", "stationary", "schedule"],
            "constrained": [True, False, True],
            "reward": [1.25, 2.0, 3.0],
        }
    )
    (row,) = page.overall(summary, planner, {"maddpg": 0.75}).to_dict("records")
    # t(0.975, 2) = 4.3027, s = 0.1: half-width 4.3027 * 0.1 / sqrt(3) = 0.248.
    assert row["algorithm"] == "MADDPG" and row["start"] == "0.750" and row["reward"] == "1.100 ± 0.248"
    assert row["SOR"] == "none" and row["of the planner"] == "88 %"
    assert (row["updates"], row["seeds"]) == ("50", 3)
    below = page.overall(summary.assign(reward=-1.0), planner, {"maddpg": 0.75})
    assert below["of the planner"].tolist() == ["none"]
