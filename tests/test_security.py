"""No code from data, no network, and a notebook server that only this machine reaches."""

import ast
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mecpaper.config import ConfigError, load, resolve
from mecpaper.policies import stored
from mecpaper.training.checkpoint import CheckpointError
from mecpaper.training.loop import Training

ROOT = Path(__file__).resolve().parents[1]
NETWORK = {
    *("socket", "ssl", "urllib", "urllib3", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "paramiko"),
    *("websocket", "websockets", "asyncssh", "boto3"),
}
HARMLESS = {"urllib.parse"}
CLUSTER = {"distributed", "dask"}
"""Talks to the scheduler that DASK_SCHEDULER_ADDRESS names, and pickles; only `mecpaper.training.cluster` may."""

PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml"}
"""Modules that can run code that a file holds; PyYAML is one of them, the package uses ruamel.yaml's safe loader."""

FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save"),
    *("np.load", "numpy.load", "pd.read_pickle", "pandas.read_pickle"),
    *("shell=True", "allow_pickle=True", "typ=unsafe"),
}


def sources():
    """Name -> code of every module of the package and of every notebook."""
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in ROOT.glob("mecpaper/**/*.py")}
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        found[str(path.relative_to(ROOT))] = "\n".join(re.sub(r"(?m)^\s*%.*$", "", cell) for cell in code)
    return found


def imported(tree, top_level_only=False):
    """Full names of what code imports."""
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


def called(tree):
    """Dotted names of what code calls, and "name(keyword=value)" for every constant keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name
            for keyword in node.keywords:
                if keyword.arg and isinstance(keyword.value, ast.Constant):
                    yield f"{keyword.arg}={keyword.value.value}"


def top(names):
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("name", sources())
def test_no_module_or_notebook_uses_the_network_or_runs_code_from_data(name):
    tree = ast.parse(sources()[name])
    names = imported(tree) - HARMLESS
    assert not top(names) & (NETWORK | PICKLING)
    if name == "mecpaper/training/cluster.py":
        assert not top(imported(tree, top_level_only=True)) & CLUSTER
    else:
        assert not top(names) & CLUSTER
    found = set(called(tree))
    assert not found & FORBIDDEN
    assert "typ=safe" in found or "YAML" not in found


def test_the_check_finds_what_it_looks_for():
    tree = ast.parse("from urllib.request import urlopen\nimport torch\ntorch.load(x)\nrun(y, shell=True)\nexec(z)")
    assert top(imported(tree) - HARMLESS) & NETWORK == {"urllib"}
    assert {"torch.load", "exec", "shell=True"} <= set(called(tree))


OFFLINE = """
import json, socket, sys
from pathlib import Path

def refuse(*arguments, **keywords):
    raise SystemExit("the network was used")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
for name in ("getaddrinfo", "gethostbyname", "create_connection", "create_server"):
    setattr(socket, name, refuse)

import torch
from mecpaper.report import figures
from mecpaper.store import results
from mecpaper.training.experiments import train
from mecpaper.config import Config, parse, resolve

torch.set_num_threads(1)
folder = Path(sys.argv[1])
config = parse(Config, json.loads((folder / "config.json").read_text()))
experiment = resolve(config, "cpo_maddpg", "default")
assert train([experiment], folder, "cpu") == [experiment]
figure, (axes,) = figures.new_figure()
figures.draw_curves(axes, results.read_tables(folder, "curves"), "reward", 1, 0.95)
figures.save(figure, folder / "figures", "curve")
"""


def test_a_training_and_a_figure_need_no_network(small, tmp_path):
    (tmp_path / "config.json").write_text(small.model_dump_json(), encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", OFFLINE, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "figures" / "curve.svg").is_file()
    assert (tmp_path / "data" / "runs" / "cpo_maddpg" / "default" / "policy.safetensors").is_file()


def test_the_notebook_server_listens_to_this_machine_alone_and_asks_for_its_token():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    started = [line for line in makefile.splitlines() if re.search(r"\bjupyter(-|\s)(lab|server|notebook)\b", line)]
    assert started and all("--ip=127.0.0.1" in line for line in started)
    weakened = r"token|password|allow_origin|allow_remote|disable_check_xsrf|allow.root|no-auth"
    assert not [line for line in started if re.search(weakened, line, re.IGNORECASE)]


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_place_of_a_checkpoint_or_policy_is_refused_and_not_run(small, tmp_path):
    mark, file = tmp_path / "it-ran", tmp_path / "file.safetensors"
    file.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(CheckpointError, match="damaged"):
        Training(resolve(small, "maddpg", "default")).load(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        stored.read_policy(file, "x", "maddpg")
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists(), "the trap itself does not work"


def test_a_yaml_file_cannot_name_python_objects(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("game: !!python/object/apply:os.system ['touch it-ran']\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params.yaml"):
        load(path)
    assert not (tmp_path / "it-ran").exists()
