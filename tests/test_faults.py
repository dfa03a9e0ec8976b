"""Failures other than kills: full disks, read-only folders, two runs at once, jumping clocks."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mecpaper.__main__ import main
from mecpaper.config import ConfigError, resolve
from mecpaper.pipeline import rebuild
from mecpaper.store import files, results
from mecpaper.training import experiments

TRAINING = """
import json, sys
from pathlib import Path
import torch
from mecpaper.training import experiments, loop
from mecpaper.config import Config, parse, resolve
torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS = loop.CHECKPOINT_SHARE = 1e-6
try:
    config = parse(Config, json.loads(Path(sys.argv[1]).read_text()))
    experiments.train([resolve(config, "cpo_maddpg", "default")], Path(sys.argv[2]))
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def command(small, tmp_path):
    """Trains an experiment in a process of its own, into the folder that is added."""
    (tmp_path / "config.json").write_text(small.model_dump_json())
    return [sys.executable, "-c", TRAINING, str(tmp_path / "config.json")]


@pytest.fixture
def experiment(small):
    """What the command trains."""
    return resolve(small, "cpo_maddpg", "default")


def _curves(root) -> bytes:
    return (root / "data" / "runs" / "cpo_maddpg" / "default" / "curves.csv").read_bytes()


def _no_file_beyond(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def _unmeasured():
    """The environment without coverage, which in the process would complain of the full disk as well."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}


@pytest.mark.parametrize("room", [2000, 200_000])
def test_a_full_disk_stops_a_training_in_one_line_and_loses_nothing(command, experiment, tmp_path, room):
    """With little room the learning curve does not fit; with more the checkpoint does not."""
    full, calm = tmp_path / "full", tmp_path / "calm"
    done = subprocess.run(
        [*command, str(full)], preexec_fn=_no_file_beyond(room), env=_unmeasured(), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r"StorageError: \S+: cannot be written \(.*\); the old content is unchanged.*\n", done.stderr)
    assert results.read(results.folder_of(full, experiment)) is None
    assert not list(full.rglob("*.part"))
    for folder in (full, calm):
        assert experiments.train([experiment], folder) == [experiment]
    assert _curves(full) == _curves(calm)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user who may not write")
def test_a_read_only_folder_is_one_clear_line(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom mecpaper.store import files\nos.seteuid(65534)\n"
        "try: files.prepare_folder(Path(sys.argv[1]))\n"
        "except files.StorageError as error: sys.exit(str(error))"
    )
    for path in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) in path.parents:
            path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=_unmeasured(), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r"\S+\.probe\.part: cannot be written \(Permission denied\).*\n", done.stderr)


def test_a_folder_that_cannot_take_results_stops_the_experiment_before_it_trains(small, tmp_path, monkeypatch):
    def refuse(folder):
        raise files.StorageError(f"{folder}: cannot be written")

    monkeypatch.setattr(experiments, "prepare_folder", refuse)
    monkeypatch.setattr(experiments.Training, "run", lambda *_: pytest.fail("trained though nothing can be stored"))
    with pytest.raises(files.StorageError):
        experiments.train([resolve(small, "maddpg", "default")], tmp_path)


def test_an_old_file_survives_a_write_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    files.write_atomically(path, "old")

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(files.StorageError, match=r"table\.csv: cannot be written \(No space left on device\)"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_two_pipelines_in_one_folder_are_one_too_many(root, tmp_path):
    folder = tmp_path / "demo"
    with FileLock(tmp_path / ".demo.lock"), pytest.raises(ConfigError, match="another run is at work there"):
        rebuild.rebuild(root, folder, "smoke")
    assert not folder.exists()


def test_a_clock_that_goes_back_changes_nothing(experiment, tmp_path, monkeypatch):
    for name in ("steady", "jumping"):
        clock = iter(range(10**9, 0, -3600))
        if name == "jumping":
            monkeypatch.setattr(time, "time", lambda clock=clock: float(next(clock)))
        assert experiments.train([experiment], tmp_path / name) == [experiment]
        # What is finished is known by its content, whatever the times of its files.
        for path in (tmp_path / name).rglob("*"):
            os.utime(path, (0, 0) if name == "jumping" else (4e9, 4e9))
        assert not experiments.train([experiment], tmp_path / name)
    assert _curves(tmp_path / "steady") == _curves(tmp_path / "jumping")


def test_a_failure_in_a_notebook_is_reported_in_one_line(root, tmp_path, capsys):
    import nbformat

    book = nbformat.v4.new_notebook()
    lines = (
        'from pathlib import Path\nfrom mecpaper.store import files\nfiles.write_atomically(Path("/proc/none/x"), "")'
    )
    book.cells = [nbformat.v4.new_code_cell(lines)]
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((root / name).read_text())
    path = tmp_path / "broken.ipynb"
    before = nbformat.writes(book)
    path.write_text(before)
    assert main(["notebook", str(path)]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(r"broken\.ipynb, cell 1: StorageError: /proc/none: cannot be written", told)
    assert path.read_text() == before
