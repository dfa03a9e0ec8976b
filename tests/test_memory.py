"""What a training takes is estimated before it starts: too much is refused in one line that says what fits."""

import subprocess
import sys

import pytest

from mecpaper.config import ConfigError, resolve, with_changes
from mecpaper.training import experiments, memory


@pytest.mark.parametrize(
    ("algorithm", "change", "key"),
    [
        ("cpo_maddpg", "learning.buffer=900000000", "learning.buffer"),
        ("mappo", "evaluation.final_episodes=100000", "evaluation.final_episodes"),
        ("maddpg", "learning.hidden=[100000, 100000, 8]", "learning.hidden"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(small, tmp_path, monkeypatch, algorithm, change, key):
    monkeypatch.setattr(memory, "free", lambda: 4e8)
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
