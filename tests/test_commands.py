"""The commands for own experiments, as a newcomer types them: from an empty folder, and with wrong input."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pandas as pd
import pytest

from mecpaper.__main__ import main
from mecpaper.claims import comparison
from mecpaper.claims.effect import welch
from mecpaper.commands import own
from mecpaper.commands.parser import COMMANDS, make_parser
from mecpaper.config import ALGORITHMS, Config, ConfigError, check_effect, find_root, parse, resolve, with_changes
from mecpaper.config.tables import read_table
from mecpaper.store import results
from mecpaper.training import experiments
from mecpaper.training.experiments import train


@pytest.fixture(scope="module")
def config(small):
    """A small project: all algorithms at the default setting, and a planner of one generation."""
    data = small.model_dump()
    data["planner"] |= {"generations": 1}
    data["scales"]["smoke"] |= {"episodes": 4, "episodes_at_once": 2, "curve_every": 2, "slots_per_update": 5}
    return parse(Config, data)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """Its folder, with two experiments stored and a plan."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(config.model_dump_json())
    (folder / "dvc.yaml").touch()
    train([resolve(config, name, "default") for name in ("maddpg", "random")], folder, processes=1)
    plan = {"game": "default", "policy": ["stationary", "always-local"], "constrained": True, "reward": [2.0, 1.0]}
    path = folder / "data" / "runs" / "planner.csv"
    empty = read_table(path, optional=True)
    empty.reindex(range(2)).assign(**plan, energy=0.1).to_csv(path, index=False)
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of it; the working directory is an empty folder elsewhere."""
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    shutil.copytree(trained, folder)
    elsewhere.mkdir()
    monkeypatch.setenv("MECPAPER_ROOT", str(folder))
    monkeypatch.chdir(elsewhere)
    # In this process: starting others takes longer than these trainings.
    monkeypatch.setattr(experiments, "cores", lambda: 1)
    return folder


def run(capsys, *arguments):
    """Exit status, output and messages of a command."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as ended:
        status = ended.code
    told = capsys.readouterr()
    return status, told.out, told.err


def refusal(capsys, *arguments):
    """The one line with which a command refuses its input."""
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out and err.count("\n") == 1, (status, out, err)
    return err.strip()


def as_json(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def stored_files(root):
    return {path: path.read_bytes() for path in (root / "data").rglob("*") if path.is_file()}


OWN = ("train", "maddpg", "default", "--set", "learning.batch=4", "--seeds", "1", "2", "3", "--out", "runs/mine")


# -- help --------------------------------------------------------------------------------------------------


def test_the_help_names_every_command_with_a_sentence_and_the_exit_statuses(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for name in COMMANDS:
        assert re.search(rf"(?m)^  {name} +[A-Z].*\.$", out), name
    assert {"train", "eval", "compare", "plan", "export", "status", "restamp", "clean", "notebook"} <= set(COMMANDS)
    assert "0 done, 1 failed or different, 2 wrong input, 130 interrupted" in " ".join(out.split())


@pytest.mark.parametrize("name", ["train", "eval", "compare", "plan", "export"])
def test_the_help_of_a_command_has_examples_that_its_parser_takes(capsys, name):
    status, out, _ = run(capsys, name, "--help")
    examples = re.findall(rf"(?m)^  (mecpaper {name} .+)$", out)
    assert status == 0 and len(examples) >= 2
    for example in examples:
        assert make_parser("").parse_args(shlex.split(example)[1:]).command == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND; see mecpaper --help"),
        (["trian"], "invalid choice: 'trian'"),
        (["train", "maddpg", "--seeds", "one"], "mecpaper train: argument --seeds: invalid int value: 'one'"),
        (["status", "--jso"], "unrecognized arguments: --jso"),
        (["compare"], "the following arguments are required: runs"),
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, arguments, message):
    assert message in refusal(capsys, *arguments)


def test_the_command_is_installed_under_its_name(root):
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"mecpaper": "mecpaper.__main__:main"} and resolve_name(scripts["mecpaper"]) is main


def test_commands_need_no_extra_before_they_run(root):
    code = "import sys\nfor name in ('matplotlib', 'cma', 'onnx', 'dvc', 'nbformat', 'papermill', 'distributed'):\n"
    code += "    sys.modules[name] = None\nfrom mecpaper.__main__ import main\nmain(['status'])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr


def test_a_comparison_leaves_the_folders_of_experiments_as_they_are(project, capsys):
    before = stored_files(project)
    for runs in (project / "data" / "runs", project / "data" / "runs" / "random" / "default"):
        assert "a folder of its own is required" in refusal(capsys, "compare", runs, "default")
    as_json(capsys, "compare", runs, "default", "--out", "mine")
    assert stored_files(project) == before


def test_commands_work_without_docstrings(root):
    for arguments in (["--help"], ["plan", "--help"]):
        done = [
            subprocess.run([sys.executable, *option, "-m", "mecpaper", *arguments], capture_output=True, cwd=root)
            for option in ([], ["-OO"])
        ]
        assert done[1].returncode == 0 and done[1].stdout == done[0].stdout, done[1].stderr


# -- the project from anywhere -----------------------------------------------------------------------------


def test_away_from_any_project_the_checkout_of_the_package_is_used(root, tmp_path, monkeypatch):
    monkeypatch.delenv("MECPAPER_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_root() == root
    monkeypatch.setenv("MECPAPER_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match="project root"):
        find_root()


def test_a_newcomer_measures_a_committed_policy_from_an_empty_folder(root, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "MECPAPER_ROOT"} | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "mecpaper", "eval", "cpo_maddpg", "--set", "evaluation.final_episodes=1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0 and not done.stderr and re.search(r"(?m)^energy \(J\) +0\.\d+$", done.stdout)
    assert list(tmp_path.iterdir()) == []


# -- changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("learning.bach=3", "learning.bach = 3: unknown key; did you mean learning.batch"),
        ("batch=3", "batch = 3: unknown key; did you mean learning.batch?"),
        ("zzz=3", "zzz = 3: unknown key; one of game, scenarios, "),
        ("learning.batch=many", "learning.batch = 'many': input should be a valid integer"),
        ("learning.batch=0", "learning.batch = 0: input should be greater than or equal to 1"),
        ("learning.batch", "'learning.batch': KEY=VALUE is required, such as learning.batch=64"),
        ("=3", "'=3': KEY=VALUE is required"),
        ("learning..batch=3", "'learning..batch=3': KEY=VALUE is required"),
        ("game.gain_db=[12, 6]", "game.gain_db = [12.0, 6.0]: the first must not exceed the second"),
        ("game.gain_db=[6", "game.gain_db, line 1: "),
        ("game.gain_db.0=6", "game.gain_db.0 = 6: gain_db is one value, set it as a whole"),
        ("scenarios.mine={bttery: 3}", "scenarios.mine.bttery = 3: unknown key"),
        ("scale=huge", "scale = 'huge': one of smoke, demo, study, paper"),
        ("scales.smoke.episodes=7", "scales.smoke.episodes = 7: a multiple of curve_every"),
    ],
)
def test_a_change_is_checked_as_params_yaml_is(config, change, message):
    with pytest.raises(ConfigError) as refused:
        with_changes(config, [change])
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_changes_are_values_of_yaml_and_are_checked_together(config):
    made = with_changes(
        config,
        [
            "game.gain_db=[6, 12]",
            "learning.polyak=1e-2",
            "learning.permute_chunks=false",
            "cpo_maddpg.multiplier_fixed=0.5",
            "scenarios.mine={battery_capacity: 12}",
            "scenarios.mine.harvest_fraction=0.2",
            "scales.smoke.curve_every=8",
            "scales.smoke.episodes=32",
        ],
    )
    assert made.game.gain_db == [6.0, 12.0] and made.learning.polyak == 0.01 and not made.learning.permute_chunks
    assert made.cpo_maddpg.multiplier_fixed == 0.5 and made.scales["smoke"].episodes == 32
    assert (made.scenario("mine").battery_capacity, made.scenario("mine").harvest_fraction) == (12.0, 0.2)
    assert config.game.gain_db != made.game.gain_db


def test_a_change_without_effect_is_named_and_one_to_the_same_value_is_fine(config):
    def game(made):
        return made.scenario("users_30")

    check_effect(config, ["game.slots=6", f"game.chunks={config.game.chunks}"], game)
    with pytest.raises(ConfigError, match=r"game\.devices = 9: changes nothing here"):
        check_effect(config, ["game.slots=6", "game.devices=9"], game)


# -- train -------------------------------------------------------------------------------------------------


def test_own_runs_go_into_the_folder_given_with_policies_and_data_runs_stays_as_it_is(project, config, capsys):
    before = stored_files(project)
    status, out, err = run(capsys, *OWN)
    assert status == 0 and "1 experiments trained into" in out and "Next: mecpaper compare runs/mine" in out
    assert "100%" in err and "episode/s" in err
    folder = results.find_folders(Path("runs/mine"))[0]
    stored = results.read(folder)
    assert folder.parts[-2:] == ("maddpg", "default") and stored.numbers["learning"]["batch"] == 4
    assert stored.numbers["scale"]["seeds"] == [1, 2, 3] and (folder / "policy.safetensors").is_file()
    assert stored_files(project) == before
    # The same command again trains nothing; with another number it would overwrite, and is refused.
    assert as_json(capsys, *OWN)[0]["state"] == "was stored"
    other = [argument.replace("batch=4", "batch=5") for argument in OWN]
    assert "holds other runs (learning.batch = 4, now 5); another folder, or delete it" in refusal(capsys, *other)


def test_several_algorithms_and_scenarios_at_another_scale(project, capsys):
    rows = as_json(
        capsys, "train", "maddpg,random", "default,users_30", "--scale", "smoke", "--seeds", 7, "--out", "runs/some"
    )
    assert [row["experiment"] for row in rows] == [
        "maddpg/default", "maddpg/users_30", "random/default", "random/users_30"
    ]  # fmt: skip
    assert {row["state"] for row in rows} == {"trained"} and all(row["seeds"] == [7] for row in rows)
    for row in rows:
        assert pd.read_csv(Path(row["folder"]) / "summary.csv")["scale"].tolist() == ["smoke"]


def test_all_are_all_algorithms_and_repeated_names_count_once(config):
    for names, wanted in (("all", list(ALGORITHMS)), ("maddpg,matd3,maddpg", ["maddpg", "matd3"])):
        options = make_parser("").parse_args(["train", names, "default,default"])
        assert [experiment.name for experiment in own.chosen(config, options)] == [f"{key}/default" for key in wanted]


def test_without_changes_what_params_yaml_names_is_trained_into_data_runs(project, capsys):
    rows = as_json(capsys, "train", "maddpg,matd3")
    assert [row["state"] for row in rows] == ["was stored", "trained"]
    assert rows[1]["folder"] == str(project / "data" / "runs" / "matd3" / "default")
    assert not list(Path(".").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foo"], "algorithm = 'foo': one of cpo_maddpg, "),
        (["maddpg", "foo"], "scenario = 'foo': one of default, "),
        (["maddpg", "--seeds", "5"], "--out: a folder is required, such as runs/mine; data/runs holds what params"),
        (["maddpg", "--scale", "smoke"], "--out: a folder is required"),
        (["maddpg", "users_30"], "--out: a folder is required"),
        (["maddpg", "--seeds", "1", "1", "--out", "x"], "scales.study.seeds = [1, 1]: no value twice"),
        (["maddpg", "--seeds", "-1", "--out", "x"], "scales.study.seeds.0 = -1: input should be greater"),
        (["maddpg", "users_30", "--set", "game.devices=9", "--out", "x"], "game.devices = 9: changes nothing here"),
        (["maddpg", "--set", "mappo.clip=0.5", "--out", "x"], "mappo.clip = 0.5: changes nothing here"),
        (["maddpg", "--scale", "huge", "--out", "x"], "scale = 'huge': one of smoke, demo, study, paper"),
    ],
)
def test_a_wrong_training_is_refused_in_one_line_before_anything_is_written(project, capsys, arguments, message):
    assert refusal(capsys, "train", *arguments).startswith(message)
    assert not Path("x").exists()


@pytest.mark.parametrize("place", ["data/runs", "data/runs/maddpg", "data"])
def test_own_runs_never_go_into_the_data_of_the_project(project, capsys, place):
    assert "a folder outside data" in refusal(capsys, "train", "maddpg", "--seeds", 5, "--out", project / place)


def test_a_file_in_the_place_of_the_folder_is_refused(project, capsys):
    Path("file").write_text("mine")
    assert refusal(capsys, "train", "maddpg", "--seeds", 5, "--out", "file") == "--out = 'file': a folder, not a file"
    assert Path("file").read_text() == "mine"


# -- eval --------------------------------------------------------------------------------------------------


def test_a_policy_in_its_own_game_has_its_stored_measures(project, capsys):
    (row,) = as_json(capsys, "eval", "maddpg")
    stored = pd.read_csv(project / "data" / "runs" / "maddpg" / "default" / "summary.csv").iloc[0]
    for measure in ("reward", "energy", "offload_share", "cost_limit"):
        assert row["measures"][measure] == pytest.approx(stored[measure], rel=1e-2, abs=1e-3), measure
    assert row["warning"] == ""


def test_a_policy_elsewhere_is_measured_with_a_warning_that_says_what_differs(project, capsys):
    status, out, err = run(capsys, "eval", "maddpg", "--scenario", "users_30")
    assert status == 0 and re.search(r"(?m)^reward +-?\d", out) and "6 devices" in out
    assert err.strip() == (
        "warning: maddpg/default: trained in another game: game.devices = 4, here 6; its 4 actors take turns"
    )
    (row,) = as_json(capsys, "eval", "maddpg", "--set", "game.gain_db=[6, 12]")
    assert row["warning"].endswith("game.gain_db = [8.0, 10.0], here [6.0, 12.0]")


def test_own_runs_and_yardsticks_are_measured_side_by_side(project, capsys):
    assert main(list(OWN)) == 0
    capsys.readouterr()
    names = ["runs/mine", "runs/mine/maddpg/default/policy.safetensors", "random", "always-local", "planner"]
    found = {row["policy"]: row for row in as_json(capsys, "eval", *names)}
    assert list(found) == names and not any(row["warning"] for row in found.values())
    assert found[names[0]]["measures"] == found[names[1]]["measures"]
    assert found["always-local"]["measures"]["request_share"] == 0.0
    assert found["always-local"]["measures"]["sor"] is None
    assert 0.4 < found["random"]["measures"]["request_share"] < 0.6
    # A copy of the file alone does not say where it was trained.
    shutil.copy(names[1], "lone.safetensors")
    (row,) = as_json(capsys, "eval", "lone.safetensors")
    assert "says in which game it was trained" in row["warning"] and row["measures"] == found[names[0]]["measures"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foo"], "policy = 'foo': a file or folder of runs; one of random, always-local, planner; or an algorithm"),
        (["matd3"], "policy = 'matd3/default': one of maddpg/default"),
        (["maddpg", "--scenario", "foo"], "scenario = 'foo': one of default, "),
        (["."], "policy = '.': no policy.safetensors in it"),
        (["maddpg", "--set", "learning.batch=4"], "learning.batch = 4: changes nothing here"),
        (["maddpg", "--set", "game.chunks=3"], "controller = 'maddpg/default': maps "),
    ],
)
def test_a_wrong_policy_is_refused_in_one_line(project, capsys, arguments, message):
    assert run(capsys, "eval", *arguments)[0] == 2
    status, out, err = run(capsys, "eval", *arguments)
    assert status == 2 and not out and err.splitlines()[-1].startswith(message)


def test_a_folder_with_several_policies_lists_them_and_a_damaged_one_is_named(project, capsys):
    assert main(["train", "maddpg,matd3", "--seeds", "1", "--out", "runs/two"]) == 0
    capsys.readouterr()
    assert refusal(capsys, "eval", "runs/two").endswith("one of runs/two/maddpg/default, runs/two/matd3/default")
    path = Path("runs/two/maddpg/default/policy.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    status, _, err = run(capsys, "eval", "runs/two/maddpg")
    assert status == 1 and err.startswith("DamagedError: ") and err.count("\n") == 1


def test_a_policy_without_its_numbers_is_refused_in_one_line(project, capsys):
    (project / "data" / "runs" / "maddpg" / "default" / results.MARK).unlink()
    assert refusal(capsys, "eval", "maddpg").endswith("data/runs/maddpg/default has no experiment.json; train it again")


def test_a_missing_extra_is_named_in_one_line(project, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    status, _, err = run(capsys, "demo")
    assert status == 1 and "papermill" in err and "needs an extra, pip install 'mecpaper[" in err
    assert err.count("\n") == 1 and not (project / "build" / "demo").exists()


# -- compare -----------------------------------------------------------------------------------------------


def test_own_runs_are_compared_with_baselines_and_yardsticks(project, capsys):
    assert main(list(OWN)) == 0
    capsys.readouterr()
    status, out, err = run(capsys, "compare", "runs/mine", "default")
    assert status == 0
    for name in ("mine: maddpg/default", "MADDPG", "Random", "planner", "always-local"):
        assert re.search(rf"(?m)^\| {name} \|", out), name
    assert "learning.batch = 4, there 8 (MADDPG)" in err and "not the same game" not in err
    for name in ("comparison.csv", "differences.csv", "comparison.png", "comparison.svg", "comparison.pdf"):
        assert (Path("runs/mine") / name).stat().st_size > 100
    table = pd.read_csv("runs/mine/differences.csv")
    mine, theirs = (
        pd.read_csv(folder / "maddpg" / "default" / "summary.csv")
        for folder in (Path("runs/mine"), project / "data" / "runs")
    )
    row = table[(table["other"] == "MADDPG") & (table["measure"] == "reward")].iloc[0]
    effect = welch(mine["reward"], theirs["reward"])
    assert row["difference"] == pytest.approx(float(effect.mean), rel=1e-4)
    assert row["lower"] == pytest.approx(float(effect.interval(1.0 - row["confidence"])[0]), rel=1e-4)
    assert (row["answer"], row["seeds"]) == ("open", 2)


def test_the_comparison_as_json_and_in_another_folder(project, capsys):
    assert main(list(OWN)) == 0
    capsys.readouterr()
    found = as_json(capsys, "compare", "runs/mine", "--out", "shown")
    assert {row["other"] for row in found["differences"]} == {"MADDPG", "Random"}
    assert [row["runs"] for row in found["runs"]][-2:] == ["planner", "always-local"]
    assert all(Path(path).is_file() and path.startswith("shown") for path in found["files"])
    assert not (Path("runs/mine") / "comparison.csv").exists()


def test_runs_of_another_game_get_a_note_and_no_yardstick_until_it_is_planned(project, capsys):
    change = ["--set", "game.devices=3"]
    assert main(["train", "maddpg,random", "--seeds", "1", "2", *change, "--out", "runs/three"]) == 0
    capsys.readouterr()
    status, out, err = run(capsys, "compare", "runs/three")
    assert status == 0 and "planner" not in out
    assert "not the same game or scale, so that differences say little: game.devices = 3, there 4" in err
    assert "no yardsticks: mecpaper plan SCENARIO --out runs/three/planner.csv" in err
    assert main(["plan", *change, "--out", "runs/three/planner.csv"]) == 0
    capsys.readouterr()
    # With itself as the reference, own experiments are compared with each other.
    found = as_json(capsys, "compare", "runs/three", "runs/three")
    pairs = {(row["runs"], row["other"]) for row in found["differences"]}
    names = ("three: maddpg/default", "three: random/default")
    assert pairs == {names, names[::-1]} and found["notes"] == []
    assert [row["runs"] for row in found["runs"]][-2:] == ["planner", "always-local"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "runs = 'nothing': no complete experiment; mecpaper train --out makes some"),
        (["{root}/data/runs", "foo"], "reference = 'foo': a folder of runs, or one of default"),
    ],
)
def test_a_wrong_comparison_is_refused_in_one_line(project, capsys, arguments, message):
    assert refusal(capsys, "compare", *(text.format(root=project) for text in arguments)).startswith(message)


def _runs(name, rewards):
    table = pd.DataFrame({"runs": name, "reward": rewards, "energy": 0.3, "cost_limit": 0.4})
    return table.assign(seed=range(len(table)))


@pytest.mark.parametrize(
    ("rewards", "answer"),
    [
        ([1.50, 1.51, 1.52, 1.49, 1.50], "higher"),
        ([0.50, 0.51, 0.52, 0.49, 0.50], "lower"),
        ([1.00, 1.01, 1.00, 0.99, 1.00], "no difference of practical size"),
        ([0.50, 1.50, 1.00, 0.80, 1.30], "open"),
        ([1.50, 1.51, 1.52, 1.49], "open"),
    ],
)
def test_differences_are_answered_as_statements_are(rewards, answer):
    runs = pd.concat([_runs("a", rewards), _runs("b", [1.0, 1.01, 1.0, 0.99, 1.0]), _runs("c", [1.0] * 5)])
    table = comparison.differences(runs, "a", ["b", "c"])
    chosen = table[table["measure"] == "reward"]
    assert chosen["answer"].tolist() == [answer] * 2
    assert (table.loc[table["measure"] == "energy", "answer"] == comparison.NONE).all() == (len(rewards) >= 5)
    assert (chosen["needed"].notna() == (answer == "open")).all() and (chosen["needed"].dropna() >= 5).all()


def test_one_seed_has_a_difference_and_no_interval():
    table = comparison.differences(pd.concat([_runs("a", [1.0]), _runs("b", [2.0])]), "a", ["b"])
    assert table["answer"].tolist() == ["open"] * 2 and table[["lower", "upper", "needed"]].isna().all(axis=None)
    assert comparison.in_words(table)["difference"][0] == "-1"


# -- plan, export, clean -----------------------------------------------------------------------------------


def test_a_plan_is_the_best_policy_of_each_kind(project, capsys):
    rows = as_json(capsys, "plan", "users_30", "--set", "game.gain_db=[6, 12]")
    assert [(row["policy"], row["constrained"]) for row in rows] == [
        ("always-local", True), ("always-local", False), ("stationary", True), ("stationary", False)
    ]  # fmt: skip
    assert {row["game"] for row in rows} == {"users_30"} and rows[0]["offload_share"] == 0.0
    status, out, _ = run(capsys, "plan")
    assert status == 0 and re.search(r"(?m)^reward +-?\d", out)


def test_a_wrong_plan_is_refused_in_one_line(project, capsys):
    assert refusal(capsys, "plan", "foo").startswith("scenario = 'foo': one of default, ")
    assert refusal(capsys, "plan", "users_30", "--set", "game.devices=5").startswith("game.devices = 5: changes noth")


def test_an_export_of_own_runs_has_the_ranges_of_their_training(project, capsys):
    import onnxruntime

    change = ["--set", "game.transmit_power=[0.3, 0.5]"]
    assert main(["train", "maddpg", "--seeds", "1", *change, "--out", "runs/weak"]) == 0
    capsys.readouterr()
    assert as_json(capsys, "export", "runs/weak", "--out", "onnx") == {"folder": "onnx", "actors": 4}
    session = onnxruntime.InferenceSession("onnx/maddpg-default-03.onnx", providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[1]
    _, decision = session.run(
        None, {"observation": 1e9 * np.random.default_rng(0).standard_normal((200, size), dtype=np.float32)}
    )
    assert decision[..., 3].max() == pytest.approx(0.5) and decision[..., 3].min() == pytest.approx(0.3)
    shutil.copy("runs/weak/maddpg/default/policy.safetensors", "lone.safetensors")
    assert "tells the game of its training" in refusal(capsys, "export", "lone.safetensors")


def test_clean_lists_what_is_left_over_and_removes_it_only_on_request(project, config, capsys):
    stray = resolve(config, "random", "users_30")
    folder = results.folder_of(project, stray)
    shutil.copytree(folder.with_name("default"), folder)
    results.complete(folder, stray.numbers)
    before = stored_files(project)
    status, out, _ = run(capsys, "clean")
    assert status == 0 and out.splitlines() == ["random/users_30", "1 left over", "mecpaper clean --yes removes them"]
    assert stored_files(project) == before
    assert as_json(capsys, "clean", "--yes") == {"left over": ["random/users_30"], "removed": True}
    assert stored_files(project) == {path: text for path, text in before.items() if not path.is_relative_to(folder)}
    assert run(capsys, "clean")[1] == "0 left over\n"
