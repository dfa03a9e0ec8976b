"""The examples, as someone outside the package runs them: an installed algorithm needs no edit of the package."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from mecpaper.config import Config, parse

EXAMPLES = ("priced_maddpg",)


@pytest.fixture
def outside(root, small, tmp_path):
    """Run commands in a small project, with the example as pip would install it; the exit status and both outputs."""
    folder = root / "examples" / "priced_maddpg"
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["mecpaper.algorithms"]
    made = tmp_path / "site" / "priced_maddpg-1.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: priced-maddpg\nVersion: 1\n")
    lines = [f"{key} = {value}" for key, value in points.items()]
    (made / "entry_points.txt").write_text("\n".join(["[mecpaper.algorithms]", *lines]))
    (tmp_path / "params.yaml").write_text(small.model_dump_json())
    (tmp_path / "dvc.yaml").touch()
    path = os.pathsep.join(map(str, (root, tmp_path / "site", folder)))

    def run(*arguments, cwd=tmp_path):
        own = {"PYTHONPATH": path, "MECPAPER_ROOT": str(tmp_path)}
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | own)
        return done.returncode, done.stdout, done.stderr

    return run


def test_an_installed_algorithm_trains_and_is_compared(root, outside, tmp_path):
    chosen = "priced_maddpg,maddpg", "default", "--set", "priced_maddpg.price=5", "--out", "runs"
    status, _, err = outside("mecpaper", "train", *chosen)
    assert status == 0, err
    numbers = json.loads((tmp_path / "runs" / "priced_maddpg" / "default" / "experiment.json").read_text())
    assert numbers["own"] == {"learning": {}, "price": 5}
    curves = [(tmp_path / "runs" / name / "default" / "curves.csv").read_text() for name in ("priced_maddpg", "maddpg")]
    assert curves[0] != curves[1].replace("maddpg", "priced_maddpg")
    status, out, err = outside("mecpaper", "compare", "runs", "runs")
    assert status == 0 and "runs: priced_maddpg/default" in out, err


def test_an_installed_algorithm_refuses_its_settings_in_one_line(outside):
    status, _, err = outside("mecpaper", "train", "priced_maddpg", "--set", "priced_maddpg.price=-1", "--out", "runs")
    assert status == 2 and err.splitlines()[-1].endswith("priced_maddpg.price = -1: a number from 0 to 100")


@pytest.mark.slow
def test_an_installed_algorithm_solves_the_small_problem_of_every_learner(root, outside):
    wanted = "tests/test_known_answers.py", "-q", "-k", "priced_maddpg and float32 and quadratic"
    status, out, err = outside("pytest", *wanted, cwd=root)
    assert status == 0, out + err


def test_the_examples_are_short(root):
    for name in EXAMPLES:
        for path in (root / "examples" / name).glob("*.py"):
            assert len(path.read_text().splitlines()) < 80, path


def test_the_recipes_for_an_own_problem_work_as_they_are_written(root, small, outside, tmp_path):
    text = (root / "docs" / "own_problem.md").read_text()
    data = small.model_dump()
    data["planner"]["generations"] = 1
    data["scales"]["smoke"] |= {"episodes": 4, "episodes_at_once": 2, "curve_every": 2, "slots_per_update": 5}
    (tmp_path / "params.yaml").write_text(parse(Config, data).model_dump_json())
    lines = [shlex.split(line) for line in re.findall(r"(?m)^mecpaper .*$", text)]
    assert len(lines) == 10
    for command, *arguments in lines:
        status, out, err = outside(command, *arguments)
        assert status == 0 and out, (arguments, err)
    assert (tmp_path / "runs/mixed/maddpg/default/MODEL_CARD.md").is_file()
    assert (tmp_path / "runs/mixed/comparison.png").is_file()
    assert (tmp_path / "build/actor/maddpg-default-00.onnx").is_file()
