"""The pipeline at scale smoke in a folder of its own, the demo, and what DVC says of the stored results."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from mecpaper.__main__ import main
from mecpaper.config import ALGORITHMS, ConfigError
from mecpaper.pipeline import demo, rebuild
from mecpaper.store import results

SMALLER = {
    "slots: 50 ": "slots: 25 ",
    "slots_per_update: 25\n": "slots_per_update: 12\n",
    "seeds: [1], slots_per_update: 50": "seeds: [1], slots_per_update: 25",
    "final_episodes: 40 ": "final_episodes: 4 ",
    "generations: 30 ": "generations: 4 ",
}
"""What of params.yaml is made smaller still than scale smoke: as many updates, from less play."""

FEWER = {
    "derive": ["00_read_me_first"],
    "train": ["cpo_maddpg"],
    "collect": None,
    "decide": None,
    "compare": ["22_harvest_and_attacker", "50_claims"],
    "summary": None,
}
"""Stages of which each kind of work, folder and format has one: the stages left out run the same commands."""

SCENARIOS = {"cpo_maddpg": ["default", "harvest_05", "harvest_15", "attacker_moderate", "attacker_strong"]}
"""The experiments that these stages train and draw."""

AGAIN = ("decide", "compare@22_harvest_and_attacker", "compare@50_claims", "summary")


def _dvc(folder, *arguments):
    environment = dict(os.environ, MECPAPER_ROOT=str(folder), PYTHONPATH=str(folder), DVC_NO_ANALYTICS="1")
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def _linked(root, folder, *names) -> Path:
    """A folder with links to parts of the project."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(root / name)
    return folder


def _write(path, text):
    """Put a file in the place of a link."""
    path.unlink()
    path.write_text(text)


@pytest.fixture(scope="module")
def sources(root, tmp_path_factory) -> Path:
    """The pipeline's sources with episodes half as long, few of them, and a short search for plans."""
    folder = _linked(root, tmp_path_factory.mktemp("pipeline") / "sources", *rebuild.SOURCES)
    text = (root / "params.yaml").read_text()
    for old, new in SMALLER.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    _write(folder / "params.yaml", text)
    return folder


def _fewer(pipeline: dict) -> dict:
    """Leave in dvc.yaml the stages of FEWER, and of their dependencies no runs that none of them makes."""
    stages = {name: pipeline["stages"][name] for name in FEWER}
    for name, kept in FEWER.items():
        each = stages[name].get("foreach")
        if kept:
            stages[name]["foreach"] = {key: each[key] for key in kept} if isinstance(each, dict) else kept
        do = stages[name].get("do", stages[name])
        absent = {f"data/runs/{algorithm}" for algorithm in ALGORITHMS if algorithm not in FEWER["train"]}
        do["deps"] = [path for path in do["deps"] if path not in absent]
    return {"stages": stages}


@pytest.fixture(scope="module")
def built(root, sources) -> Path:
    """Fewer stages from scratch, as an interrupted rebuild that goes on: each does its work."""
    yaml = YAML(typ="safe", pure=True)
    few = _linked(sources, sources.parent / "few", *rebuild.SOURCES)
    for name, changed in (("dvc.yaml", _fewer), ("params.yaml", lambda data: data | {"experiments": SCENARIOS})):
        text = io.StringIO()
        yaml.dump(changed(yaml.load((sources / name).read_text())), text)
        _write(few / name, text.getvalue())
    folder = sources.parent / "smoke"
    rebuild.prepare(few, folder, "smoke")
    (folder / "data" / "runs").mkdir()
    for name in ("planner.csv", "untrained_sor.csv", "optimum.csv"):
        shutil.copy(root / "data" / "runs" / name, folder / "data" / "runs")
    with pytest.MonkeyPatch.context() as patch:
        # As by default: what is imported gets a __pycache__ beside the sources that DVC compares.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        assert rebuild.rebuild(few, folder, "smoke") == 0
    return folder


def _tree(folder):
    names = ("notebooks", "figures", "data")
    files = [path for name in names for path in (folder / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*files, folder / "dvc.lock"]}


def test_every_figure_and_table_is_stored(root):
    made = {path.name: path for path in (root / "figures").rglob("*.*")}
    for name in (*(f"fig{number:02d}" for number in range(1, 18)), "verdicts", "robustness", "identified"):
        for ending in ("svg", "pdf", "png"):
            assert made[f"{name}.{ending}"].stat().st_size > 1000
    for name in ("table1", "table2", "table3", "table4", "overall", "claims"):
        assert f"{name}.csv" in made and f"{name}.tex" in made


@pytest.mark.slow
def test_everything_is_made(built, root):
    for notebook in FEWER["compare"]:
        made, stored = ({path.name for path in (top / "figures" / notebook).iterdir()} for top in (built, root))
        assert made == stored
    for path in (built / "data" / "paper").iterdir():
        assert path.read_bytes() == (root / "data" / "paper" / path.name).read_bytes(), f"{path.name}: written by hand"
    verdicts = pd.read_csv(built / "data" / "runs" / "verdicts.csv")
    # Two seeds decide nothing; what all runs bear on together (claim 33) and timings (claim 34) have more values.
    assert len(verdicts) == 39
    statements = pd.read_csv(built / "data" / "runs" / "statements.csv")
    assert set(statements.loc[statements["seeds"] < 5, "answer"]) == {"open"}
    summary = pd.read_csv(built / "data" / "runs" / "summary.csv")
    assert list(summary.columns) == list(results.SUMMARY_COLUMNS)
    assert set(summary["scale"]) == {"smoke"}
    wanted = {(algorithm, scenario) for algorithm, names in SCENARIOS.items() for scenario in names}
    assert set(zip(summary["algorithm"], summary["scenario"], strict=True)) == wanted
    assert "Means over seeds" in rebuild.outcome(built)


@pytest.mark.slow
def test_nothing_is_left_to_do_and_a_forced_redraw_changes_nothing(built):
    assert "up to date" in _dvc(built, "status").stdout
    before = _tree(built)
    done = _dvc(built, "repro", "--force", "--single-item", *AGAIN)
    assert done.returncode == 0, done.stderr
    assert _tree(built) == before


def _rerun_for_params(folder) -> set[str]:
    """Stages that DVC would run again since a number in params.yaml has changed."""
    status = YAML(typ="safe").load(_dvc(folder, "status", "--json").stdout)
    changes = {name: [entry for entry in found if isinstance(entry, dict)] for name, found in status.items()}
    return {n for n, found in changes.items() if any("params.yaml" in e.get("changed deps", {}) for e in found)}


def test_a_changed_number_reruns_what_depends_on_it_and_nothing_else(root, tmp_path):
    """In the whole pipeline, as stored."""
    names = [*rebuild.SOURCES, "data/runs", "figures", "dvc.lock"]
    folder = _linked(root, tmp_path, *names)
    text = (root / "params.yaml").read_text()
    assert _dvc(folder, "init", "--no-scm").returncode == 0

    def named(*patterns):
        return {path.stem for pattern in patterns for path in (root / "notebooks").glob(pattern)}

    derived = {f"derive@{name}" for name in named("0[0-5]*_*.ipynb")}
    compared = {f"compare@{name}" for name in named("2[0-3]_*.ipynb", "5?_*.ipynb")}
    beyond = {f"beyond@{name}" for name in named("2[56]_*.ipynb")}
    learned = {"train@cpo_maddpg", "search", "search_shown", "registries@08_diagrams", "registries@30_tables"}
    for old, new, stages in (
        ("", "", set()),
        ("smoothing: 5 ", "smoothing: 4 ", compared | beyond),
        ("priority_exponent: 0.6 ", "priority_exponent: 0.5 ", learned | derived | beyond),
    ):
        assert old in text
        _write(folder / "params.yaml", text.replace(old, new))
        assert _rerun_for_params(folder) == stages


def test_in_an_unpacked_archive_with_an_odd_name_and_nothing_activated_make_rebuilds_what_is_gone(root, tmp_path):
    """Of the stages one is enough: all run the same interpreter."""
    folder = _linked(root, tmp_path / "my project ü", *rebuild.SOURCES, ".dvc/config", "Makefile")
    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.dump({"stages": {"collect": yaml.load((root / "dvc.yaml").read_text())["stages"]["collect"]}}, text)
    _write(folder / "dvc.yaml", text.getvalue())
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.copytree(root / "data" / "runs", folder / "data" / "runs")
    gone = folder / "data" / "runs" / "summary.csv"
    gone.unlink()
    # A dependency that is older than its target is not made again.
    command = [shutil.which("make"), "--old-file=.venv/.ready", "repro"]
    done = subprocess.run(command, cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert gone.read_bytes() == (root / "data" / "runs" / "summary.csv").read_bytes()
    assert not (folder / ".git").exists()


@pytest.mark.parametrize(
    "name", ["Makefile", "dvc.yaml", ".ci/run", "data/runs/a.csv", "notebooks/a.ipynb", "mecpaper/a.py"]
)
def test_a_checkout_has_the_same_line_ends_whatever_git_is_told(root, name, tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b"]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"one\ntwo\n")
    shutil.copy(root / ".gitattributes", tmp_path)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *arguments], check=True)
    path.unlink()
    subprocess.run([*git, "checkout", "-q", "--", name], check=True)
    assert path.read_bytes() == b"one\ntwo\n"


def test_the_switch_is_one_line(root):
    text = (root / "params.yaml").read_text()
    assert "\nscale: smoke " in rebuild.with_scale(text, "smoke")
    with pytest.raises(ConfigError, match="scale"):
        rebuild.with_scale(text.replace("\nscale: ", "\nscale2: "), "smoke")


def test_a_scale_that_does_not_exist_is_refused_before_anything_starts(root, tmp_path):
    with pytest.raises(ConfigError, match=r"scale = 'huge': one of smoke, demo, study, paper"):
        rebuild.prepare(root, tmp_path / "x", "huge")
    assert not (tmp_path / "x").exists()


def test_the_project_folder_is_not_overwritten(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(["rebuild", "smoke", "."]) == 2
    assert "a folder outside the project" in capsys.readouterr().err
    assert (root / "params.yaml").exists()


def test_committed_results_are_what_the_pipeline_would_give(root):
    done = _dvc(root, "status")
    assert "up to date" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_demo_compares_all_algorithms_and_says_where(sources, monkeypatch, capsys):
    monkeypatch.setattr(demo, "SCALE", "smoke")
    folder = sources.parent / "demo"
    demo.demo(sources, folder)
    assert "100 %" in capsys.readouterr().err
    summary = pd.read_csv(folder / "data" / "runs" / "summary.csv")
    assert set(summary["algorithm"]) == set(ALGORITHMS) and set(summary["scenario"]) == {"default"}
    pictures = folder / "figures" / demo.SHOWN
    assert all((pictures / f"fig0{number}.png").stat().st_size > 1000 for number in (4, 5, 6))
    lines = demo.outcome(folder)
    assert len(lines) == 3 and "mean reward" in lines[0] and str(pictures) in lines[1]


def test_a_step_of_the_demo_that_fails_is_one_line(tmp_path):
    with pytest.raises(demo.DemoError, match=r"^collect: project root: no params\.yaml"):
        demo._run(tmp_path, ["collect"])


def test_a_rebuild_has_all_that_a_stage_reads_and_none_makes(root):
    stages = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text())["stages"].values()
    stages = [stage.get("do", stage) for stage in stages]

    def paths(key):
        listed = [entry for stage in stages for entry in stage.get(key, [])]
        return {Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in listed}

    made = paths("outs") | paths("metrics") | paths("plots")
    each = {path.parent for path in made if "$" in path.name}
    made |= {folder for path in made for folder in path.parents if folder != Path()}
    read = [path for path in paths("deps") - made if "$" not in str(path) and path.parent not in each - {Path()}]
    assert len(read) > 5
    for path in read:
        assert any(path.is_relative_to(source) for source in rebuild.SOURCES), path


def test_what_is_the_same_is_left_alone_when_a_rebuild_starts_again(sources, tmp_path):
    # A process that a kill left behind may be reading: of params.yaml it must never see another scale.
    folder = tmp_path / "again"
    rebuild.prepare(sources, folder, "smoke")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    (folder / "notebooks" / "00_read_me_first.ipynb").write_text("torn")
    seen = []
    write = rebuild.write_atomically
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild, "write_atomically", lambda path, content: (seen.append(path), write(path, content)))
        rebuild.prepare(sources, folder, "smoke")
    assert seen == [folder / "notebooks" / "00_read_me_first.ipynb"]
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path.name for path in before if after[path] != before[path]} <= {
        seen[0].name,
        rebuild.MADE,
        rebuild.UNFINISHED,
    }


def test_what_a_killed_dvc_left_does_not_stop_the_next_start(tmp_path):
    assert rebuild.dvc(tmp_path, "init", "--no-scm", "--quiet") == 0
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: echo done > out, outs: [out]}}")
    lock = tmp_path / ".dvc" / "tmp" / "rwlock"

    def left(pid):
        out, entry = str(tmp_path / "out"), {"pid": pid, "cmd": "dvc repro"}
        return json.dumps({"write": {out: entry}, "read": {out: [entry]}})

    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        # Ended, but not reaped: its number is still taken, and DVC by itself would refuse to start.
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        lock.write_text(left(zombie.pid))
        assert rebuild.dvc(tmp_path, "repro") == 0 and (tmp_path / "out").exists()
    lock.write_text(left(1)[:20])  # torn
    rebuild._forget_the_dead(lock)
    assert not lock.exists()
    # A process that is older than the file may be at work; one that is younger has only got the number.
    lock.write_text(left(os.getpid()))
    rebuild._forget_the_dead(lock)
    assert lock.read_text() == left(os.getpid())
    os.utime(lock, (1e9, 1e9))
    rebuild._forget_the_dead(lock)
    assert json.loads(lock.read_text()) == {"write": {}, "read": {}}


def test_a_folder_that_holds_something_else_is_never_emptied(root, tmp_path):
    kept = tmp_path / "precious" / "thesis.tex"
    kept.parent.mkdir()
    kept.write_text("years of work")
    for folder in (kept.parent, root, root.parent, root / "data", root / "mecpaper" / "new"):
        for start in (lambda: demo.demo(root, folder), lambda: rebuild.rebuild(root, folder, "smoke")):  # noqa: B023
            with pytest.raises(ConfigError, match=r"^folder = "):
                start()
    with pytest.raises(ConfigError, match=r"^folder = .*: a folder, not a file"):
        demo.demo(root, kept)
    assert kept.read_text() == "years of work" and (root / "params.yaml").exists()
    assert not (root / "mecpaper" / "new").exists()
