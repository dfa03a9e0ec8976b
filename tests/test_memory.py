"""What a training takes is estimated before it starts: too much is refused in one line that says what fits."""

import ctypes
import json
import re
import subprocess
import sys

import pytest

from mecpaper.__main__ import main
from mecpaper.config import ConfigError, resolve, with_changes
from mecpaper.explorer import live, state_of
from mecpaper.store import results
from mecpaper.training import experiments, memory, tuning
from mecpaper.training.restamp import restamp


@pytest.mark.parametrize(
    ("algorithm", "change", "key"),
    [
        ("cpo_maddpg", "learning.buffer=900000000", "learning.buffer"),
        ("mappo", "evaluation.final_episodes=100000", "evaluation.final_episodes"),
        ("maddpg", "learning.hidden=[100000, 100000, 8]", "learning.hidden"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(small, tmp_path, monkeypatch, algorithm, change, key):
    monkeypatch.setattr(memory, "free", lambda: memory.PROCESS + 1e8)
    with pytest.raises(ConfigError, match=rf"^{algorithm}/default: {key} = .*; this training takes") as caught:
        experiments.train([resolve(with_changes(small, [change]), algorithm, "default")], tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "data").exists()
    if key != "learning.hidden":
        fits = str(caught.value).partition("at most ")[2].partition(";")[0]
        experiment = resolve(with_changes(small, [f"{key}={fits}"]), algorithm, "default")
        assert memory.processes_that_fit([[experiment]], 1) == 1
        with pytest.raises(ConfigError, match=key):
            more = with_changes(small, [f"{key}={int(fits) * 1.01:.0f}"])
            memory.processes_that_fit([[resolve(more, algorithm, "default")]], 1)


def test_episodes_that_do_not_fit_are_not_begun(root, monkeypatch, capsys):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    monkeypatch.setattr(memory, "free", lambda: 1e6)
    large = "--set", "game.devices=100", "--set", "game.slots=1000"
    for command in (["eval", "random"], ["plan"]):
        assert main([*command, *large]) == 2
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1 and "evaluation.final_episodes = 40: at most 0; the draws of" in err


def test_a_live_training_that_does_not_fit_says_so(small, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1e5)
    training = live.LiveTraining(small, state_of(small.game, "random"), "maddpg", 12)
    training.run()
    assert training.status == "failed" and training.policy is None
    assert re.match(r"maddpg/explored: .*; this training takes .* GB of memory, and .* GB are free$", training.problem)


@pytest.mark.parametrize("held", [1e5, 4e8])
def test_the_search_is_refused_before_a_candidate_starts(small, tmp_path, monkeypatch, held):
    data = with_changes(small, ["learning.buffer=900000000"]).model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(json.dumps(data))
    monkeypatch.setattr(memory, "free", lambda: held)
    with pytest.raises(ConfigError, match=r"^cpo_maddpg/default: learning.buffer = 900000000: "):
        tuning.search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_restamp_is_refused_before_anything_is_recomputed(small, tmp_path, monkeypatch):
    experiment = resolve(small, "maddpg", "default")
    experiments.train([experiment], tmp_path)
    folder = results.folder_of(tmp_path, experiment)
    results.complete(folder, experiment.numbers, results.RESULTS_VERSION - 1)
    before = (folder / results.MARK).read_bytes()
    monkeypatch.setattr(memory, "free", lambda: 1e4)
    with pytest.raises(ConfigError, match=r"^maddpg/default: .*; this training takes"):
        restamp([experiment], tmp_path)
    assert (folder / results.MARK).read_bytes() == before
    monkeypatch.undo()
    assert restamp([experiment], tmp_path).stamped == ["maddpg/default"]


def test_no_more_processes_are_started_than_fit(small, monkeypatch):
    programs = [[resolve(small, name, "default")] for name in ("maddpg", "mappo", "random")]
    for room, count in ((3.5, 3), (2.5, 2), (1.5, 1)):
        monkeypatch.setattr(memory, "free", lambda room=room: room * memory.PROCESS)
        assert memory.processes_that_fit(programs, 3) == count


@pytest.mark.parametrize(("limit", "used"), memory.LIMITS)
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, limit, used):
    before = memory.free()
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("5000000\n")
    (tmp_path / used).write_text("1000000\n")
    assert memory.free() == 4_000_000 < before
    (tmp_path / limit).write_text("max\n")
    assert memory.free() > 4_000_000


MEASURED = """
import resource, sys
from mecpaper.config import load, resolve, with_changes
from mecpaper.training import memory
from mecpaper.training.loop import Training

config = with_changes(load(sys.argv[1]), ["scale=smoke", "learning.buffer=300000", "game.devices=10"])
experiment = resolve(config, "maddpg", "default")
need = sum(memory.parts([experiment]).values())
held = Training(experiment)
print(need, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory.PROCESS)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_the_estimate_is_what_a_process_takes(root):
    done = subprocess.run([sys.executable, "-c", MEASURED, root / "params.yaml"], capture_output=True, check=True)
    estimated, taken = map(float, done.stdout.split())
    assert 0.7 < taken / estimated < 1.4


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library of Linux")
def test_freed_memory_is_kept():
    code = """
import resource, sys, torch
from mecpaper.training.memory import keep_freed
if sys.argv[1] == "kept":
    keep_freed()
faults = []
for _ in range(24):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24)  # 64 MiB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(max(faults[-8:]))  # glibc may take some new blocks before it uses a freed one again
"""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", code, how], capture_output=True, check=True).stdout)
        for how in ("kept", "not")
    )
    if ctypes.CDLL(None).mallopt(-3, 2**30) != 1:
        pytest.skip("this C library accepts no such threshold")
    assert kept * 4 < given_back
