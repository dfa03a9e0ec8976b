"""Training in processes: the same files as in one, one progress for all, and a clean end when something goes wrong."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from mecpaper.config import Config, named, parse, resolve
from mecpaper.store import results
from mecpaper.training import pool
from mecpaper.training.experiments import train
from mecpaper.training.loop import NotFiniteError


@pytest.fixture(scope="module")
def several(small) -> Config:
    """Three experiments of different algorithms."""
    data = small.model_dump()
    data["experiments"] = {name: ["default"] for name in ("cpo_maddpg", "maddpg", "random")}
    return parse(Config, data)


def _files(folder):
    wanted = ("curves.csv", "policy.safetensors", results.MARK)
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.name in wanted}


def test_processes_write_what_one_process_writes_and_report_as_one(several, tmp_path):
    experiments, reports = named(several), []
    trained = train(experiments, tmp_path / "two", progress=lambda *report: reports.append(report), processes=2)
    assert {one.name for one in trained} == {one.name for one in experiments}
    train(experiments, tmp_path / "one", processes=1)
    assert _files(tmp_path / "two") == _files(tmp_path / "one") and len(_files(tmp_path / "one")) == 8
    total = 3 * several.run.episodes
    assert reports[-1] == (total, total, "3 of 3 experiments, 0 running")
    assert {report[1] for report in reports} == {total}
    assert [report[0] for report in reports] == sorted(report[0] for report in reports)
    assert not train(experiments, tmp_path / "two", processes=2)


def test_the_program_with_most_updates_of_all_its_runs_starts_first(settings):
    names = ["users_50", "battery_10+many_seeds", "default", "long", "algorithm_1", "battery_9"]
    programs = [[resolve(settings, "cpo_maddpg", name)] for name in names]
    ordered = sorted(programs, key=pool._size, reverse=True)
    assert [group[0].scenario for group in ordered] == [
        "algorithm_1", "long", "battery_10+many_seeds", "users_50", "default", "battery_9",
    ]  # fmt: skip


def _poisoned(program, root, progress):
    from mecpaper.training.experiments import train_program

    if program[0].algorithm == "maddpg":
        raise NotFiniteError("critic_loss is not finite at update 3 of maddpg/default, seed 1")
    return train_program(program, root, progress)


def test_a_program_that_fails_stops_the_others_and_is_reported(several, tmp_path):
    from mecpaper.training.pool import train_in_processes

    with pytest.raises(NotFiniteError, match=r"not finite at update 3 of maddpg/default"):
        train_in_processes(_poisoned, [[one] for one in named(several)], tmp_path, 2)
    assert results.missing(named(several), tmp_path)


SCRIPT = """
import json, signal, sys
from pathlib import Path
from mecpaper.config import Config, named, parse
from mecpaper.training.experiments import train
if __name__ == "__main__":
    # What a shell starts in the background would not hear of Ctrl-C, and neither would this test's programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config = parse(Config, json.loads(Path(sys.argv[1]).read_text()))
    train(named(config), Path(sys.argv[2]), progress=lambda done, *_: print(done, flush=True), processes=2)
"""


@pytest.fixture(scope="module")
def long(several) -> Config:
    """Two experiments of some seconds."""
    data = several.model_dump()
    data["experiments"] = {name: ["default"] for name in ("cpo_maddpg", "maddpg")}
    data["scales"][data["scale"]] |= {"episodes": 240, "curve_every": 40}
    return parse(Config, data)


@pytest.fixture(scope="module")
def calm(long, tmp_path_factory):
    """Their results without an interruption."""
    folder = tmp_path_factory.mktemp("calm")
    train(named(long), folder, processes=1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_processes_end_and_the_next_start_has_the_same_numbers(long, calm, tmp_path, how):
    (tmp_path / "config.json").write_text(json.dumps(long.model_dump()))
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "config.json"), str(tmp_path / "cut")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while int(process.stdout.readline() or 800) == 0:
            pass
        workers = psutil.Process(process.pid).children()
        os.kill(process.pid, how)
        process.wait(timeout=60)
    assert len(workers) >= 2 and not psutil.wait_procs(workers, timeout=60)[1]
    assert process.returncode != 0
    assert results.missing(named(long), tmp_path / "cut")
    assert list((tmp_path / "cut" / "build" / "checkpoints").rglob("*.safetensors"))
    train(named(long), tmp_path / "cut", processes=1)
    assert _files(tmp_path / "cut") == _files(calm)
