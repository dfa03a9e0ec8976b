"""The examples, as someone outside the package runs them: an installed algorithm needs no edit of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from ruamel.yaml import YAML

from mecpaper.config import Config, ConfigError, parse

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


def name_in_params(root, folder, data):
    """Do what the recipe without a package says: a file beside params.yaml, and lines in it."""
    text = (root / "docs" / "own_problem.md").read_text()
    source, target = re.search(r"(?m)^cp (\S+) (\S+)$", text).groups()
    shutil.copy(root / source, folder / target)
    with (folder / "params.yaml").open("w") as file:
        YAML().dump({key: section for key, section in data.items() if key != "algorithms"}, file)
        file.write(re.search(r"(?s)```yaml\n(.*?)```", text)[1])


def test_an_algorithm_that_params_names_needs_no_package(root, small, outside, tmp_path):
    name_in_params(root, tmp_path, small.model_dump())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    train = "mecpaper", "train", "dear_maddpg,maddpg", "--out", "runs"
    status, _, err = outside(*train, cwd=elsewhere)
    assert status == 0, err
    stored = json.loads((elsewhere / "runs" / "dear_maddpg" / "default" / "experiment.json").read_text())
    assert stored["own"] == {"learning": {}, "price": 5.0}
    curves = [(elsewhere / "runs" / name / "default" / "curves.csv").read_text() for name in ("dear_maddpg", "maddpg")]
    assert curves[0] != curves[1].replace("maddpg", "dear_maddpg")
    status, out, err = outside("mecpaper", "compare", "runs", "runs", cwd=elsewhere)
    assert status == 0 and "runs: dear_maddpg/default" in out, err
    (tmp_path / "my_learner.py").write_text("Other = dict\n")
    status, _, err = outside(*train[:-1], "others", cwd=elsewhere)
    assert status == 2 and "algorithms.dear_maddpg = 'my_learner:PricedMADDPG': cannot be imported" in err
    assert err.count("\n") == 1 and not (elsewhere / "others").exists()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"mine": "my_learner"}, "mine: a name of small letters, digits and _, and its class as module:Class"),
        ({"my-own": "my_learner:Mine"}, "my-own: a name of small letters"),
        ({"maddpg": "my_learner:Mine"}, "maddpg: the name is taken"),
        ({"game": "my_learner:Mine"}, "game: the name is taken"),
        ({"mine": 1}, "algorithms.mine = 1: input should be a valid string"),
        (["mine"], "algorithms = ['mine']: input should be a valid dictionary"),
    ],
)
def test_a_wrong_name_of_an_algorithm_is_refused_in_one_line(small, outside, tmp_path, named, message):
    (tmp_path / "params.yaml").write_text(json.dumps(small.model_dump(mode="json") | {"algorithms": named}))
    status, _, err = outside("mecpaper", "status")
    assert status == 2 and err.startswith("algorithms") and message in err and err.count("\n") == 1


def test_an_algorithm_is_read_from_the_project_alone(small):
    with pytest.raises(ConfigError, match=r"mine: only in the params\.yaml of the project"):
        parse(Config, small.model_dump() | {"algorithms": {"mine": "my_learner:Mine"}})


@pytest.mark.slow
def test_an_installed_algorithm_solves_the_small_problem_of_every_learner(root, outside):
    wanted = "tests/test_known_answers.py", "-q", "-k", "priced_maddpg and float32 and quadratic"
    status, out, err = outside("pytest", *wanted, cwd=root)
    assert status == 0, out + err


@pytest.mark.slow
def test_benchmarl_trains_in_the_game_and_gets_its_cost(root, tmp_path):
    python = root / "build" / "benchmarl" / "bin" / "python"
    if not python.exists():
        pytest.skip("BenchMARL has an environment of its own: make benchmarl")
    # In a folder of its own the installed package is tried, not the one beside the example.
    command = [python, root / "examples" / "benchmarl_maddpg.py", "--episodes", "40"]
    own = os.environ | {"MECPAPER_ROOT": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"(?m)^reward (\S+), energy (\S+) J, limit 0\.4 J$", done.stdout)
    rewards, energies = ([float(line[place]) for line in lines] for place in (0, 1))
    assert len(lines) == 40 and all(0.1 < energy < 2.0 for energy in energies)
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.5


def test_the_examples_are_short(root):
    for name in EXAMPLES:
        for path in (root / "examples" / name).glob("*.py"):
            assert len(path.read_text().splitlines()) < 80, path


RECIPES = """
import shlex, sys
from mecpaper.__main__ import main
for line in sys.argv[1:] if __name__ == "__main__" else ():
    print("$", line, flush=True)
    if status := main(shlex.split(line)):
        sys.exit(status)
"""
"""Runs command lines one after the other, each after a line that shows it, to the first that fails."""


def test_the_recipes_for_an_own_problem_work_as_they_are_written(root, small, outside, tmp_path):
    text = (root / "docs" / "own_problem.md").read_text()
    data = small.model_dump()
    data["planner"]["generations"] = 1
    data["scales"]["smoke"] |= {"episodes": 4, "episodes_at_once": 2, "curve_every": 2, "slots_per_update": 5}
    name_in_params(root, tmp_path, data)
    lines = re.findall(r"(?m)^mecpaper (.*)$", text)
    assert len(lines) == 12
    # One process for all: starting twelve takes three times as long as what they do.
    (tmp_path / "recipes.py").write_text(RECIPES)
    status, out, err = outside("recipes", *lines)
    assert status == 0, err
    assert out.count("\n$ ") == 11 and not re.search(r"(?m)^\$ .*\n(\$|\Z)", out), out
    assert (tmp_path / "runs/mixed/maddpg/default/MODEL_CARD.md").is_file()
    assert (tmp_path / "runs/mixed/comparison.png").is_file()
    assert (tmp_path / "build/actor/maddpg-default-00.onnx").is_file()
