"""A real scheduler and real workers on loopback: the same files as in one process, even if workers die."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from mecpaper.config import Config, named, parse, resolve
from mecpaper.store import results
from mecpaper.training import cluster, experiments

Client = pytest.importorskip("distributed").Client
pytest.importorskip("bokeh", reason="the dashboard")

SCENARIOS = [f"battery_{i}" for i in range(4)]
ALGORITHMS = ("cpo_maddpg", "mappo")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def config(small):
    """Eight experiments that take about a second each."""
    data = small.model_dump()
    data["scenarios"] |= {name: {"battery_capacity": 7.0 + i} for i, name in enumerate(SCENARIOS)}
    data["experiments"] = dict.fromkeys(ALGORITHMS, SCENARIOS)
    data["policies"] = SCENARIOS[:1]
    data["scales"][data["scale"]] |= {"episodes": 48, "curve_every": 16}
    return parse(Config, data)


@pytest.fixture(scope="module")
def calm(config, tmp_path_factory):
    """The results of one process."""
    root = tmp_path_factory.mktemp("calm")
    experiments.train(named(config), root, processes=1)
    return root


def _files(root):
    """Every file of the results; the measured seconds of summary.csv and what sums them are left out."""
    found = {}
    for path in sorted((root / "data").rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.name == "summary.csv":
            content = re.sub(rb",[^,\n]*$", b"", content, flags=re.MULTILINE)
        elif path.name == results.CHECKSUMS:
            content = re.sub(rb"\w+  summary.csv", b"", content)
        found[str(path.relative_to(root))] = content
    return found


COUNTED = """
import os
from mecpaper.store import results

def dask_setup(worker):
    write = results.write_atomically

    def write_and_count(path, content):
        write(path, content)
        if path.name == results.MARK:
            with open(os.environ["MECPAPER_COUNT"], "a") as file:
                file.write("/".join(path.parts[-3:-1]) + chr(10))

    results.write_atomically = write_and_count
"""
"""What each worker loads first: a line for every experiment that it finishes."""


@contextmanager
def _workers(folder, count, monkeypatch):
    """A scheduler and workers as processes of their own: yields the workers."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONUNBUFFERED="1")
    environment |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3", "MECPAPER_COUNT": str(folder / "count")}
    (folder / "counted.py").write_text(COUNTED)
    file = folder / "scheduler.json"
    processes = []

    def start(name, *command):
        with open(folder / f"{name}.log", "wb") as log:
            command = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder))

    listen = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    start("scheduler", "dask_scheduler", *listen, "--scheduler-file", str(file))
    for i in range(count):
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        options += ["--preload", str(folder / "counted.py")]
        start(f"worker{i}", "dask_worker", *options, "--scheduler-file", str(file), "--name", str(i))
    try:
        for _ in range(600):
            if file.exists() and file.read_text():
                break
            time.sleep(0.1)
        address = re.search(r"tcp://[\d.:]+", file.read_text()).group()
        monkeypatch.setenv(cluster.ADDRESS_VARIABLE, address)
        yield processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """A scheduler with one worker."""
    with pytest.MonkeyPatch.context() as patch, _workers(tmp_path_factory.mktemp("cluster"), 1, patch):
        yield os.environ[cluster.ADDRESS_VARIABLE]


def _begun(root):
    """Experiments whose measures are not written yet, though training has begun."""
    folders = (root / "data" / "runs").glob("*/*")
    return [folder for folder in folders if not (folder / "summary.csv").exists()]


def _halted_in_mid_training(workers, root):
    """Halt the workers; where not each of them is at an experiment, let them go on and return False."""
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
        os.waitpid(worker.pid, os.WUNTRACED)
    if len(_begun(root)) == len(workers):
        return True
    for worker in workers:
        os.kill(worker.pid, signal.SIGCONT)
    time.sleep(0.01)
    return False


def test_experiments_of_a_worker_that_is_killed_are_finished_by_another(config, calm, tmp_path, monkeypatch):
    finished, killed = [], []

    with _workers(tmp_path, 2, monkeypatch) as workers:

        def report(done, total, label):
            finished.append((done, total))
            if done == 3:
                # In mid-training: with both at a halt, each has begun an experiment that is not finished.
                assert any(_halted_in_mid_training(workers, tmp_path) for _ in range(2000))
                os.kill(workers[0].pid, signal.SIGKILL)
                killed.append(workers[0].wait())
                os.kill(workers[1].pid, signal.SIGCONT)

        trained = cluster.train(named(config), tmp_path, report)
    assert killed == [-signal.SIGKILL]
    assert finished == [(i, 8) for i in range(1, 9)]
    names = sorted(f"{algorithm}/{name}" for algorithm in ALGORITHMS for name in SCENARIOS)
    assert sorted(experiment.name for experiment in trained) == names
    # To the end each was trained once.
    assert sorted((tmp_path / "count").read_text().split()) == names
    assert _files(tmp_path) == _files(calm)
    assert not list((tmp_path / "build" / "checkpoints").iterdir())
    assert not list((tmp_path / "build" / "cluster").iterdir())


def test_workers_that_do_not_see_the_folder_send_their_files(config, calm, one_worker, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(cluster, "_token", _no_token)
    wanted = [resolve(config, "cpo_maddpg", name) for name in SCENARIOS[:2]] + [resolve(config, "mappo", SCENARIOS[0])]
    # A policy of former numbers, of an experiment that keeps none now.
    former = next(results.folder_of(tmp_path / "here", one) for one in wanted if not one.keeps_policy)
    former.mkdir(parents=True)
    (former / results.POLICY).write_bytes(b"former")
    trained = cluster.train(wanted, tmp_path / "here")
    with Client(one_worker) as client, urlopen(client.dashboard_link) as dashboard:
        assert dashboard.status == 200 and b"Dask" in dashboard.read()
    assert cluster.train(wanted, tmp_path / "here") == []
    assert sorted(trained, key=wanted.index) == wanted
    found = _files(tmp_path / "here")
    assert found == {name: content for name, content in _files(calm).items() if name in found}
    assert len(found) == 3 * 4 + 2 * 2  # policy and model card


@contextmanager
def _no_token(root):
    yield root / "none"


def test_a_failure_on_a_worker_is_reported_and_the_rest_is_kept(config, one_worker, tmp_path):
    first, busy, last = (
        resolve(config, algorithm, SCENARIOS[i]) for algorithm, i in (("cpo_maddpg", 0), ("mappo", 0), ("mappo", 1))
    )
    told = pytest.raises(cluster.ClusterError, match=r"^mappo/battery_0: BusyError: .*another process")
    with experiments._alone(tmp_path, [busy]), told as caught:
        cluster.train([first, busy, last], tmp_path)
    assert "\n" not in str(caught.value)
    assert results.missing([first, busy, last], tmp_path) == [busy]
    assert results.read(results.folder_of(tmp_path, busy)) is None


def test_no_scheduler_is_one_clear_line(config, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        monkeypatch.setenv(cluster.ADDRESS_VARIABLE, address)
        with pytest.raises(cluster.ClusterError, match=f"DASK_SCHEDULER_ADDRESS = '{address}'") as caught:
            cluster.train(named(config), tmp_path)
        assert "\n" not in str(caught.value)


def test_a_worker_that_a_queue_starts_late_is_waited_for(config, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    wanted, told, started = [resolve(config, "random", SCENARIOS[0])], [], []

    def report(done, total, label):
        told.append((done, total, label))
        if len(told) == 3:
            command = [sys.executable, "-m", "distributed.cli.dask_worker", os.environ[cluster.ADDRESS_VARIABLE]]
            started.append(subprocess.Popen([*command, "--no-nanny", "--no-dashboard"], cwd=tmp_path))

    with _workers(tmp_path, 0, monkeypatch):
        try:
            assert cluster.train(wanted, tmp_path, report) == wanted
        finally:
            for worker in started:
                worker.kill()
                worker.wait()
    assert told[:3] == [(0, 1, "programs on the cluster, waiting for workers")] * 3
    assert told[-1] == (1, 1, "programs on the cluster, 1 workers") and not results.missing(wanted, tmp_path)


def test_a_scheduler_that_goes_while_it_is_waited_for_is_one_line(config, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)

    def report(done, total, label):
        Client(os.environ[cluster.ADDRESS_VARIABLE]).shutdown()

    with _workers(tmp_path, 0, monkeypatch), pytest.raises(cluster.ClusterError, match="scheduler has gone") as caught:
        cluster.train(named(config), tmp_path, report)
    assert "\n" not in str(caught.value)


def test_without_an_address_it_is_trained_here(config, tmp_path, monkeypatch):
    monkeypatch.delenv(cluster.ADDRESS_VARIABLE, raising=False)
    wanted = [resolve(config, "random", name) for name in SCENARIOS[:2]]
    assert cluster.train(wanted, tmp_path) == wanted
    assert not results.missing(wanted, tmp_path)


def test_a_worker_with_other_code_is_refused(config, one_worker, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "code_version", lambda: "of another commit")
    wanted = [resolve(config, "random", SCENARIOS[0])]
    told = pytest.raises(cluster.ClusterError, match=r"^random/battery_0: ClusterError: .*another version of mecpaper")
    with told as caught:
        cluster.train(wanted, tmp_path)
    assert "\n" not in str(caught.value) and results.missing(wanted, tmp_path) == wanted
