"""Which stored results count: the list of their states, the stamp of a later version, and what a key depends on."""

import ast
import copy
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides

from mecpaper.__main__ import main
from mecpaper.config import ALGORITHMS, RESULTS_VERSION, Config, named, parse, resolve
from mecpaper.config import experiment as resolving
from mecpaper.store import results
from mecpaper.store.card import CARD, card
from mecpaper.training import restamp as stamping
from mecpaper.training.experiments import train
from mecpaper.training.restamp import restamp

OLD = RESULTS_VERSION - 1


def _changed(config, **sections):
    data = config.model_dump()
    for name, changes in sections.items():
        data[name] |= changes
    return parse(Config, data)


def _project(config, folder):
    """Lay out a project's folder for the command line."""
    (folder / "params.yaml").write_text(config.model_dump_json())
    (folder / "dvc.yaml").touch()


# -- status ------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(small):
    """Seven experiments."""
    names = {
        "maddpg": ["default", "users_30", "short"],
        "matd3": ["default"],
        "random": ["default", "users_30", "short"],
    }
    return _changed(small, experiments={key: [] for key in ALGORITHMS} | names)


def _store(root, experiment, version=RESULTS_VERSION):
    """Complete a folder, with tables that nobody trained."""
    folder = results.folder_of(root, experiment)
    folder.mkdir(parents=True)
    for name in ("curves.csv", "summary.csv"):
        (folder / name).write_text("seed,reward\n1,0.5\n")
    if experiment.keeps_policy:
        (folder / results.POLICY).write_bytes(b"actors")
    results.complete(folder, experiment.numbers, version)
    return folder


def _of_every_state(config, root):
    """Store results so that every state occurs; return the rows that `status` must list."""
    found = {experiment.name: experiment for experiment in named(config)}
    _store(root, found["maddpg/default"])
    # What a training that was cut off leaves: a curve, and nothing that completes the folder.
    unfinished = results.folder_of(root, found["maddpg/short"])
    unfinished.mkdir(parents=True)
    (unfinished / "curves.csv").write_text("seed,reward\n")
    other = _changed(
        config,
        learning={"polyak": 0.5, "noise": [0.7, 0.1]},
        game={"readings": config.game.readings.model_dump() | {"access": "orthogonal"}},
        scales={
            config.scale: config.run.model_dump() | {"efforts": {"reduced": {"seeds": [8, 9], "slots_per_update": 1}}}
        },
    )
    _store(root, resolve(other, "matd3", "default"))
    _store(root, found["random/default"], RESULTS_VERSION + 1)
    damaged = _store(root, found["random/users_30"])
    (damaged / "summary.csv").write_text("seed,reward\n1,0.6\n")
    # Of other numbers and of another version: the numbers decide.
    _store(root, resolve(_changed(config, evaluation={"seed": 7}), "random", "short"), OLD)
    _store(root, resolve(config, "mappo", "default"))
    noise = list(config.learning.noise)
    return [
        ("maddpg/default", "stored", ""),
        ("maddpg/users_30", "missing", ""),
        ("maddpg/short", "missing", ""),
        (
            "matd3/default",
            "other configuration",
            f"game.readings.access = orthogonal, now {config.game.readings.access}; "
            f"learning.noise = [0.7, 0.1], now {noise}; learning.polyak = 0.5, now {config.learning.polyak}",
        ),
        ("random/default", "other version", f"{RESULTS_VERSION + 1}, now {RESULTS_VERSION}: run restamp"),
        (
            "random/users_30",
            "damaged",
            f"{damaged / 'summary.csv'}: not what training wrote; restore it (git checkout -- "
            "data/runs/random/users_30/summary.csv, or from the archive), or delete its folder to train this "
            "experiment again",
        ),
        ("random/short", "other configuration", f"evaluation.seed = 7, now {config.evaluation.seed}"),
        ("mappo/default", "left over", "not named in params.yaml"),
    ]


def test_status_tells_the_state_of_every_experiment_and_the_numbers_that_differ(wanted, tmp_path):
    _project(wanted, tmp_path)
    expected = _of_every_state(wanted, tmp_path)
    found = results.status(wanted, tmp_path)
    assert [tuple(row.values()) for row in found] == expected
    assert all(list(row) == ["experiment", "state", "detail"] for row in found)


def test_status_agrees_with_what_would_be_trained(wanted, tmp_path):
    _of_every_state(wanted, tmp_path)
    states = {row["experiment"]: row["state"] for row in results.status(wanted, tmp_path)}
    sound = [experiment for experiment in named(wanted) if states[experiment.name] != "damaged"]
    assert len(sound) == 6
    for experiment in results.missing(sound, tmp_path):
        assert states.pop(experiment.name) in ("missing", "other configuration", "other version")
    assert states == {"maddpg/default": "stored", "random/users_30": "damaged", "mappo/default": "left over"}


def test_the_command_tells_the_same_as_text_and_as_json(wanted, tmp_path, monkeypatch, capsys):
    _project(wanted, tmp_path)
    expected = _of_every_state(wanted, tmp_path)
    monkeypatch.setenv("MECPAPER_ROOT", str(tmp_path))
    assert main(["status", "--json"]) == 0
    assert [tuple(row.values()) for row in json.loads(capsys.readouterr().out)] == expected
    assert main(["status"]) == 0
    *lines, counts = capsys.readouterr().out.splitlines()
    assert len(lines) == len(expected)
    for line, (name, state, detail) in zip(lines, expected, strict=True):
        assert line.split() == [*state.split(), name, *detail.split()]
    assert counts == "1 stored, 2 missing, 2 other configuration, 1 other version, 1 damaged, 1 left over"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"null", b'"text"', b"{}", b'{"key": "x"}', b"\xff"])
def test_a_mark_of_any_other_content_is_damage(wanted, tmp_path, content):
    experiment = resolve(wanted, "random", "default")
    folder = _store(tmp_path, experiment)
    (folder / results.MARK).write_bytes(content)
    with pytest.raises(results.DamagedError, match=r"experiment\.json: not what training wrote"):
        results.read(folder)
    assert "damaged" in [row["state"] for row in results.status(wanted, tmp_path)]


@pytest.mark.parametrize("key", ["results_version", "scenario", "more"])
def test_a_mark_whose_numbers_do_not_make_its_key_is_damage(wanted, tmp_path, key):
    folder = _store(tmp_path, resolve(wanted, "random", "default"))
    content = json.loads((folder / results.MARK).read_text())
    (folder / results.MARK).write_text(json.dumps(content | {key: 99}))
    with pytest.raises(results.DamagedError, match=r"experiment\.json: not what training wrote"):
        results.read(folder)


def test_every_committed_experiment_counts_and_none_is_missing(root, settings, monkeypatch, capsys):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    assert main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row for row in found if row["state"] != "stored"] == []
    assert [row["experiment"] for row in found] == [experiment.name for experiment in named(settings)]
    assert results.missing(named(settings), root) == []


# -- restamp -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A project of four experiments of an earlier version, trained."""
    config = _changed(
        small,
        experiments={key: [] for key in ALGORITHMS} | {"maddpg": ["default", "short"], "random": ["default", "short"]},
    )
    folder = tmp_path_factory.mktemp("trained")
    _project(config, folder)
    experiments = named(config)
    train(experiments, folder, processes=1)
    for experiment in experiments:
        results.complete(results.folder_of(folder, experiment), experiment.numbers, OLD)
    return config, folder


@pytest.fixture
def earlier(trained, tmp_path):
    """Its experiments by name, and a copy of its folder."""
    config, folder = trained
    copy = tmp_path / "project"
    shutil.copytree(folder, copy)
    return {experiment.name: experiment for experiment in named(config)}, copy


def _files(root):
    return {path.relative_to(root): path.read_bytes() for path in (root / "data").rglob("*") if path.is_file()}


def _alter(root, experiment, column, seed, episode, change):
    """Change a number of a stored curve as if an earlier version had computed it."""
    folder = results.folder_of(root, experiment)
    table = pd.read_csv(folder / "curves.csv")
    at = (table["seed"] == seed) & (table["episode"] == episode)
    assert at.sum() == 1
    before = table.loc[at, column].item()
    table[column] = table[column].astype(float).mask(at, change(before))
    table.to_csv(folder / "curves.csv", index=False)
    results.complete(folder, experiment.numbers, OLD)
    return before


def test_a_sample_that_agrees_stamps_all_results_of_another_version(earlier):
    found, root = earlier
    before = _files(root)
    assert results.missing(list(found.values()), root) == list(found.values())
    done = restamp(list(found.values()), root, sample=2)
    # The algorithms take turns.
    assert done == stamping.Restamped(list(found), ["maddpg/default", "random/default"], [])
    assert results.missing(list(found.values()), root) == []
    after = _files(root)
    changed = {path for path in before if before[path] != after[path]}
    assert set(before) == set(after) and {path.name for path in changed} == {results.MARK} and len(changed) == 4
    # What has the present version is not looked at again.
    assert restamp(list(found.values()), root) == stamping.Restamped([], [], [])


@pytest.mark.parametrize(
    ("name", "column", "seed", "episode"),
    [("maddpg/default", "reward", 2, 4), ("maddpg/default", "critic_loss", 1, 4), ("random/short", "energy", 3, 0)],
)
def test_a_changed_number_is_named_and_nothing_is_stamped(earlier, name, column, seed, episode):
    found, root = earlier
    value = _alter(root, found[name], column, seed, episode, lambda number: number * 1.01)
    before = _files(root)
    done = restamp(list(found.values()), root)
    assert done.stamped == []
    assert sorted(done.sample) == sorted(found)
    assert done.differences == [
        f"{name}, seed {seed}, episode {episode}: {column} = {value * 1.01:g} stored, {value:g} now"
    ]
    assert _files(root) == before
    assert results.missing(list(found.values()), root) == list(found.values())


@pytest.mark.parametrize("change", [lambda number: float("nan"), lambda number: -number, lambda number: number + 2e-3])
def test_a_number_that_is_gone_or_of_the_other_sign_differs(earlier, change):
    found, root = earlier
    _alter(root, found["maddpg/default"], "reward", 1, 0, change)
    (line,) = restamp(list(found.values()), root).differences
    assert line.startswith("maddpg/default, seed 1, episode 0: reward = ")


def test_a_difference_of_rounding_is_none(earlier):
    found, root = earlier
    _alter(root, found["maddpg/default"], "reward", 1, 4, lambda number: number * (1 + 0.1 * stamping.RELATIVE))
    assert restamp(list(found.values()), root).stamped == list(found)


def test_another_count_of_updates_is_a_difference(earlier):
    found, root = earlier
    _alter(root, found["maddpg/default"], "updates", 2, 4, lambda number: number + 1)
    (line,) = restamp(list(found.values()), root).differences
    assert line.startswith("maddpg/default, seed 2, episode 4: updates = ")


def test_a_column_or_a_row_that_only_one_of_them_has_is_named(earlier):
    found, root = earlier
    folder = results.folder_of(root, found["maddpg/default"])
    table = pd.read_csv(folder / "curves.csv")
    table.rename(columns={"reward": "return"}).to_csv(folder / "curves.csv", index=False)
    results.complete(folder, found["maddpg/default"].numbers, OLD)
    done = restamp(list(found.values()), root)
    assert done.differences == ["maddpg/default: return only stored", "maddpg/default: reward only now"]
    assert done.stamped == []
    table[(table["seed"] != 2) | (table["episode"] != 0)].to_csv(folder / "curves.csv", index=False)
    results.complete(folder, found["maddpg/default"].numbers, OLD)
    lines = restamp(list(found.values()), root).differences
    assert lines and all(line.startswith("maddpg/default, seed 2, episode 0: ") for line in lines)


def test_only_the_beginning_is_computed_anew_unless_more_is_asked_for(earlier, monkeypatch):
    found, root = earlier
    last = pd.read_csv(results.folder_of(root, found["maddpg/default"]) / "curves.csv").iloc[-1]
    _alter(root, found["maddpg/default"], "reward", 1, last["episode"], lambda number: number + 1.0)
    lines = restamp(list(found.values()), root, sample=1, updates=int(last["updates"])).differences
    assert [line.partition(" = ")[0] for line in lines] == [
        f"maddpg/default, seed 1, episode {last['episode']}: reward"
    ]
    played = []
    run = stamping.Training.run
    monkeypatch.setattr(
        stamping.Training, "run", lambda self, **options: (run(self, **options), played.append(self.episode))
    )
    assert stamping.differences(found["maddpg/default"], root, updates=0) == []
    assert stamping.differences(found["maddpg/default"], root, updates=1) == []
    assert played == [0, 4]


def test_results_of_another_configuration_are_left_alone(earlier):
    _, root = earlier
    config = parse(Config, json.loads((root / "params.yaml").read_text()))
    now = {experiment.name: experiment for experiment in named(_changed(config, maddpg={"learning": {"polyak": 0.5}}))}
    before = _files(root)
    done = restamp(list(now.values()), root)
    assert done == stamping.Restamped(["random/default", "random/short"], ["random/default", "random/short"], [])
    after = _files(root)
    changed = {path.parts[2] for path in before if before[path] != after[path]}
    assert changed == {"random"}
    assert results.missing(list(now.values()), root) == [now["maddpg/default"], now["maddpg/short"]]


def test_a_damaged_result_is_not_stamped(earlier):
    found, root = earlier
    before = _files(root)
    path = results.folder_of(root, found["random/short"]) / "curves.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(results.DamagedError, match=r"curves\.csv: not what training wrote"):
        restamp(list(found.values()), root)
    path.write_bytes(path.read_bytes()[:-1])
    assert _files(root) == before


def test_the_command_says_what_was_stamped_or_what_differs(earlier, monkeypatch, capsys):
    found, root = earlier
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    value = _alter(root, found["random/default"], "reward", 1, 0, lambda number: number + 1.0)
    assert main(["restamp", "--sample", "2"]) == 1
    told = capsys.readouterr()
    assert told.err == f"random/default, seed 1, episode 0: reward = {value + 1.0:g} stored, {value:g} now\n"
    assert told.out == "recomputed: maddpg/default, random/default; stamped: 0\n"
    _alter(root, found["random/default"], "reward", 1, 0, lambda number: number - 1.0)
    assert main(["restamp"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out == "recomputed: maddpg/default, maddpg/short, random/default, random/short; stamped: 4\n"
    assert main(["restamp"]) == 0
    assert capsys.readouterr().out == "recomputed: none; stamped: 0\n"


# -- keys --------------------------------------------------------------------------------------------------


def test_every_key_changes_with_the_version_and_with_nothing_that_training_does_not_read(settings, monkeypatch):
    keys = {experiment.name: experiment.key for experiment in named(settings)}
    assert len(set(keys.values())) == len(keys)
    run = settings.run.model_dump()
    unread = _changed(
        settings,
        figures={"smoothing": 9, "confidence": 0.5},
        planner={"generations": 1},
        tuning={"seeds": [77], "share": {"off_policy": 0.9, "mappo": 0.9}},
        scales={settings.scale: run | {"planner_restarts": 77}, "another": run | {"episodes": 2 * run["episodes"]}},
    )
    assert {experiment.name: experiment.key for experiment in named(unread)} == keys
    monkeypatch.setattr(resolving, "RESULTS_VERSION", RESULTS_VERSION + 1)
    assert not set(keys.values()) & {experiment.key for experiment in named(settings)}


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_key_depends_on_every_number_that_training_reads(small, algorithm):
    experiment = resolve(small, algorithm, "default")
    sections = {name: set(getattr(experiment, name).model_dump()) for name in ("game", "learning", "own", "evaluation")}
    sections["game"] -= {"traces", "accuracy_curve"}  # files that are not named
    sections["scale"] = set(experiment.scale.model_dump()) - {"planner_restarts", "efforts"} | {"name"}
    assert {name: set(experiment.numbers[name]) for name in sections} == sections
    assert set(experiment.numbers) - set(sections) == {"algorithm", "scenario"}
    assert (experiment.numbers["algorithm"], experiment.numbers["scenario"]) == (algorithm, "default")


class _Reword(ast.NodeTransformer):
    """Changes every docstring, and every text in what is raised."""

    def __init__(self):
        self.raised = False

    def _document(self, node):
        if ast.get_docstring(node, clean=False) is not None:
            node.body[0].value = ast.Constant(f"Put in other words.\n\n{node.body[0].value.value}")
        return self.generic_visit(node)

    visit_Module = visit_ClassDef = visit_FunctionDef = _document

    def visit_Raise(self, node):
        self.raised, node = True, self.generic_visit(node)
        self.raised = False
        return node

    def visit_Constant(self, node):
        return (
            ast.Constant(f"{node.value} to say it differently") if self.raised and isinstance(node.value, str) else node
        )


STATES = """
import json, sys
from pathlib import Path
import mecpaper
from mecpaper.config import load, named
from mecpaper.store import results
root = Path(sys.argv[1])
config = load(root / "params.yaml")
keys = {experiment.name: experiment.key for experiment in named(config)}
states = {row["state"] for row in results.status(config, root)}
json.dump({"package": mecpaper.__file__, "doc": results.__doc__, "keys": keys, "states": sorted(states)}, sys.stdout)
"""


def test_other_words_in_every_module_change_no_key_and_make_no_experiment_missing(root, settings, tmp_path):
    for path in sorted((root / "mecpaper").rglob("*.py")):
        before = ast.parse(path.read_text(encoding="utf-8"))
        after = ast.unparse(_Reword().visit(ast.parse(path.read_text(encoding="utf-8"))))
        assert after != ast.unparse(before), path
        target = tmp_path / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(after, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", STATES, str(root)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["package"] == str(tmp_path / "mecpaper" / "__init__.py")
    assert found["doc"].startswith("Put in other words.")
    assert found["keys"] == {experiment.name: experiment.key for experiment in named(settings)}
    assert found["states"] == ["stored"]


def test_results_that_lack_a_new_key_are_stamped_if_a_sample_agrees(small, tmp_path):
    experiment = resolve(small, "maddpg", "default")
    train([experiment], tmp_path)
    folder = results.folder_of(tmp_path, experiment)
    older = copy.deepcopy(experiment.numbers)
    del older["learning"]["permute_chunks"]
    results.complete(folder, older)
    assert results.missing([experiment], tmp_path)
    found = restamp([experiment], tmp_path)
    assert found.stamped == ["maddpg/default"] and not found.differences
    assert not results.missing([experiment], tmp_path)
    older["learning"]["batch"] = 99
    results.complete(folder, older)
    assert restamp([experiment], tmp_path).stamped == []


def test_a_sample_covers_every_algorithm_and_its_scenarios(settings):
    from mecpaper.training.restamp import _spread

    picked = _spread(named(settings), 12)
    assert {one.algorithm for one in picked} == set(ALGORITHMS)
    assert len({one.scenario for one in picked}) > 1 and len(picked) == 12


def test_what_other_programs_leave_in_a_folder_is_no_damage(small, tmp_path):
    experiment = resolve(small, "random", "default")
    train([experiment], tmp_path)
    folder = results.folder_of(tmp_path, experiment)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".DS_Store").write_bytes(b"x")
    assert results.read(folder) is not None


# -- what stands beside results ------------------------------------------------------------------------


def test_a_card_names_the_trace_that_was_played(small):
    numbers = resolve(small, "maddpg", "default").numbers
    summary = pd.DataFrame([dict.fromkeys(results.SUMMARY_COLUMNS, 1.0) | {"episodes": 1, "updates": 1, "seed": 1}])
    assert "gains of 8 to\n  10 dB" in card(numbers, summary)
    told = card(numbers | {"game": numbers["game"] | {"traces": "my.csv"}}, summary)
    assert "gains and harvests of\n  my.csv, batteries" in told and "10 dB" not in told


def test_each_stored_policy_has_a_card_that_fits_it(root):
    for policy in (root / "data" / "runs").glob("*/*/policy.safetensors"):
        folder = policy.parent
        stored, summary = results.read(folder), pd.read_csv(folder / "summary.csv")
        assert (folder / CARD).read_text() == card(stored.numbers, summary)
        assert f"reward {summary['reward'][0]:.4g}" in (folder / CARD).read_text()


def test_every_column_of_the_stored_tables_is_described_once(root):
    described = pd.read_csv(root / "docs" / "columns.csv")
    assert described["column"].is_unique and described["meaning"].notna().all()
    for name in ("curves", "summary"):
        told = set(described.loc[described["files"].isin([name, "both"]), "column"])
        found = {c for path in (root / "data" / "runs").glob(f"*/*/{name}.csv") for c in pd.read_csv(path, nrows=0)}
        assert found == told


def test_the_numbers_for_dvc_are_means_over_seeds(root):
    summary, runs = pd.read_csv(root / "data/runs/summary.csv"), root / "data" / "runs"
    metrics = json.loads((runs / "metrics.json").read_text())
    chosen = summary[(summary["algorithm"] == "matd3") & (summary["scenario"] == "default")]
    assert metrics["matd3"]["default"]["energy"] == pytest.approx(chosen["energy"].mean(), abs=1e-6)
    assert sum(map(len, metrics.values())) == len(summary.groupby(["algorithm", "scenario"]))
    curve, own = pd.read_csv(runs / "reward_curves.csv"), pd.read_csv(runs / "matd3/default/curves.csv")
    np.testing.assert_allclose(curve["matd3"], own.groupby("episode")["reward"].mean(), rtol=1e-5)


def test_dvc_changes_a_number_of_params_by_one_line(root, tmp_path):
    """By the function behind `dvc exp run -S`, which writes the whole file anew."""
    path, before = tmp_path / "params.yaml", (root / "params.yaml").read_text()
    path.write_text(before)
    apply_overrides(path, ["learning.batch=64"])
    lines = zip(before.splitlines(), path.read_text().splitlines(), strict=True)
    assert [new.split("#")[0].strip() for old, new in lines if old != new] == ["batch: 64"]
