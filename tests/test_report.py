"""The page of results: computed from tables, and the same in README.md."""

import pandas as pd
import pytest

from mecpaper.report import page


def test_the_readme_holds_the_page_that_the_pipeline_made(root):
    page = (root / "figures" / "summary.md").read_text(encoding="utf-8")
    assert f"{page.BEGIN}\n{page}{page.END}" in (root / "README.md").read_text(encoding="utf-8")


def test_the_text_goes_between_the_marks_and_nowhere_else():
    readme = f"before\n{page.BEGIN}\nold\n{page.END}\nafter"
    assert page.insert(readme, r"new \1" + "\n") == f"before\n{page.BEGIN}\nnew \\1\n{page.END}\nafter"
    with pytest.raises(ValueError, match="once each"):
        page.insert("no marks", "x")


def test_the_table_of_all_algorithms_by_hand():
    summary = pd.DataFrame(
        {"algorithm": ["maddpg"] * 3, "scenario": "default", "reward": [1.0, 1.1, 1.2], "sor": float("nan")}
    ).assign(energy=0.5, ecpr_f=0.5, ecpr_m=0.1, offload_share=0.2)
    planner = pd.DataFrame(
        {
            "policy": ["stationary", "stationary", "time and battery"],
            "constrained": [True, False, True],
            "reward": [1.25, 2.0, 3.0],
        }
    )
    (row,) = page.overall(summary, planner).to_dict("records")
    # t(0.975, 2) = 4.3027, s = 0.1: half-width 4.3027 * 0.1 / sqrt(3) = 0.248.
    assert row["algorithm"] == "MADDPG" and row["reward"] == "1.100 ± 0.248"
    assert row["SOR"] == "none" and row["of the planner"] == "88 %"
