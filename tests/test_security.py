"""No code from data, no network, and a notebook server that only this machine reaches."""

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
REFUSED = {
    "import socket": "TID251",
    "from urllib.request import urlopen": "TID251",
    "import pickle": "TID251",
    "from distributed import Client": "TID251",
    "import torch\n\ntorch.load(1)": "TID251",
    "import numpy as np\n\nnp.load(1)": "TID251",
    "exec(1)": "S102",
    "eval(1)": "S307",
    "import subprocess\n\nsubprocess.run(1, shell=True)": "S602",
    "import os\n\nos.system(1)": "S605",
}
"""Code that `make lint` refuses in the package and in notebooks -> the rule of pyproject.toml."""


@pytest.mark.parametrize("code", REFUSED)
@pytest.mark.parametrize("name", ["mecpaper/env/game.py", "notebooks/any.py"])
def test_lint_refuses_the_network_and_code_from_data(code, name):
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", name, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and REFUSED[code] in done.stdout


def test_yaml_and_arrays_are_read_without_code_from_data():
    for path in (*ROOT.glob("mecpaper/**/*.py"), *ROOT.glob("notebooks/*.ipynb")):
        text = path.read_text(encoding="utf-8").replace("\\", "")
        assert all(call.startswith('typ="safe"') for call in re.findall(r"\bYAML\(([^)]*)\)", text)), path.name
        assert "allow_pickle" not in text and "__import__" not in text, path.name


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
config = parse(Config, json.loads((folder / "params.yaml").read_text()))
experiment = resolve(config, "cpo_maddpg", "default")
assert train([experiment], folder, "cpu") == [experiment]
figure, (axes,) = figures.new_figure()
figures.draw_curves(axes, results.read_tables(folder, "curves"), "reward", 1, 0.95)
figures.save(figure, folder / "figures", "curve")
"""


def test_a_training_and_a_figure_need_no_network(small, tmp_path):
    (tmp_path / "params.yaml").write_text(small.model_dump_json(), encoding="utf-8")
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
