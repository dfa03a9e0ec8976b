"""The live log of a training: what is logged, without the packages, and what the packages make of it."""

import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse

import pandas as pd
import pytest

from mecpaper.__main__ import main
from mecpaper.config import resolve
from mecpaper.training import experiments, live
from mecpaper.training.experiments import train

CHOSEN = ("train", "maddpg", "default", "--out", "runs")


@pytest.fixture
def project(small, tmp_path, monkeypatch):
    """A small project, which is the working directory; it trains in this process."""
    (tmp_path / "params.yaml").write_text(small.model_dump_json())
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("MECPAPER_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "cores", lambda: 1)
    return tmp_path


def points(runs, name="maddpg/default"):
    """What is to be logged of an experiment: run, episode and measures, in the order of its stored curve."""
    found = []
    for row in pd.read_csv(runs / name / "curves.csv").to_dict("records"):
        run, episode = f"{name}/seed_{row.pop('seed')}", row.pop("episode")
        measures = {key: value for key, value in row.items() if isinstance(value, float | int) and value == value}
        found.append((run, episode, measures))
    return found


def test_every_point_of_a_curve_is_logged_once_while_it_grows(small, tmp_path):
    chosen, rows, counts = [resolve(small, name, "default") for name in ("maddpg", "random")], [], set()
    follow = live.following(chosen, tmp_path, lambda *row: rows.append(row))

    def progress(*_):
        follow()
        counts.add(len(rows))

    train(chosen, tmp_path, progress=progress, processes=1)
    follow()
    assert len(counts) > 4 and len(rows) == 20
    for experiment in chosen:
        stored = points(tmp_path / "data" / "runs", experiment.name)
        assert [row for row in rows if row[0].startswith(experiment.name)] == stored
    assert [row[1] for row in rows if row[0] == "maddpg/default/seed_2"] == [0, 4, 8, 12, 16]


def test_a_resumed_training_logs_its_whole_curve_and_no_old_one(small, tmp_path):
    experiment, rows = resolve(small, "maddpg", "default"), []

    def interrupt(done, *_):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([experiment], tmp_path, progress=interrupt)
    follow = live.following([experiment], tmp_path, lambda *row: rows.append(row))
    follow()
    assert not rows
    train([experiment], tmp_path)
    follow()
    assert rows == points(tmp_path / "data" / "runs")


class Recorder:
    """Stands for a run of either package; keeps what it is given."""

    def __init__(self, folder, **options):
        self.folder, self.options, self.step, self.rows, self.ended = folder, options, None, [], False
        self.flush = self.sync = lambda: None

    def add_scalar(self, name, value, step):
        self.rows.append((step, name, value))

    def log_metric(self, name, value):
        self.rows.append((self.step, name, value))

    def end(self):
        self.ended = True

    close = end


@pytest.mark.parametrize("kind", live.KINDS)
def test_a_package_gets_the_points_and_a_line_says_how_to_see_them(project, kind, monkeypatch, capsys):
    runs = {}

    def made(folder, **options):
        return runs.setdefault(folder, Recorder(folder, **options))

    fake = SimpleNamespace(SummaryWriter=made, Live=made)
    monkeypatch.setitem(sys.modules, {"tensorboard": "torch.utils.tensorboard"}.get(kind, kind), fake)
    assert main([*CHOSEN, "--log", kind]) == 0
    folder = project / "runs" / "build" / kind
    wanted = points(project / "runs")
    assert set(runs) == {str(folder / run) for run, _, _ in wanted} and all(run.ended for run in runs.values())
    for run, made in runs.items():
        own = [(episode, m) for name, episode, m in wanted if str(folder / name) == run]
        assert made.rows == [(episode, name, value) for episode, m in own for name, value in m.items()]
    (line,) = re.findall(r"Live log: (.+)", capsys.readouterr().err)
    *_, place = shlex.split(line)
    assert Path(urlparse(place).path) in (folder, folder / "maddpg/default/seed_1/report.html")
    assert main([*CHOSEN, "--log", kind]) == 0 and "Live log" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", live.KINDS)
def test_without_its_package_a_log_is_refused_in_one_line_before_the_training(project, root, kind, monkeypatch, capsys):
    for name in (kind, "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main([*CHOSEN, "--log", kind]) == 2
    assert capsys.readouterr().err == f"--log = {kind}: needs the extra, pip install 'mecpaper[{kind}]'\n"
    assert not (project / "runs").exists()
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [line.partition(">")[0] for line in extras[kind]] == [kind]


def test_tensorboard_reads_what_was_logged_and_after_a_second_training_only_that(project):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        assert main([*CHOSEN, "--log", "tensorboard"]) == 0
        stored = [(episode, m["reward"]) for run, episode, m in points(project / "runs") if run.endswith("seed_2")]
        (project / "runs/maddpg/default/experiment.json").unlink()
    read = EventAccumulator(str(project / "runs/build/tensorboard/maddpg/default/seed_2")).Reload()
    found = read.Scalars("reward")
    assert [point.step for point in found] == [episode for episode, _ in stored]
    assert [point.value for point in found] == pytest.approx([value for _, value in stored])


def test_dvclive_has_a_page_and_a_table_of_every_measure(project):
    pytest.importorskip("dvclive")
    assert main([*CHOSEN, "--log", "dvclive"]) == 0
    folder = project / "runs/build/dvclive/maddpg/default/seed_2"
    table = pd.read_csv(folder / "plots/metrics/reward.tsv", sep="\t")
    stored = [(episode, m["reward"]) for run, episode, m in points(project / "runs") if run.endswith("seed_2")]
    assert list(table.itertuples(index=False, name=None)) == stored
    assert "reward" in (folder / "report.html").read_text()
    assert not (project / "dvc.yaml").read_text()
