"""With part of the experiments every notebook runs through, every claim has a verdict, and the missing is named."""

import json
import re
import shutil

import pandas as pd
import pytest
from ruamel.yaml import YAML

from mecpaper.claims import robustness
from mecpaper.report import page, training
from mecpaper.store import results

PARTS = [{"random": ["default"]}, {"cpo_maddpg": ["default"], "mappo": []}, {"cpo_maddpg": ["harvest_05"]}]

NOTEBOOKS = ["20_overall_comparison", "21_users_and_battery", "22_harvest_and_attacker", "23_ablations"]
NOTEBOOKS += ["25_what_the_state_hides", "50_claims", "51_robustness"]


@pytest.fixture(scope="module", params=PARTS, ids=str)
def part(request, root, tmp_path_factory):
    """A project in which params.yaml names few experiments, and no others are stored."""
    folder = tmp_path_factory.mktemp("part")
    yaml = YAML(typ="safe", pure=True)
    data = yaml.load(root / "params.yaml") | {"experiments": request.param}
    yaml.dump(data, folder / "params.yaml")
    (folder / "dvc.yaml").touch()
    shutil.copytree(root / "data", folder / "data")
    for mark in (folder / "data" / "runs").glob(f"*/*/{results.MARK}"):
        algorithm, scenario = mark.parts[-3:-1]
        if scenario not in request.param.get(algorithm, []):
            shutil.rmtree(mark.parent)
    results.collect(folder)
    robustness.write_tables(folder)
    return folder


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_through_and_names_what_is_missing(root, part, monkeypatch, capsys, name):
    monkeypatch.setenv("MECPAPER_ROOT", str(part))
    cells = json.loads((root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # What notebook 25 trains itself depends on no stored run, and is trained with fewer episodes here.
    assert sum("episodes=1000" in source for source in code) == (name[:2] == "25")
    space: dict = {}
    for source in code:
        exec(source.removeprefix("%matplotlib inline\n").replace("episodes=1000", "episodes=40"), space)
    if name[:2] in ("21", "22", "23", "25"):
        assert re.search("not trained: .*cpo_maddpg/", capsys.readouterr().out)


def test_every_claim_has_a_verdict_and_the_page_is_written(part):
    verdicts = pd.read_csv(part / "data" / "runs" / "verdicts.csv")
    assert len(verdicts) == 39 and verdicts["verdict"].notna().all()
    assert verdicts["reason"].str.contains("no runs of").sum() > 20
    text = page.read_page(part)
    assert ("No runs at the default setting" in text) == (part / "data/runs/cpo_maddpg/harvest_05").exists()


def test_the_training_notebook_of_an_algorithm_without_experiments_has_empty_tables(part):
    curves, summary = (results.read_experiments(part, [], name) for name in ("curves", "summary"))
    assert training.outcome(curves).empty and training.collapsed(curves) == []
    assert training.multiplier_shares(curves).empty
    training.draw_runs(curves, summary, ("reward", "energy", "multiplier"))
